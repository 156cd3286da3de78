"""Holds in motion: how they begin, end and are closed, by a command or by the clock (ACC-14, Part 2 no. 10)."""

import sqlalchemy as sa

from services.accounts.model import CardAccount, Hold, change
from shared.contracts.accounts import AccountStatus, AccountSuspended, AccountUnsuspended
from shared.contracts.outcomes import CommandRejected, CommandWithdrawn
from shared.errors import Rejected
from shared.history import note_change
from shared.messaging.transaction import Transaction


def note_put(hold: Hold, tx: Transaction) -> None:
    """Write into the history that a hold was put, at once or for later: another may have made the account unusable before."""
    note_change(tx, change, hold.account_id, "hold", None, _told(hold))


def begin_hold(account: CardAccount, hold: Hold, tx: Transaction) -> None:
    """Let a scheduled hold take effect; its request is completed, or rejected where the account is closed by now."""
    try:
        account.must_be_open()
    except Rejected as refusal:
        close_hold(hold, tx, refusal)
        return
    hold.in_force = True
    put_in_force(account, hold, tx)
    tx.complete({"hold_id": hold.id})


def end_hold(account: CardAccount, hold: Hold, tx: Transaction) -> None:
    """Let a hold end that has run its time."""
    _close(hold, tx)
    resume_if_free(account, tx)


def put_in_force(account: CardAccount, hold: Hold, tx: Transaction) -> None:
    """Make the account unusable, which is news only for the first hold."""
    first = account.status is AccountStatus.ACTIVE
    account.suspend()
    if first:
        tx.publish(
            AccountSuspended(
                account_id=account.id, control_account=account.control_account, origin=hold.origin
            ),
            subject=account.id,
        )


def close_hold(hold: Hold, tx: Transaction, because: Rejected) -> None:
    """Close a hold; one that never began takes its request to its end too, rejected for this reason."""
    if hold.is_scheduled:
        asked = hold.request(tx)
        name = asked.envelope.contract.name
        asked.publish(
            CommandRejected(
                command_id=hold.command_id, command=name, code=because.code, message=because.message
            )
        )
    _close(hold, tx)


def withdraw_hold(command_id: str, tx: Transaction) -> bool:
    """Take back the suspension that this command has scheduled and that did not begin yet (Part 2 no. 1)."""
    scheduled = sa.select(Hold).where(Hold.command_id == command_id, ~Hold.in_force, Hold.closed_at.is_(None))
    account_id = tx.session.scalar(scheduled.with_only_columns(Hold.account_id))
    if account_id is None:
        return False
    tx.batch.load("account", [account_id])
    hold = tx.session.scalar(scheduled.with_for_update())  # the clock may have begun it meanwhile
    if hold is None:
        return False
    asked = hold.request(tx)
    asked.publish(CommandWithdrawn(command_id=command_id, command=asked.envelope.contract.name))
    _close(hold, tx)
    return True


def _close(hold: Hold, tx: Transaction) -> None:
    hold.in_force, hold.closed_at = False, tx.now
    note_change(tx, change, hold.account_id, "hold", _told(hold), None)
    tx.session.flush()


def _told(hold: Hold) -> str:
    return f"{hold.origin}: {hold.effective_at.isoformat()} to {hold.ends_at.isoformat()}"


def resume_if_free(account: CardAccount, tx: Transaction) -> None:
    """Make the account usable again where no hold in force is left."""
    left = sa.select(
        sa.exists().where(Hold.account_id == account.id, Hold.in_force, Hold.closed_at.is_(None))
    )
    if account.status is AccountStatus.SUSPENDED and not tx.session.scalar(left):
        account.resume()
        tx.publish(
            AccountUnsuspended(account_id=account.id, control_account=account.control_account),
            subject=account.id,
        )
