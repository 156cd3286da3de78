"""Enrolment: make a company's users, with the grants that a role brings over some control accounts (IDN-01)."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.model import ControlAccount, Grant, User
from services.identity.rules import functions_of, lowest_common
from shared.actor import EVERYWHERE, Party
from shared.contracts.identity import UserStatus
from shared.contracts.types import Language
from shared.errors import NotFound
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
) -> User:
    """Return a new user, invited, who may do what the role brings over these control accounts.

    ``control_accounts`` are numbers, or `shared.actor.EVERYWHERE`. Raises Rejected where the party has no such role, or
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
    session.flush()
    return user


def place_of(session: orm.Session, control_accounts: Iterable[str]) -> str:
    """Return the path of the lowest control account above all of these; raises NotFound where one is unknown."""
    numbers = sorted(set(control_accounts))
    if not numbers or EVERYWHERE in numbers:
        return ""
    return lowest_common(paths_of(session, numbers).values())


def paths_of(session: orm.Session, numbers: Collection[str]) -> Mapping[str, str]:
    """Return the path of each control account; raises NotFound where one is unknown."""
    found = session.execute(
        sa.select(ControlAccount.number, ControlAccount.path).where(ControlAccount.number.in_(numbers))
    )
    paths = {row.number: row.path for row in found}
    if len(paths) < len(set(numbers)):
        raise NotFound("control account", "control_accounts")
    return paths
