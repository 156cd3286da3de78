"""What identity is asked for with every request of the portal: whose sessions these are, and what they may do."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.model import Grant, Session, User
from shared.contracts.identity import UserStatus

Groups = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that is good now, with its user; ``grants`` are pairs of functions and the control accounts they share."""

    session_id: str
    user_id: str
    name: str
    role: str
    party: str
    company: str | None
    expires_at: datetime
    grants: Groups


_GRANTS = (
    sa.select(sa.func.aggregate_strings(Grant.function + " " + Grant.control_account, ","))
    .where(Grant.user == User.id)
    .scalar_subquery()
)
# Built once: it runs for every request.
_SESSIONS = (
    sa.select(
        Session.token_hash,
        Session.session_id,
        Session.last_used_at,
        User.user_id,
        User.name,
        User.role,
        User.party,
        User.company,
        _GRANTS.label("grants"),
    )
    .join(User, User.id == Session.user)
    .where(
        Session.token_hash.in_(sa.bindparam("token_hashes", expanding=True)),
        Session.last_used_at > sa.bindparam("unused_since"),
        Session.revoked_at.is_(None),
        User.status == UserStatus.ACTIVE,
    )
)


def find_sessions(
    session: orm.Session, token_hashes: Collection[str], *, now: datetime, lifetime: timedelta
) -> dict[str, SignedIn]:
    """Return the good sessions among these by the hash of their token, in one query however many they are (IDN-08)."""
    if not token_hashes:
        return {}
    given = {"token_hashes": list(token_hashes), "unused_since": now - lifetime}
    return {
        row.token_hash: SignedIn(
            session_id=row.session_id,
            user_id=row.user_id,
            name=row.name,
            role=row.role,
            party=row.party,
            company=row.company,
            expires_at=row.last_used_at + lifetime,
            grants=_groups(row.grants or ""),
        )
        for row in session.execute(_SESSIONS, given)
    }


@lru_cache(maxsize=1024)
def _groups(grants: str) -> Groups:
    """Return grants, as the query strings them together, as groups; most functions share the same control accounts."""
    numbers: dict[str, list[str]] = {}
    for grant in filter(None, grants.split(",")):
        function, _, number = grant.partition(" ")
        numbers.setdefault(function, []).append(number)
    functions: dict[tuple[str, ...], list[str]] = {}
    for function in sorted(numbers):
        functions.setdefault(tuple(sorted(numbers[function])), []).append(function)
    return tuple((tuple(names), shared) for shared, names in functions.items())
