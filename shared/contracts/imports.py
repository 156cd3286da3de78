"""Files of transactions and payments: how they are looked at, posted, and what becomes of each row.

A file is uploaded to ``POST /imports/{layout}``, which is no command: it posts nothing. What may be done with it is one.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.base import Message, command, read, view
from shared.contracts.service_times import ONE_DAY
from shared.contracts.types import (
    AccountId,
    Comment,
    ControlAccountNumber,
    Cursor,
    Limit,
    Money,
    Note,
    identifier,
)


class ImportState(StrEnum):
    """How far a file has come."""

    RECEIVING = "receiving"
    CHECKED = "checked"
    POSTING = "posting"
    POSTED = "posted"
    DISCARDED = "discarded"


class RowOutcome(StrEnum):
    """What there is to say of a row of a file; of one that was posted to its account at once there is nothing."""

    REFUSED = "refused"
    SEEN = "seen"
    SUSPENDED = "suspended"
    MATCHED = "matched"


ImportId = Annotated[str, identifier("imp")]
SuspendedId = Annotated[str, identifier("txn")]


@command(
    "statements", route="/imports/{import_id}/post", function="transactions.import", service_time=ONE_DAY
)
class PostImport(Message):
    """Post the rows of an uploaded file, those that cannot be read left out (Part 2 no. 17). The issuer does this."""

    import_id: ImportId
    skip_refused: Annotated[bool, Note("post the others although rows are refused")] = False
    skip_differences: Annotated[bool, Note("post although control totals differ")] = False


@command(
    "statements",
    route="/suspense/{transaction_id}/match",
    function="transactions.import",
    service_time=ONE_DAY,
)
class MatchTransaction(Message):
    """Say whose a transaction is that stands in suspense: a card account's, or a centrally billed control account's."""

    transaction_id: SuspendedId
    account_id: AccountId | None = None
    control_account: ControlAccountNumber | None = None
    comment: Comment | None = None


@view
class ControlTotalDifference:
    """A total that a file states and that its rows do not come to."""

    line: int
    measure: str
    currency: str | None
    stated: str
    found: str | None


@view
class ImportRow:
    """A file: how many rows it has, how many of them stand where, and how far it has come.

    Of the rows that can be read, ``posted`` are in the ledger, of these ``suspended`` are nobody's yet, and ``matched``
    were not at first; ``seen`` were posted before.
    """

    import_id: str
    state: ImportState
    layout: str
    mended: bool
    file_name: str | None
    columns: Annotated[list[str], Note("what its layout calls the columns")]
    control_account: str | None
    uploaded_by: str
    uploaded_at: datetime
    rows: int
    refused: int
    passed_over: int
    posted: int
    seen: int
    suspended: int
    matched: int
    control_totals: int
    differing: int
    differences: list[ControlTotalDifference]
    command_id: str | None
    finished_at: datetime | None


@view
class ImportFinding:
    """What there is to say of a row: its line in the file, and why it was refused, posts nothing or waits in suspense."""

    line: int
    outcome: RowOutcome
    code: str
    column: str | None
    message: str
    cells: Annotated[list[str] | None, Note("a refused row as it was read, by the columns of the file")]


@view
class SuspendedTransaction:
    """A transaction that nobody's account bears yet, with what its file says of whose it is."""

    transaction_id: str
    amount: Money
    merchant: str | None
    transacted_on: date
    reason: str
    last_four: str | None
    employee_id: str | None
    cost_centre: str | None
    universal_number: str | None
    control_account: str | None
    import_id: str
    line: int


@read("statements", route="/imports", function="transactions.import", returns=ImportRow, listing=True)
class ListImports(Message):
    """The uploaded files, the newest first."""

    state: ImportState | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read("statements", route="/imports/{import_id}", function="transactions.import", returns=ImportRow)
class GetImport(Message):
    """One file, and how far it has come."""

    import_id: ImportId


@read(
    "statements",
    route="/imports/{import_id}/findings",
    function="transactions.import",
    returns=ImportFinding,
    listing=True,
)
class ListImportFindings(Message):
    """The rows of a file of which there is something to say, in their order there."""

    import_id: ImportId
    outcome: RowOutcome | None = None
    cursor: Cursor | None = None
    limit: Limit = 500


@read(
    "statements",
    route="/suspense",
    function="transactions.import",
    returns=SuspendedTransaction,
    listing=True,
)
class ListSuspense(Message):
    """What stands in suspense, the oldest first."""

    cursor: Cursor | None = None
    limit: Limit = 50
