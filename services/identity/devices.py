"""Known devices: a token that a client keeps and shows at the next sign-in, where strangers' failures do not count."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity import rules
from services.identity.model import Device, User
from services.identity.tokens import hash_token, new_token


def known_device(session: orm.Session, user_id: str, token: str | None, now: datetime) -> Device | None:
    """Return the device behind a token if this very user has signed in from it of late."""
    return session.scalar(
        sa.select(Device)
        .join(User, User.id == Device.user)
        .where(
            Device.token_hash == hash_token(token or ""),
            Device.last_used_at > now - rules.DEVICE_KEPT,
            User.user_id == user_id,
        )
    )


def remember_device(
    session: orm.Session, user: str, device: Device | None, token: str | None, now: datetime
) -> str:
    """Return the token of the device from which a user has just signed in, a new one for a new device."""
    if device and token:
        known = sa.update(Device).where(Device.token_hash == device.token_hash)
        session.execute(known.values(last_used_at=now))
        return token
    token = new_token()
    add_device(session, user, token, now)
    return token


def add_device(session: orm.Session, user: str, token: str, now: datetime) -> None:
    """Make a token that of a known device.

    A client that never sends its token would leave a device at every sign-in, so only the latest few are kept.
    """
    made = Device(token_hash=hash_token(token), user=user, last_used_at=now)
    session.add(made)
    session.flush()
    others = sa.select(Device.token_hash).where(Device.user == user, Device.token_hash != made.token_hash)
    surplus = others.order_by(Device.last_used_at.desc()).offset(rules.MOST_DEVICES - 1)
    session.execute(sa.delete(Device).where(Device.token_hash.in_(list(session.scalars(surplus)))))
