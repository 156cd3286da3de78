"""Enrolment: make a company's users, with the grants that a role brings over some control accounts (IDN-01)."""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.entitlements import place_of
from services.identity.model import Company, Grant, User
from services.identity.own_accounts import add_own_accounts
from services.identity.rules import functions_of
from shared.actor import Party
from shared.contracts.identity import UserStatus
from shared.contracts.types import Language
from shared.ids import new_id


def enrol_user(
    session: orm.Session,
    *,
    name: str,
    party: Party,
    company: str | None,
    role: str,
    control_accounts: Collection[str],
    email: str,
    phone: str | None,
    language: Language,
    now: datetime,
    vouched_for: bool = True,
    own_accounts: Mapping[str, str] = MappingProxyType({}),
) -> User:
    """Return a new user, invited, who may do what the role brings over these control accounts.

    ``control_accounts`` are numbers, or `shared.actor.EVERYWHERE`; ``own_accounts`` are the card accounts that the user
    holds, each with its control account. Raises Rejected where the party has no such role, or
    NotFound where there is no such control account.
    """
    functions = functions_of(role, party)
    user = User(
        id=new_id("usr"),
        name=name,
        party=party,
        company=company,
        role=role,
        place=place_of(session, control_accounts),
        email=email,
        phone=phone,
        language=language,
        status=UserStatus.INVITED,
        vouched_for=vouched_for,
        enrolled_at=now,
    )
    session.add(user)
    session.flush()
    session.add_all(
        Grant(user=user.id, function=function, control_account=number)
        for function in sorted(functions)
        for number in sorted(set(control_accounts))
    )
    add_own_accounts(session, user, own_accounts)
    return user


def company_name(session: orm.Session, user: User) -> str | None:
    """Return the name of a user's company; None for the issuer's people."""
    return session.scalar(sa.select(Company.name).where(Company.number == user.company))
