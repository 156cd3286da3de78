"""Users who have not signed in for long: inactive until the help desk reactivates them (IDN-04)."""

from datetime import timedelta

import sqlalchemy as sa

from services.identity.model import User, change
from services.identity.sessions import revoke_sessions_of
from shared.contracts.identity import UserDeactivated, UserStatus
from shared.history import note_change
from shared.messaging.transaction import Transaction

AT_MOST = 100


def deactivate_unused(tx: Transaction) -> int:
    """Mark users inactive who have not signed in for too long, a portion at a time, and return how many.

    Sign-in does not wait for this: it counts the days itself.
    """
    limit = tx.now - timedelta(days=tx.settings.unused_user_days)
    unused = (
        sa.select(User)
        .where(
            User.status == UserStatus.ACTIVE,
            User.enrolled_at <= limit,
            sa.or_(User.active_since.is_(None), User.active_since <= limit),
            sa.or_(User.last_signed_in_at.is_(None), User.last_signed_in_at <= limit),
        )
        .limit(AT_MOST)
        .with_for_update(skip_locked=True)
    )
    users = list(tx.session.scalars(unused))
    for user in users:
        user.status = UserStatus.INACTIVE
        note_change(tx, change, user.id, "status", UserStatus.ACTIVE, UserStatus.INACTIVE)
        revoke_sessions_of(tx.session, user.id, tx.now)
        tx.publish(UserDeactivated(user=user.id, company=user.company, reason="unused"), subject=user.id)
    return len(users)
