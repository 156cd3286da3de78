"""Enrolment: make a user who can sign in, with the grants that a role brings over some control accounts (IDN-01)."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import orm

from services.identity.model import Grant, User
from services.identity.rules import functions_of
from shared.actor import Party


def enrol_user(
    session: orm.Session,
    *,
    user_id: str,
    password_hash: str,
    name: str,
    party: Party,
    company: str | None,
    role: str,
    control_accounts: Collection[str],
    now: datetime,
) -> User:
    """Return the user of this ID, made now where there is none; one who exists is left as found.

    ``password_hash`` comes from `passwords.hash_password`, made before the transaction: that takes its time on purpose.
    ``control_accounts`` are numbers, or `shared.actor.EVERYWHERE`. Raises Rejected where the party has no such role.
    """
    functions = functions_of(role, party)
    known = session.get(User, user_id)
    if known:
        return known
    user = User(
        user_id=user_id,
        name=name,
        party=party,
        company=company,
        role=role,
        password_hash=password_hash,
        active=True,
        enrolled_at=now,
    )
    session.add(user)
    session.flush()
    session.add_all(
        Grant(user_id=user_id, function=function, control_account=number)
        for function in sorted(functions)
        for number in sorted(set(control_accounts))
    )
    session.flush()
    return user
