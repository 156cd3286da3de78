"""Cancellations in motion: at once, at their time, superseded, withdrawn (ACC-10, ACC-12)."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache

import sqlalchemy as sa

from services.accounts.model import Cancellation, CardAccount, change, of_request
from services.accounts.orders import notify_of_cancellation
from services.accounts.plastics import close_for_good
from shared.contracts.accounts import AccountCancelled, CancelReason
from shared.contracts.outcomes import CommandRejected, CommandWithdrawn
from shared.database import given_values, is_postgresql, values_parameter
from shared.errors import Rejected
from shared.history import note_change
from shared.messaging.transaction import Transaction

_FIELD = "scheduled_cancellation"
_SUPERSEDED = Rejected("superseded", "Another cancellation took its place.")


def cancel(account: CardAccount, reason: CancelReason, tx: Transaction) -> None:
    """Cancel an account with all its cards; raises Rejected where it is cancelled or expired already."""
    account.cancel(reason=reason, now=tx.now)
    told = AccountCancelled(account_id=account.id, control_account=account.control_account, reason=reason)
    tx.publish(told, subject=account.id)
    notify_of_cancellation(tx, account.id)
    tx.gather(_clear_up, account.id)


def schedule(account: CardAccount, reason: CancelReason, effective_at: datetime, tx: Transaction) -> None:
    """Have an account cancelled later, in place of what was scheduled for it before."""
    _supersede({account.id: tx}, tx)
    scheduled = Cancellation(
        account_id=account.id, effective_at=effective_at, reason=reason, **of_request(tx)
    )
    tx.session.add(scheduled)
    note_change(tx, change, account.id, _FIELD, None, _told(scheduled))
    tx.session.flush()


def carry_out(account: CardAccount, due: Cancellation, tx: Transaction) -> None:
    """Cancel an account now that the time has come; the request is rejected where it is closed by now."""
    _remove(due, tx)
    tx.session.flush()
    try:
        cancel(account, due.reason, tx)
    except Rejected as refusal:
        _reject(due, refusal, tx)
    else:
        tx.complete()


def withdraw_cancellation(command_id: str, tx: Transaction) -> bool:
    """Take back the cancellation that this command has scheduled (Part 2 no. 1)."""
    wanted = sa.select(Cancellation).where(Cancellation.command_id == command_id)
    account_id = tx.session.scalar(wanted.with_only_columns(Cancellation.account_id))
    if account_id is None:
        return False
    tx.batch.load("account", [account_id])
    scheduled = tx.session.scalar(wanted.with_for_update())  # the clock may have been quicker
    if scheduled is None:
        return False
    take_back(scheduled, tx)
    return True


def take_back(scheduled: Cancellation, tx: Transaction) -> None:
    """Let a cancellation that was to come be withdrawn; the account is locked."""
    asked = scheduled.request(tx)
    asked.publish(CommandWithdrawn(command_id=scheduled.command_id, command=asked.envelope.contract.name))
    _remove(scheduled, tx)
    tx.session.flush()


def _clear_up(accounts: Mapping[str, Transaction]) -> None:
    """Do for all accounts that a batch cancels what follows from it."""
    tx = next(iter(accounts.values()))
    close_for_good(accounts, tx)
    _supersede(accounts, tx)


def _supersede(accounts: Mapping[str, Transaction], tx: Transaction) -> None:
    statement = _scheduled(postgresql_=is_postgresql(tx.session))
    overtaken = tx.session.scalars(statement, values_parameter(accounts)).all()
    for cancellation in overtaken:
        _reject(cancellation, _SUPERSEDED, tx)
        _remove(cancellation, accounts[cancellation.account_id])
    if overtaken:
        tx.session.flush()


@cache
def _scheduled(*, postgresql_: bool) -> sa.Select[Cancellation]:
    theirs = Cancellation.account_id.in_(given_values(postgresql_=postgresql_))
    return sa.select(Cancellation).where(theirs)


def _remove(scheduled: Cancellation, tx: Transaction) -> None:
    note_change(tx, change, scheduled.account_id, _FIELD, _told(scheduled), None)
    tx.session.delete(scheduled)


def _told(scheduled: Cancellation) -> str:
    return f"{scheduled.reason}: {scheduled.effective_at.isoformat()}"


def _reject(scheduled: Cancellation, why: Rejected, tx: Transaction) -> None:
    asked = scheduled.request(tx)
    name = asked.envelope.contract.name
    asked.publish(
        CommandRejected(command_id=scheduled.command_id, command=name, code=why.code, message=why.message)
    )
