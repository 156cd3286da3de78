"""Sign-in: a password for a token, in a way that tells a guesser nothing and makes guessing slow.

Whatever is wrong, the answer is the same and so is the work: one transaction, one verification of a hash. An attempt
counts as failed from its start and is forgiven when it succeeds, so that a hundred guesses at once count as a hundred.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy import orm

from services.identity import rules
from services.identity.model import Base, SignInAttempts, User
from services.identity.passwords import hash_password, is_outdated, is_password
from services.identity.sessions import hash_token, start_session
from services.identity.signed_in import SignedIn, find_sessions
from shared.contracts.identity import UserStatus
from shared.database import Database, insert, is_postgresql
from shared.errors import Rejected

_FORGOTTEN_AT_ONCE = 100

log = structlog.get_logger()


class SignInFailed(Rejected):
    """User ID and password do not belong together, or the user is not active; it says no more than that."""

    def __init__(self) -> None:
        super().__init__("sign_in_failed", "This user ID and this password do not go together.")


class TooManyAttempts(Rejected):
    """Too many attempts have failed under this user ID, whether it exists or not; ``wait`` says until when it is closed."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too_many_attempts", "Too many sign-ins have failed under this user ID.")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class _Known:
    id: str | None = None
    password_hash: str | None = None
    active: bool = False


def sign_in(
    database: Database, *, user_id: str, password: str, now: datetime, lifetime: timedelta
) -> tuple[str, SignedIn]:
    """Return a new token and its session; raises SignInFailed or TooManyAttempts."""
    user_id = user_id.lower()
    known = _begin(database, user_id, now)
    if not is_password(known.password_hash, password) or not known.active:
        log.warning("sign-in failed", user=user_id if known.password_hash else None)
        raise SignInFailed
    assert known.id is not None
    assert known.password_hash is not None
    renewed = hash_password(password) if is_outdated(known.password_hash) else None
    with database.write() as session:
        session.execute(sa.delete(SignInAttempts).where(SignInAttempts.user_id_hash == _hashed(user_id)))
        if renewed:
            unchanged = User.id == known.id, User.password_hash == known.password_hash
            session.execute(sa.update(User).where(*unchanged).values(password_hash=renewed))
        session.execute(sa.update(User).where(User.id == known.id).values(last_signed_in_at=now))
        token = start_session(session, known.id, now)
        found = find_sessions(session, [hash_token(token)], now=now, lifetime=lifetime)
    return token, found[hash_token(token)]


def _begin(database: Database, user_id: str, now: datetime) -> _Known:
    """Count the attempt, and return what is known of the user, nothing for an unknown one."""
    with database.write() as session:
        _forget_old_failures(session, now)
        wait = _attempts(session, user_id, now).begin(now)
        row = session.execute(
            sa.select(User.id, User.password_hash, User.status).where(User.user_id == user_id)
        ).one_or_none()
    if wait:
        log.warning("sign-in closed", user=user_id if row else None)
        raise TooManyAttempts(wait)
    return _Known(row.id, row.password_hash, row.status == UserStatus.ACTIVE) if row else _Known()


def _attempts(session: orm.Session, user_id: str, now: datetime) -> SignInAttempts:
    """Return the attempts under a user ID, locked; there are some from now on if there were none."""
    table = Base.metadata.tables["sign_in_attempts"]
    fresh = {"user_id_hash": _hashed(user_id), "failures": 0, "last_at": now, "open_at": now}
    entering = insert(table, postgresql_=is_postgresql(session)).values(fresh)
    # The update changes nothing, but locks: a sign-in that succeeds just now would otherwise take the row away.
    same = {"failures": table.c.failures}
    session.execute(entering.on_conflict_do_update(index_elements=[table.c.user_id_hash], set_=same))
    return session.get_one(SignInAttempts, fresh["user_id_hash"])


def _forget_old_failures(session: orm.Session, now: datetime) -> None:
    old = (
        sa.select(SignInAttempts.user_id_hash)
        .where(SignInAttempts.last_at < now - rules.FAILURES_KEPT)
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    session.execute(sa.delete(SignInAttempts).where(SignInAttempts.user_id_hash.in_(old)))


def _hashed(user_id: str) -> str:
    # People type their password into the wrong field; it must not lie here in clear.
    return hashlib.sha256(user_id.encode()).hexdigest()
