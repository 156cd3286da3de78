"""What the clock starts: delegations that have run their time."""

import sqlalchemy as sa

from services.identity.delegations import end_delegation
from services.identity.model import Delegation
from shared.messaging.transaction import Transaction

AT_MOST = 200


def end_delegations(tx: Transaction) -> int:
    """End the delegations whose time is over, and return how many there were (IDN-07).

    They have been worth nothing since that instant; this says so to others.
    """
    due = (
        sa.select(Delegation)
        .where(Delegation.ended_at.is_(None), Delegation.ends_at <= tx.now)
        .order_by(Delegation.id)
        .limit(AT_MOST)
        .with_for_update(skip_locked=True)
    )
    ended = tx.session.scalars(due).all()
    for delegation in ended:
        end_delegation(delegation, "expired", tx)
    return len(ended)
