"""A user's new password, whichever way it came: what it must not be, and what ends when it is there."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.acts import record_act
from services.identity.lock_out import attempts_key, begin_attempt, forgive
from services.identity.model import Company, PasswordReset, User
from services.identity.passwords import check_password, hash_password, is_password
from services.identity.sessions import revoke_sessions_of, signed_in_user
from shared.actor import Actor
from shared.contracts.access import PasswordChange
from shared.contracts.identity import PasswordChanged
from shared.database import Database
from shared.errors import Rejected


def check_choice(session: orm.Session, user: User, password: str, *, user_id: str | None = None) -> None:
    """Raise Rejected where a password is too easy to guess for this user, with the user ID about to be chosen."""
    company = session.get(Company, user.company) if user.company else None
    names = [user.name, *([company.name] if company else [])]
    check_password(password, user_id=user_id or user.user_id or "", names=names)


def keep_new_password(
    session: orm.Session, user: User, password_hash: str, now: datetime, *, act: str, but: str | None = None
) -> None:
    """Set a password: every session ends (but for one, where that is given), and every link for a new one is void."""
    session.execute(sa.update(User).where(User.id == user.id).values(password_hash=password_hash))
    session.execute(sa.delete(PasswordReset).where(PasswordReset.user == user.id))
    revoke_sessions_of(session, user.id, now, but=but)
    record_act(
        session,
        user,
        act,
        now=now,
        changes={"password": (None, "changed")},
        events=[PasswordChanged(user=user.id, recipient=user.recipient)],
    )


def change_password(database: Database, actor: Actor, given: PasswordChange, now: datetime) -> None:
    """Replace the password of whoever is signed in; every other session ends.

    A wrong current password counts as a failed sign-in. Raises SessionOver, TooManyAttempts, or Rejected naming the field.
    """
    key = attempts_key(actor.user_id)
    with database.write() as session:
        too_soon = begin_attempt(session, key, now)
        user = signed_in_user(session, actor)
    if too_soon:
        raise too_soon
    if not is_password(user.password_hash, given.current_password):
        raise Rejected("wrong_password", "This is not your password.", "current_password")
    with database.write() as session:
        forgive(session, key)
    with database.read() as session:
        check_choice(session, user, given.password)
    password_hash = hash_password(given.password)
    with database.write() as session:
        user = signed_in_user(session, actor)  # no more, if the owner has reset the password meanwhile
        keep_new_password(
            session, user, password_hash, now, act="identity.password-change", but=actor.session_id
        )
