"""A user's second factor: set up in two steps, proved where something about it changes, renewed and removed."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import pyotp
import sqlalchemy as sa
from sqlalchemy import orm

from services.identity import rules
from services.identity.acts import record_act
from services.identity.lock_out import attempts_key, begin_attempt, forgive
from services.identity.model import Company, RecoveryCode, SecondFactor, User
from services.identity.one_time_passwords import second_factor_of, use_up, use_up_one_time_password
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
    if not use_up_one_time_password(session, factor, otp, now, seal):
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
