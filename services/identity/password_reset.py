"""A forgotten password: a single-use link by mail (IDN-03).

Asking for one tells nobody whether there is such a user: what was typed is written down, sealed, in one statement, and a
job looks it up afterwards.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy import orm

from services.identity import rules
from services.identity.devices import add_device
from services.identity.lock_out import forgive_everywhere
from services.identity.model import PasswordReset, User
from services.identity.new_password import check_choice, keep_new_password
from services.identity.passwords import hash_password
from services.identity.refusals import ResetFailed
from services.identity.tokens import hash_token, new_token
from shared.contracts import access as language
from shared.contracts.identity import PasswordResetAsked
from shared.database import Database
from shared.ids import new_id
from shared.messaging.transaction import Transaction
from shared.sealing import BrokenSeal, Seal, seal_of
from shared.settings import Settings

AT_MOST = 100
_HOUR = timedelta(hours=1)

log = structlog.get_logger()


def ask_for_reset(session: orm.Session, user_id: str, now: datetime, seal: Seal) -> None:
    """Write down that somebody has forgotten the password of this user ID, if there is such a one."""
    session.add(PasswordReset(id=new_id("rst"), asked_for=seal.close(user_id), asked_at=now))


def answer_resets(tx: Transaction) -> int:
    """Mail a link to each user who asked for one, and return how many asked; who is unknown or inactive gets none."""
    waiting = (
        sa.select(PasswordReset)
        .where(PasswordReset.asked_for.is_not(None))
        .order_by(PasswordReset.asked_at)
        .limit(AT_MOST)
        .with_for_update(skip_locked=True)
    )
    asked = list(tx.session.scalars(waiting))
    for reset in asked:
        _answer(reset, tx)
    return len(asked)


def _answer(reset: PasswordReset, tx: Transaction) -> None:
    seal = seal_of(tx.settings)
    user = _asking(tx.session, seal, reset)
    unused = timedelta(days=tx.settings.unused_user_days)
    if user is None or not user.may_sign_in(tx.now, unused) or _has_enough(tx.session, user, tx.now):
        tx.session.delete(reset)
        return
    token = new_token()
    reset.user, reset.token_hash, reset.asked_for = user.id, hash_token(token), None
    reset.expires_at = tx.now + timedelta(minutes=tx.settings.password_reset_minutes)
    tx.session.flush()
    mail = PasswordResetAsked(
        user=user.id, recipient=user.recipient, token=seal.close(token), expires_at=reset.expires_at
    )
    tx.publish(mail, subject=user.id)


def _asking(session: orm.Session, seal: Seal, reset: PasswordReset) -> User | None:
    try:
        user_id = seal.open(reset.asked_for or "").lower()
    except BrokenSeal:
        log.warning("a request for a new password was sealed with another key")
        return None
    return session.scalar(sa.select(User).where(User.user_id == user_id))


def _has_enough(session: orm.Session, user: User, now: datetime) -> bool:
    """Return whether a user was mailed as many links within the hour as anybody may cause."""
    recent = PasswordReset.user == user.id, PasswordReset.asked_at > now - _HOUR
    count = session.scalar(sa.select(sa.func.count()).select_from(PasswordReset).where(*recent))
    return (count or 0) >= rules.LINKS_AN_HOUR


def reset_password(
    database: Database, given: language.PasswordReset, now: datetime, settings: Settings
) -> None:
    """Set the password for which a link was mailed; the failures under the user ID are forgotten.

    The token counts as a known device from now on, so that a stranger who goes on failing cannot keep the user out.
    Raises ResetFailed, or Rejected naming the password where it is too easy to guess; the link is still good then.
    """
    token_hash = hash_token(given.token)
    with database.read() as session:
        user = session.scalar(
            sa.select(User)
            .join(PasswordReset, PasswordReset.user == User.id)
            .where(PasswordReset.token_hash == token_hash, PasswordReset.expires_at > now)
        )
        if user is None or not user.may_sign_in(now, timedelta(days=settings.unused_user_days)):
            raise ResetFailed
        check_choice(session, user, given.password)
    password_hash = hash_password(given.password)
    with database.write() as session:
        using = sa.delete(PasswordReset).where(PasswordReset.token_hash == token_hash)
        if not session.execute(using.returning(PasswordReset.id)).all():
            raise ResetFailed  # somebody was quicker with the same link
        forgive_everywhere(session, user)
        add_device(session, user.id, given.token, now)
        keep_new_password(session, user, password_hash, now, act="identity.password-reset")


def forget_resets(tx: Transaction) -> int:
    """Forget links that are neither good nor count any more, a portion at a time, and return how many."""
    old = (
        sa.select(PasswordReset.id)
        .where(PasswordReset.expires_at < tx.now, PasswordReset.asked_at < tx.now - _HOUR)
        .limit(AT_MOST)
        .with_for_update(skip_locked=True)
    )
    ids = list(tx.session.scalars(old))
    tx.session.execute(sa.delete(PasswordReset).where(PasswordReset.id.in_(ids)))
    return len(ids)
