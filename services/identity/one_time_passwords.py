"""What proves that a second factor is at hand: one-time passwords by time (RFC 6238) and recovery codes, each good once."""

from datetime import datetime
from hmac import compare_digest

import pyotp
import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.model import RecoveryCode, SecondFactor
from services.identity.tokens import hash_code
from shared.sealing import Seal

_STEP_SECONDS = 30
_DIGITS = 6
_DRIFT = (-1, 0, 1)  # how many steps the clock of an authenticator may be wrong


def second_factor_of(session: orm.Session, user: str) -> SecondFactor | None:
    """Return a user's second factor if it is in use."""
    factor = session.get(SecondFactor, user)
    return factor if factor and factor.confirmed_at else None


def use_up(session: orm.Session, factor: SecondFactor, otp: str, now: datetime, seal: Seal) -> bool:
    """Return whether this is a one-time password of the factor or a recovery code; it is not from now on."""
    if _digits(otp):
        return use_up_one_time_password(session, factor, otp, now, seal)
    used = sa.delete(RecoveryCode).where(
        RecoveryCode.user == factor.user, RecoveryCode.code_hash == hash_code(otp)
    )
    return bool(session.execute(used.returning(RecoveryCode.code_hash)).all())


def use_up_one_time_password(
    session: orm.Session, factor: SecondFactor, otp: str, now: datetime, seal: Seal
) -> bool:
    """Return whether this is a one-time password of the factor, in use or not; it is not from now on."""
    generator = pyotp.TOTP(seal.open(factor.secret))
    current = int(now.timestamp()) // _STEP_SECONDS
    # All are compared, so that the time tells nothing; the latest that fits is the one that was used.
    fitting = [
        step
        for step in (current + drift for drift in _DRIFT)
        if compare_digest(generator.generate_otp(step), _digits(otp))
    ]
    if not fitting:
        return False
    step = fitting[-1]
    using = sa.update(SecondFactor).where(SecondFactor.user == factor.user, SecondFactor.last_step < step)
    # Of two at the same time only one still finds the step unused.
    return bool(session.execute(using.values(last_step=step).returning(SecondFactor.user)).all())


def _digits(otp: str) -> str:
    """Return the digits that an authenticator shows, in groups or not; nothing for anything else."""
    typed = otp.replace(" ", "")
    return typed if len(typed) == _DIGITS and typed.isascii() and typed.isdecimal() else ""
