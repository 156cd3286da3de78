"""The first sign-in: a mailed access code and a secret phrase, for a user ID and a password of one's own (IDN-02).

A code is good once, for a time, and for a few tries of its phrase. Whatever is wrong with it, the answer is the same and
so is the work: two statements, one verification of a hash.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy import orm

from services.identity import rules
from services.identity.acts import record_act
from services.identity.enrolment import company_name
from services.identity.model import AccessCode, User
from services.identity.new_password import check_choice
from services.identity.passwords import hash_password, is_password
from services.identity.refusals import EnrolmentFailed
from services.identity.tokens import hash_code, new_code
from shared.contracts.access import Enrolment
from shared.contracts.identity import UserEnrolled, UserStatus
from shared.database import Database
from shared.errors import Rejected
from shared.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Tried:
    """What a code leads to, if anything; the try has been counted."""

    user: User | None
    phrase_hash: str | None


def issue_access_code(
    session: orm.Session, user: User, *, phrase: str | None, now: datetime, settings: Settings
) -> str:
    """Return a new access code, in clear, for a user who has not signed in yet; the one before is worth nothing then.

    A phrase of None keeps the one that was agreed. Raises Rejected, with nothing changed, where none was, or where the
    user has enrolled already.
    """
    user.must_be(UserStatus.INVITED)
    kept = session.get(AccessCode, user.id, with_for_update=True)
    if phrase is None and kept is None:
        raise Rejected(
            "secret_phrase_needed", "No secret phrase was agreed with this user yet.", "secret_phrase"
        )
    if kept is None:
        kept = AccessCode(user=user.id)
        session.add(kept)
    if phrase is not None:
        kept.phrase_hash = hash_password(_folded(phrase))
    code = new_code()
    kept.code_hash, kept.failures = hash_code(code), 0
    kept.expires_at = now + timedelta(days=settings.access_code_days)
    session.flush()
    return code


def enrol(database: Database, given: Enrolment, now: datetime) -> str:
    """Take a user ID and a password into use, and return the user ID.

    Raises EnrolmentFailed, or Rejected naming the field that has to be chosen otherwise; the code is still good then.
    """
    code_hash = hash_code(given.access_code)
    tried = _try(database, code_hash, now)
    if not is_password(tried.phrase_hash, _folded(given.secret_phrase)) or tried.user is None:
        log.warning("enrolment failed", user=tried.user.id if tried.user else None)
        raise EnrolmentFailed
    with database.write() as session:
        # The phrase was right: what is yet to be chosen may be chosen as often as it takes.
        session.execute(sa.update(AccessCode).where(AccessCode.code_hash == code_hash).values(failures=0))
    with database.read() as session:
        _check_free(session, given.user_id)
        check_choice(session, tried.user, given.password, user_id=given.user_id)
    password_hash = hash_password(given.password)
    with database.write() as session:
        _use(session, tried.user, code_hash, given.user_id, password_hash, now)
    return given.user_id


def _try(database: Database, code_hash: str, now: datetime) -> _Tried:
    """Count a try as failed before the phrase is looked at, so that tries at the same time all count."""
    good = (
        AccessCode.code_hash == code_hash,
        AccessCode.expires_at > now,
        AccessCode.failures < rules.PHRASE_FAILURES,
    )
    counting = sa.update(AccessCode).where(*good).values(failures=AccessCode.failures + 1)
    with database.write() as session:
        row = session.execute(counting.returning(AccessCode.user, AccessCode.phrase_hash)).one_or_none()
        user = session.scalar(
            sa.select(User).where(
                User.id == (row.user if row else ""), User.status == UserStatus.INVITED, User.vouched_for
            )
        )
    return _Tried(user, row.phrase_hash if row else None)


def _use(
    session: orm.Session, user: User, code_hash: str, user_id: str, password_hash: str, now: datetime
) -> None:
    using = sa.delete(AccessCode).where(AccessCode.user == user.id, AccessCode.code_hash == code_hash)
    used = session.execute(using.returning(AccessCode.user)).all()
    user = session.get_one(User, user.id, with_for_update=True)
    if not used or user.status != UserStatus.INVITED:
        raise EnrolmentFailed  # somebody was quicker, or the user was deactivated just now
    _check_free(session, user_id)
    user.user_id, user.password_hash = user_id, password_hash
    user.begin_activity(now)
    session.flush()
    record_act(
        session,
        user,
        "identity.enrolment",
        now=now,
        changes={
            "user_id": (None, user_id),
            "password": (None, "changed"),
            "status": (UserStatus.INVITED, UserStatus.ACTIVE),
        },
        events=[
            UserEnrolled(
                user=user.id,
                user_id=user_id,
                company=user.company,
                company_name=company_name(session, user),
                recipient=user.recipient,
            )
        ],
    )


def _check_free(session: orm.Session, user_id: str) -> None:
    if session.scalar(sa.select(User.id).where(User.user_id == user_id)):
        raise Rejected("user_id_taken", "Somebody else has this user ID. Choose another one.", "user_id")


def _folded(phrase: str) -> str:
    """Return what a phrase is compared by: people agree on it by telephone."""
    return "".join(unicodedata.normalize("NFKC", phrase).casefold().split())
