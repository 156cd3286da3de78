"""Many accounts by one request: up to twenty on screen, any number by a file that is tried out before it is submitted.

A file is uploaded to ``POST /bulk/{kind}``, which is no command: it changes nothing. What may be done with it is one
command for each kind, under the very function that a single row of it takes.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.accounts import AccountingField, CancelReason
from shared.contracts.base import Message, command, read, view
from shared.contracts.service_times import MINUTES_15, ONE_DAY
from shared.contracts.types import (
    AccountId,
    CommandId,
    Comment,
    CostCentre,
    Cursor,
    EmployeeId,
    Items,
    Limit,
    Note,
    Scoped,
    UniversalNumber,
    identifier,
)

MOST_ON_SCREEN = 20
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

# Who uploaded a file may name it, wherever its accounts lie; about everybody else accounts decides.
BulkId = Annotated[str, identifier("blk"), Scoped("accounts", "bulk", owner_decides=True)]
SkipFindings = Annotated[
    bool, Note("carry out the other rows although some have findings; without it such a file is refused")
]


class BulkKind(StrEnum):
    """What the rows of a file ask for."""

    CANCELLATIONS = "cancellations"
    SUSPENSIONS = "suspensions"
    OPENINGS = "openings"
    TRANSFERS = "transfers"
    HOLDERS = "holders"
    ACCOUNTING = "accounting"


class BulkState(StrEnum):
    """How far a file has come."""

    CHECKING = "checking"
    CHECKED = "checked"
    RUNNING = "running"
    FINISHED = "finished"


class ItemState(StrEnum):
    """What became of a row: it waits, or it has exactly one of the outcomes.

    *Accepted* is what is taken up and takes effect later, such as a suspension from a date on.
    """

    WAITING = "waiting"
    CARRIED_OUT = "carried_out"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


# On screen


@command(
    "accounts",
    route="/accounts/bulk/cancel",
    function="accounts.cancel",
    service_time=MINUTES_15,
    lendable=True,
    bulk=True,
)
class CancelAccounts(Message):
    """Cancel up to twenty card accounts for one reason; the result names what became of each (ACC-11)."""

    account_ids: Annotated[list[AccountId], Items(1, MOST_ON_SCREEN)]
    reason: CancelReason
    comment: Annotated[Comment, Note("required where the reason is other")] | None = None


@view
class AccountingOfAccount:
    """What one of the accounts is to have, in place of what is said for all."""

    account_id: AccountId
    employee_id: EmployeeId | None = None
    cost_centre: CostCentre | None = None
    universal_number: UniversalNumber | None = None


@command(
    "accounts",
    route="/accounts/bulk/accounting",
    function="accounts.accounting",
    service_time=MINUTES_15,
    bulk=True,
)
class ChangeAccountingOfAccounts(Message):
    """Change employee ID, cost centre and universal number of up to twenty accounts (ACC-17).

    What is said here is said for all of them; ``each`` says for some what only they are to have. What is left out or null
    in both stays as it is, and ``clear`` names what is to be empty.
    """

    account_ids: Annotated[list[AccountId], Items(1, MOST_ON_SCREEN)]
    employee_id: EmployeeId | None = None
    cost_centre: CostCentre | None = None
    universal_number: UniversalNumber | None = None
    clear: Annotated[list[AccountingField], Items(0, len(AccountingField))] | None = None
    each: (
        Annotated[
            list[AccountingOfAccount],
            Items(0, MOST_ON_SCREEN),
            Note("of accounts that account_ids names too"),
        ]
        | None
    ) = None


# By file: a submission for each kind


@command(
    "accounts",
    route="/bulk/cancellations/{bulk_id}/submit",
    function="accounts.cancel",
    service_time=ONE_DAY,
    lendable=True,
    bulk=True,
)
class SubmitCancellations(Message):
    """Cancel the card accounts of an uploaded file (Part 2 no. 8)."""

    bulk_id: BulkId
    skip_findings: SkipFindings = False


@command(
    "accounts",
    route="/bulk/suspensions/{bulk_id}/submit",
    function="accounts.suspend",
    service_time=ONE_DAY,
    bulk=True,
)
class SubmitSuspensions(Message):
    """Suspend the card accounts of an uploaded file (Part 2 no. 8)."""

    bulk_id: BulkId
    skip_findings: SkipFindings = False


@command(
    "accounts",
    route="/bulk/openings/{bulk_id}/submit",
    function="accounts.open",
    service_time=ONE_DAY,
    bulk=True,
)
class SubmitOpenings(Message):
    """Open the card accounts of an uploaded file (Part 2 no. 8)."""

    bulk_id: BulkId
    skip_findings: SkipFindings = False


@command(
    "accounts",
    route="/bulk/transfers/{bulk_id}/submit",
    function="accounts.transfer",
    service_time=ONE_DAY,
    bulk=True,
)
class SubmitTransfers(Message):
    """Transfer the card accounts of an uploaded file (Part 2 no. 8)."""

    bulk_id: BulkId
    skip_findings: SkipFindings = False


@command(
    "accounts",
    route="/bulk/holders/{bulk_id}/submit",
    function="accounts.holder",
    service_time=ONE_DAY,
    bulk=True,
)
class SubmitHolders(Message):
    """Change the holders' data of the card accounts of an uploaded file (Part 2 no. 8)."""

    bulk_id: BulkId
    skip_findings: SkipFindings = False


@command(
    "accounts",
    route="/bulk/accounting/{bulk_id}/submit",
    function="accounts.accounting",
    service_time=ONE_DAY,
    bulk=True,
)
class SubmitAccounting(Message):
    """Change the accounting fields of the card accounts of an uploaded file (ACC-17, Part 2 no. 8)."""

    bulk_id: BulkId
    skip_findings: SkipFindings = False


# Views and reads


@view
class BulkRow:
    """An uploaded file: how many rows it has, and how many of them stand where.

    The numbers of rows by outcome sum to ``rows``; a row with a finding counts as refused from the beginning.
    """

    bulk_id: str
    kind: BulkKind
    state: BulkState
    rows: int
    waiting: int
    carried_out: int
    accepted: int
    refused: int
    failed: int
    withdrawn: int
    uploaded_by: str
    on_behalf_of: str | None
    uploaded_at: datetime
    command_id: Annotated[str | None, Note("the request that submitted it; see GET /tracking/{command_id}")]
    finished_at: datetime | None


@view
class BulkItemRow:
    """One row of a file: its number there, the account that it names or opened, and what became of it and why."""

    row: int
    account_id: str | None
    outcome: ItemState
    code: str | None
    column: str | None
    message: str | None


@read("accounts", route="/bulk", function="accounts.view", returns=BulkRow, listing=True)
class ListBulks(Message):
    """The uploaded files, the newest first: the own ones, and what was submitted below one's control accounts."""

    kind: BulkKind | None = None
    state: BulkState | None = None
    command_id: Annotated[CommandId, Note("the file that this request submitted")] | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read("accounts", route="/bulk/{bulk_id}", function="accounts.view", returns=BulkRow)
class GetBulk(Message):
    """One uploaded file and how far it has come."""

    bulk_id: BulkId


@read("accounts", route="/bulk/{bulk_id}/items", function="accounts.view", returns=BulkItemRow, listing=True)
class ListBulkItems(Message):
    """The rows of a file in their order there, each with its finding or its outcome."""

    bulk_id: BulkId
    outcome: ItemState | None = None
    cursor: Cursor | None = None
    limit: Limit = 500
