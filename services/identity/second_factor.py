"""The second factor: one-time passwords by time (RFC 6238), and recovery codes that stand in for them, each once."""

from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from typing import TypeVar

import pyotp
import sqlalchemy as sa
from sqlalchemy import orm

from services.identity import rules
from services.identity.acts import record_act
from services.identity.lock_out import attempts_key, begin_attempt, forgive
from services.identity.model import Company, RecoveryCode, SecondFactor, User
from services.identity.sessions import signed_in_user
from services.identity.tokens import hash_code, new_code
from shared.actor import Actor
from shared.contracts.access import SecondFactorOffered, SecondFactorState
from shared.contracts.identity import SecondFactorChanged
from shared.database import Database
from shared.errors import Rejected
from shared.sealing import Seal

T = TypeVar("T")

_ISSUER = "Cardwork"
_STEP_SECONDS = 30
_DIGITS = 6
_DRIFT = (-1, 0, 1)  # how many steps the clock of an authenticator may be wrong


def second_factor_of(session: orm.Session, user: str) -> SecondFactor | None:
    """Return a user's second factor if it is in use."""
    factor = session.get(SecondFactor, user)
    return factor if factor and factor.confirmed_at else None


def use_up(session: orm.Session, factor: SecondFactor, otp: str, now: datetime, seal: Seal) -> bool:
    """Return whether this is a one-time password of the factor or a recovery code; it is not from now on."""
    if digits := _digits(otp):
        return _use_up_step(session, factor, digits, now, seal)
    used = sa.delete(RecoveryCode).where(
        RecoveryCode.user == factor.user, RecoveryCode.code_hash == hash_code(otp)
    )
    return bool(session.execute(used.returning(RecoveryCode.code_hash)).all())


def _digits(otp: str) -> str | None:
    """Return a one-time password as an authenticator shows it, in groups or not; None for anything else."""
    typed = otp.replace(" ", "")
    return typed if len(typed) == _DIGITS and typed.isascii() and typed.isdecimal() else None


def _use_up_step(session: orm.Session, factor: SecondFactor, otp: str, now: datetime, seal: Seal) -> bool:
    generator = pyotp.TOTP(seal.open(factor.secret))
    current = int(now.timestamp()) // _STEP_SECONDS
    steps = [current + drift for drift in _DRIFT]
    # All are compared, so that the time tells nothing; the latest that fits is the one that was used.
    fitting = [step for step in steps if compare_digest(generator.generate_otp(step), otp)]
    if not fitting:
        return False
    step = fitting[-1]
    using = sa.update(SecondFactor).where(SecondFactor.user == factor.user, SecondFactor.last_step < step)
    # Of two at the same time only one still finds the step unused.
    return bool(session.execute(using.values(last_step=step).returning(SecondFactor.user)).all())


def state_of(session: orm.Session, user: User) -> SecondFactorState:
    """Return whether the user has a second factor, has to have one, and how many recovery codes are left."""
    count = sa.select(sa.func.count()).select_from(RecoveryCode).where(RecoveryCode.user == user.id)
    return SecondFactorState(
        present=second_factor_of(session, user.id) is not None,
        required=_required(session, user),
        recovery_codes=session.scalar(count) or 0,
    )


def offer(session: orm.Session, user: User, seal: Seal) -> SecondFactorOffered:
    """Make a secret for the user's authenticator, in use once confirmed; one that was never confirmed is forgotten.

    Raises Rejected where a second factor is in use already.
    """
    factor = session.get(SecondFactor, user.id, with_for_update=True)
    if factor and factor.confirmed_at:
        raise Rejected(
            "second_factor_present", "You have a second factor. Remove it before you set up another one."
        )
    secret = pyotp.random_base32()
    session.merge(SecondFactor(user=user.id, secret=seal.close(secret), confirmed_at=None, last_step=0))
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.user_id, issuer_name=_ISSUER)
    return SecondFactorOffered(secret=secret, uri=uri)


def confirm(session: orm.Session, user: User, otp: str, now: datetime, seal: Seal) -> list[str]:
    """Take the offered secret into use and return the recovery codes.

    Raises Rejected where none was offered, or where the one-time password does not fit it.
    """
    factor = session.get(SecondFactor, user.id, with_for_update=True)
    if factor is None or factor.confirmed_at:
        raise Rejected("second_factor_not_offered", "Ask for a new secret first, then confirm it.")
    digits = _digits(otp)
    if digits is None or not _use_up_step(session, factor, digits, now, seal):
        raise wrong_otp()
    factor.confirmed_at = now
    codes = new_recovery_codes(session, user)
    _record(session, user, now, present=True)
    return codes


def new_recovery_codes(session: orm.Session, user: User) -> list[str]:
    """Return new recovery codes; those before are worth nothing then."""
    _forget_codes(session, user.id)
    codes = [new_code() for _ in range(rules.RECOVERY_CODES)]
    session.add_all(RecoveryCode(user=user.id, code_hash=hash_code(code)) for code in codes)
    session.flush()
    return codes


def give_up(session: orm.Session, user: User, now: datetime) -> None:
    """Remove the user's own second factor."""
    remove_second_factor(session, user.id)
    _record(session, user, now, present=False)


def check_may_give_up(session: orm.Session, user: User) -> None:
    """Raise Rejected where the user's company requires a second factor."""
    if _required(session, user):
        raise Rejected("second_factor_required", "Your company requires a second factor of everybody.")


def with_proof(
    database: Database,
    actor: Actor,
    otp: str,
    now: datetime,
    seal: Seal,
    change: Callable[[orm.Session, User], T],
) -> T:
    """Do something for whoever is signed in, against a one-time password or a recovery code, and return its result.

    A wrong one counts as a failed sign-in. Raises SessionOver, TooManyAttempts or Rejected.
    """
    key = attempts_key(actor.user_id)
    with database.write() as session:
        too_soon = begin_attempt(session, key, now)
        user = signed_in_user(session, actor)
        factor = second_factor_of(session, user.id)
        if factor is None:
            raise Rejected("no_second_factor", "You have no second factor.")
    if too_soon:
        raise too_soon
    with database.write() as session:
        if not use_up(session, factor, otp, now, seal):
            raise wrong_otp()
        forgive(session, key)
        return change(session, user)


def remove_second_factor(session: orm.Session, user: str) -> bool:
    """Forget a user's second factor and recovery codes; return whether there was one in use."""
    _forget_codes(session, user)
    removal = sa.delete(SecondFactor).where(SecondFactor.user == user).returning(SecondFactor.confirmed_at)
    return any(row.confirmed_at for row in session.execute(removal))


def wrong_otp() -> Rejected:
    """Return the refusal of a one-time password that somebody signed in has sent."""
    return Rejected(
        "second_factor_wrong",
        "This one-time password is not good, or was used before. Wait for the next one.",
        "otp",
    )


def _required(session: orm.Session, user: User) -> bool:
    company = session.get(Company, user.company) if user.company else None
    return company is not None and company.second_factor_required


def _forget_codes(session: orm.Session, user: str) -> None:
    session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user == user))


def _record(session: orm.Session, user: User, now: datetime, *, present: bool) -> None:
    record_act(
        session,
        user,
        "identity.second-factor",
        now=now,
        changes={"second_factor": (not present, present)},
        events=[SecondFactorChanged(user=user.id, present=present, recipient=user.recipient)],
    )
