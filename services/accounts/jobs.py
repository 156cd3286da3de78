"""What the clock starts: suspensions that begin, and suspensions that have run their time."""

import sqlalchemy as sa

from services.accounts.holds import begin_hold, end_hold
from services.accounts.model import CardAccount, Hold, open_holds
from shared.messaging.transaction import Transaction

AT_MOST = 200


def apply_due_holds(tx: Transaction) -> int:
    """Begin and end the holds that are due, and return how many there were (ACC-14).

    Accounts are locked before their holds are read again, in the order in which handlers lock them, so that several
    workers neither do the same hold twice nor wait for each other in a ring.
    """
    due = sa.or_(
        sa.and_(~Hold.in_force, Hold.effective_at <= tx.now), sa.and_(Hold.in_force, Hold.ends_at <= tx.now)
    )
    found = (
        sa.select(Hold.account_id)
        .where(Hold.closed_at.is_(None), due)
        .order_by(Hold.effective_at)
        .limit(AT_MOST)
    )
    account_ids = sorted(set(tx.session.scalars(found)))
    if not account_ids:
        return 0
    tx.batch.load("account", account_ids)
    accounts = tx.batch.loaded[CardAccount]
    return sum(_apply(accounts[hold.account_id], hold, tx) for hold in open_holds(tx.session, account_ids))


def _apply(account: CardAccount, hold: Hold, tx: Transaction) -> bool:
    begins = not hold.in_force and hold.effective_at <= tx.now
    ends = hold.ends_at <= tx.now
    if not begins and not ends:
        return False
    step = tx.continuing(
        command_id=hold.command_id, key=hold.command_key, actor=hold.actor, on_behalf_of=hold.on_behalf_of,
        channel=hold.channel, subject=hold.account_id,
    )  # fmt: skip
    step.watch(account)
    if begins:
        begin_hold(account, hold, step)
    if ends and hold.closed_at is None:
        end_hold(account, hold, step)
    step.record()
    return True
