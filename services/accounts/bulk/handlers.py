"""The bulk commands: a list from the screen is carried out at once, a file is handed to the job that goes through it."""

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from services.accounts.bulk.item import asked_by, awaits_second_person, carry_out
from services.accounts.bulk.kinds import KINDS, Kind, Submission
from services.accounts.bulk.queries import counts_of, may_see
from services.accounts.handlers.cancellation import cancel_account
from services.accounts.handlers.holder import change_accounting
from services.accounts.model import Bulk, ControlAccount
from services.accounts.rules import check_comment
from shared.contracts.accounts import AccountingField, CancelAccount, ChangeAccounting
from shared.contracts.bulk import (
    AccountingOfAccount,
    BulkState,
    CancelAccounts,
    ChangeAccountingOfAccounts,
    ItemState,
)
from shared.contracts.outcomes import RequestStatus
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Transaction
from shared.service import Handler


def cancel_accounts(command: CancelAccounts, tx: Transaction) -> dict[str, Any] | None:
    """Cancel up to twenty accounts for one reason; one that cannot be cancelled keeps no other from it (ACC-11)."""
    check_comment(command.reason, command.comment)
    _each_once(command.account_ids)
    if awaits_second_person(CancelAccount, tx):
        return None
    each = [
        CancelAccount(account_id=account_id, reason=command.reason, comment=command.comment)
        for account_id in command.account_ids
    ]
    return _carried_out(each, cancel_account, tx)


def change_accounting_of_accounts(
    command: ChangeAccountingOfAccounts, tx: Transaction
) -> dict[str, Any] | None:
    """Change the accounting fields of up to twenty accounts, to one value for all or each to its own (ACC-17)."""
    _each_once(command.account_ids)
    own = {one.account_id: one for one in command.each or ()}
    stray = sorted(own.keys() - set(command.account_ids))
    if stray or len(own) < len(command.each or ()):
        raise Rejected(
            "bad_each", "Name in each only accounts of account_ids, and each of them once.", "each"
        )
    if awaits_second_person(ChangeAccounting, tx):
        return None
    each = [_accounting_of(account_id, own.get(account_id), command) for account_id in command.account_ids]
    return _carried_out(each, change_accounting, tx)


def submit(command: Submission, tx: Transaction) -> None:
    """Have the rows of an uploaded file carried out, those with findings left out (Part 2 no. 8)."""
    bulk, kind = _named(command, tx)
    counts = counts_of(tx.session, [bulk.id])[bulk.id]
    _must_be_submittable(bulk, counts, skip_findings=command.skip_findings)
    if awaits_second_person(kind.item, tx):
        return
    envelope = tx.envelope
    bulk.state, bulk.submitted_at = BulkState.RUNNING, tx.now
    bulk.command_id, bulk.command_key, bulk.channel = envelope.id, envelope.key, envelope.channel
    bulk.actor, bulk.on_behalf_of = tx.actor.user_id, tx.actor.on_behalf_of
    bulk.party, bulk.company = tx.actor.party, tx.actor.company
    bulk.granted = orjson.dumps(sorted(tx.actor.control_accounts(kind.function))).decode()
    tx.finish_later(RequestStatus.PROCESSING)


def _each_once(account_ids: list[str]) -> None:
    doubled = sorted({one for one in account_ids if account_ids.count(one) > 1})
    if doubled:
        raise Rejected(
            "named_twice", f"Name each account once; twice named: {', '.join(doubled)}.", "account_ids"
        )


def _accounting_of(
    account_id: str, own: AccountingOfAccount | None, command: ChangeAccountingOfAccounts
) -> ChangeAccounting:
    """Return the change of one account: what is its own goes before what is for all."""
    given = {str(field): getattr(own, field, None) for field in AccountingField}
    values = {name: value or getattr(command, name) for name, value in given.items()}
    clear = [field for field in command.clear or () if not given[field]]
    return ChangeAccounting(account_id=account_id, **values, clear=clear or None)


def _carried_out(
    each: Sequence[CancelAccount | ChangeAccounting], handle: Handler, tx: Transaction
) -> dict[str, Any]:
    """Carry out each, and return how many were and what became of every one."""
    asked = asked_by(tx)
    became = [(one.account_id, carry_out(one, handle, asked, tx)) for one in each]
    items = [
        {"account_id": account_id, "outcome": one.state.value, "code": one.code, "message": one.message}
        for account_id, one in became
    ]
    refused = sum(one.state is ItemState.REFUSED for _, one in became)
    return {"carried_out": len(items) - refused, "refused": refused, "items": items}


def _named(command: Submission, tx: Transaction) -> tuple[Bulk, Kind]:
    kind = next(kind for kind in KINDS.values() if kind.submission is type(command))
    bulk = tx.session.scalar(sa.select(Bulk).where(Bulk.id == command.bulk_id).with_for_update())
    path = bulk and tx.session.scalar(
        sa.select(ControlAccount.path).where(ControlAccount.number == bulk.control_account)
    )
    if bulk is None or not may_see(tx.actor, kind.function, bulk, path.split("/") if path else []):
        raise NotFound("file", "bulk_id")
    if bulk.kind is not kind.name:
        raise Rejected("other_kind", f"This is a file of {bulk.kind}, not of {kind.name}.", "bulk_id")
    return bulk, kind


def _must_be_submittable(bulk: Bulk, counts: dict[ItemState, int], *, skip_findings: bool) -> None:
    refused, waiting = counts[ItemState.REFUSED], counts[ItemState.WAITING]
    if bulk.state is BulkState.CHECKING:
        raise Rejected("still_checking", "This file is still being checked; submit it once it is.", "bulk_id")
    if bulk.state is not BulkState.CHECKED:
        raise Rejected(
            "already_submitted", "This file has been submitted; upload it anew to do so again.", "bulk_id"
        )
    if not waiting:
        raise Rejected("nothing_to_do", "Every row of this file has a finding.", "bulk_id")
    if refused and not skip_findings:
        raise Rejected(
            "has_findings",
            f"{refused} of {refused + waiting} rows have findings. Mend the file and upload it anew, or submit it with "
            "skip_findings to leave those rows out.",
            "skip_findings",
        )
