"""Lock-out: failures close a user ID for longer and longer, and never for good.

An attempt counts as failed from its start and is forgiven when it succeeds, so that a hundred guesses at once count as a
hundred. A device from which the user has signed in before has a count of its own: strangers cannot close it.
"""

import hashlib
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity import rules
from services.identity.model import Base, Device, SignInAttempts, User
from services.identity.refusals import TooManyAttempts
from shared.database import insert, is_postgresql

_FORGOTTEN_AT_ONCE = 100


def attempts_key(user_id: str, device: Device | None = None) -> str:
    """Return what attempts under a user ID are counted by; people type passwords there, so it is a hash."""
    counted = f"{user_id}\n{device.token_hash}" if device else user_id
    return hashlib.sha256(counted.encode()).hexdigest()


def begin_attempt(session: orm.Session, key: str, now: datetime) -> TooManyAttempts | None:
    """Count an attempt; return the refusal, to be raised after the commit, where it comes too soon to be looked at."""
    _forget_old_failures(session, now)
    wait = _locked(session, key, now).begin(now)
    return TooManyAttempts(wait) if wait else None


def forgive(session: orm.Session, key: str) -> None:
    """Forget the failures: this attempt has succeeded."""
    session.execute(sa.delete(SignInAttempts).where(SignInAttempts.key_hash == key))


def take_back(session: orm.Session, key: str, now: datetime) -> None:
    """Uncount an attempt that was right as far as it went; the failures before it stay."""
    attempts = session.get(SignInAttempts, key, with_for_update=True)
    if attempts:
        attempts.take_back(now)


def forgive_everywhere(session: orm.Session, user: User) -> None:
    """Forget the failures under a user's ID and on each of the user's devices."""
    devices = session.scalars(sa.select(Device).where(Device.user == user.id))
    keys = [attempts_key(user.user_id or "", device) for device in (None, *devices)]
    session.execute(sa.delete(SignInAttempts).where(SignInAttempts.key_hash.in_(keys)))


def _locked(session: orm.Session, key: str, now: datetime) -> SignInAttempts:
    """Return the attempts under a key, locked; there are some from now on if there were none."""
    table = Base.metadata.tables["sign_in_attempts"]
    fresh = {"key_hash": key, "failures": 0, "last_at": now, "open_at": now}
    entering = insert(table, postgresql_=is_postgresql(session)).values(fresh)
    # The update changes nothing, but locks: a sign-in that succeeds just now would otherwise take the row away.
    same = {"failures": table.c.failures}
    session.execute(entering.on_conflict_do_update(index_elements=[table.c.key_hash], set_=same))
    return session.get_one(SignInAttempts, key)


def _forget_old_failures(session: orm.Session, now: datetime) -> None:
    old = (
        sa.select(SignInAttempts.key_hash)
        .where(SignInAttempts.last_at < now - rules.FAILURES_KEPT)
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    session.execute(sa.delete(SignInAttempts).where(SignInAttempts.key_hash.in_(old)))
