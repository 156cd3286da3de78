"""Cancellations whose time has come (ACC-12)."""

import sqlalchemy as sa

from services.accounts.cancellations import carry_out
from services.accounts.model import Cancellation, CardAccount
from shared.messaging.transaction import Transaction

AT_MOST = 200


def carry_out_due_cancellations(tx: Transaction) -> int:
    """Cancel the accounts whose time has come, and return how many there were (ACC-12).

    Accounts are locked before what is due is read again, so that several workers never do the same one twice.
    """
    due = Cancellation.effective_at <= tx.now
    found = sa.select(Cancellation.account_id).where(due).order_by(Cancellation.effective_at).limit(AT_MOST)
    account_ids = sorted(tx.session.scalars(found))
    if not account_ids:
        return 0
    tx.batch.load("account", account_ids)
    again = sa.select(Cancellation).where(Cancellation.account_id.in_(account_ids), due)
    cancellations = tx.session.scalars(again).all()
    for cancellation in cancellations:
        account = tx.batch.loaded[CardAccount][cancellation.account_id]
        asked = cancellation.request(tx)
        asked.watch(account)
        carry_out(account, cancellation, asked)
        asked.record()
    return len(cancellations)
