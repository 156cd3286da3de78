"""Sign-in: a password, and a one-time password where there is a second factor, for a token.

It tells a guesser nothing and makes guessing slow: whatever is wrong, the answer is the same and so is the work: one
transaction, one verification of a hash. Only whoever knows the password learns that there is a second factor.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

import sqlalchemy as sa
import structlog
from sqlalchemy import orm

from services.identity.acts import record_act
from services.identity.delegations import end_on_return
from services.identity.devices import known_device, remember_device
from services.identity.lock_out import attempts_key, begin_attempt, forgive, take_back
from services.identity.model import Device, User
from services.identity.one_time_passwords import second_factor_of, use_up
from services.identity.passwords import hash_password, is_outdated, is_password
from services.identity.refusals import SecondFactorNeeded, SecondFactorWrong, SignInFailed
from services.identity.sessions import start_session
from services.identity.signed_in import SignedIn, find_sessions
from services.identity.tokens import hash_token
from shared.contracts.access import SignIn
from shared.contracts.identity import DelegationEnded, UserStatus
from shared.contracts.types import Text
from shared.database import Database
from shared.errors import Rejected, Unavailable
from shared.sealing import seal_of
from shared.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(SignIn):
    """A sign-in and where it comes from, as far as the gateway can tell."""

    address: Annotated[str | None, Text(1, 45)] = None
    agent: Annotated[str | None, Text(1, 200)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session just begun: the token that only its bearer will know, and that of the device."""

    token: str
    device: str
    session: SignedIn


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    key: str
    device: Device | None
    user: User


def sign_in(database: Database, given: Visit, *, now: datetime, settings: Settings) -> Opened:
    """Return a new session.

    Raises SignInFailed, TooManyAttempts, SecondFactorNeeded or SecondFactorWrong.
    """
    attempt = _identify(database, given, now, timedelta(days=settings.unused_user_days))
    user, password_hash = attempt.user, attempt.user.password_hash
    assert password_hash is not None
    renewed = hash_password(given.password) if is_outdated(password_hash) else None
    with database.write() as session:
        refusal = _second_factor_refusal(session, attempt, given.otp, now, settings)
        if refusal is None:
            forgive(session, attempt.key)
            _note_sign_in(session, user, now, renewed or password_hash)
            _take_back_what_was_lent(session, user, now)
            token = start_session(session, user.id, now, address=given.address, agent=given.agent)
            device = remember_device(session, user.id, attempt.device, given.device, now)
            lifetime = timedelta(minutes=settings.session_minutes)
            found = find_sessions(session, [hash_token(token)], now=now, lifetime=lifetime)
    if refusal:
        log.warning("second factor refused", user=user.user_id, why=refusal.code)
        raise refusal
    return Opened(token=token, device=device, session=found[hash_token(token)])


def _identify(database: Database, given: SignIn, now: datetime, unused: timedelta) -> _Attempt:
    """Count the attempt and return whose it is; raises SignInFailed or TooManyAttempts."""
    user_id = given.user_id.lower()
    with database.write() as session:
        device = known_device(session, user_id, given.device, now)
        key = attempts_key(user_id, device)
        too_soon = begin_attempt(session, key, now)
        user = session.scalar(sa.select(User).where(User.user_id == user_id))
    known = user.user_id if user else None  # what nobody is called by may be a password
    if too_soon:
        log.warning("sign-in closed", user=known)
        raise too_soon
    right = is_password(user.password_hash if user else None, given.password)
    if user is None or not right or not user.may_sign_in(now, unused):
        log.warning("sign-in failed", user=known)
        raise SignInFailed
    return _Attempt(key=key, device=device, user=user)


def _second_factor_refusal(
    session: orm.Session, attempt: _Attempt, otp: str | None, now: datetime, settings: Settings
) -> Rejected | None:
    """Use up the one-time password where there is a second factor; return what is to be raised after the commit."""
    factor = second_factor_of(session, attempt.user.id)
    if factor is None:
        return None
    if otp is None:
        take_back(session, attempt.key, now)
        return SecondFactorNeeded()
    return None if use_up(session, factor, otp, now, seal_of(settings)) else SecondFactorWrong()


def _note_sign_in(session: orm.Session, user: User, now: datetime, password_hash: str) -> None:
    """Write the sign-in down; raises Unavailable where the user was changed since the password was looked at.

    A session must not outlive the password that opened it: whoever replaces one ends every session.
    """
    unchanged = User.id == user.id, User.status == UserStatus.ACTIVE, User.password_hash == user.password_hash
    noting = sa.update(User).where(*unchanged).values(last_signed_in_at=now, password_hash=password_hash)
    if not session.execute(noting.returning(User.id)).all():
        raise Unavailable("this user was changed at this very moment")


def _take_back_what_was_lent(session: orm.Session, user: User, now: datetime) -> None:
    """End what was lent for an absence: whoever signs in is back (IDN-07)."""
    ended = [
        DelegationEnded(delegation=one.id, company=one.company, reason="returned")
        for one in end_on_return(session, user.id, now)
    ]
    if ended:
        record_act(session, user, "identity.sign-in", now=now, changes={}, events=ended)
