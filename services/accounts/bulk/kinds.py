"""What the rows of a file may ask for: the command that a row stands for, and the command that submits a file of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from marshmallow import Schema

from services.accounts.handlers import cancellation, holder, opening, suspension, transfer
from shared.contracts.accounts import (
    CancelAccount,
    ChangeAccounting,
    ChangeHolder,
    OpenAccount,
    SuspendAccount,
    TransferAccount,
)
from shared.contracts.base import Message
from shared.contracts.bulk import (
    BulkKind,
    SubmitAccounting,
    SubmitCancellations,
    SubmitHolders,
    SubmitOpenings,
    SubmitSuspensions,
    SubmitTransfers,
)
from shared.contracts.schema import strict
from shared.service import Handler

Submission = (
    SubmitCancellations
    | SubmitSuspensions
    | SubmitOpenings
    | SubmitTransfers
    | SubmitHolders
    | SubmitAccounting
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of file: its columns are the fields of ``item``, its rows are carried out by ``handle``."""

    name: BulkKind
    item: type[Message]
    handle: Handler
    submission: type[Submission]

    @property
    def function(self) -> str:
        """What a caller needs over each account of a file."""
        return self.item.contract.function or ""

    @property
    def schema(self) -> Schema:
        """The schema that every row has to fit."""
        return strict(self.item)


KINDS: Mapping[BulkKind, Kind] = {
    kind.name: kind
    for kind in (
        Kind(BulkKind.CANCELLATIONS, CancelAccount, cancellation.cancel_account, SubmitCancellations),
        Kind(BulkKind.SUSPENSIONS, SuspendAccount, suspension.suspend_account, SubmitSuspensions),
        Kind(BulkKind.OPENINGS, OpenAccount, opening.open_account, SubmitOpenings),
        Kind(BulkKind.TRANSFERS, TransferAccount, transfer.transfer_account, SubmitTransfers),
        Kind(BulkKind.HOLDERS, ChangeHolder, holder.change_holder, SubmitHolders),
        Kind(BulkKind.ACCOUNTING, ChangeAccounting, holder.change_accounting, SubmitAccounting),
    )
}
