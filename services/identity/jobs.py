"""What the clock starts besides links to mail and inactivity: delegations, devices and codes that have run their time."""

import sqlalchemy as sa

from services.identity import rules
from services.identity.delegations import end_delegation
from services.identity.model import AccessCode, Delegation, Device
from shared.messaging.transaction import Transaction

AT_MOST = 200


def forget_devices(tx: Transaction) -> int:
    """Forget devices that were not used for long, a portion at a time, and return how many."""
    old = sa.select(Device.token_hash).where(Device.last_used_at <= tx.now - rules.DEVICE_KEPT)
    found = list(tx.session.scalars(old.limit(AT_MOST).with_for_update(skip_locked=True)))
    tx.session.execute(sa.delete(Device).where(Device.token_hash.in_(found)))
    return len(found)


def forget_access_codes(tx: Transaction) -> int:
    """Forget access codes that have expired, but not the phrases: a new code may be mailed for the same one."""
    old = sa.select(AccessCode.user).where(AccessCode.expires_at <= tx.now)
    found = list(tx.session.scalars(old.limit(AT_MOST).with_for_update(skip_locked=True)))
    forgetting = sa.update(AccessCode).where(AccessCode.user.in_(found))
    tx.session.execute(forgetting.values(code_hash=None, expires_at=None))
    return len(found)


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
