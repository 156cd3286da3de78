"""Whose sessions these are, and what each may do: asked with every request of the portal, so one statement for all.

Rights are looked up each time and kept nowhere, so that a change of them is in force with the very next request.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.delegations import lent_now
from services.identity.model import Company, Delegation, Grant, OwnAccount, SecondFactor, Session, User
from shared.actor import Party
from shared.contracts.identity import UserStatus

Groups = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LentToUser:
    """What somebody shares with the user just now."""

    delegation: str
    lender: str
    lender_name: str
    ends_at: datetime
    grants: Groups


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that is good now, with its user; ``grants`` are pairs of functions and the control accounts they share.

    ``approvals`` are the commands that the user's company has a second person approve, ``own_accounts`` the card accounts
    that the user holds. A user who needs a second factor
    and has none may do nothing but set one up.
    """

    session_id: str
    user: str
    user_id: str
    name: str
    role: str
    party: str
    company: str | None
    expires_at: datetime
    second_factor_needed: bool
    approvals: tuple[str, ...]
    own_accounts: tuple[str, ...]
    grants: Groups
    lent: list[LentToUser] = field(default_factory=list)


_GRANTS = (
    sa.select(sa.func.aggregate_strings(Grant.function + " " + Grant.control_account, ","))
    .where(Grant.user == User.id)
    .scalar_subquery()
)
_OWN_ACCOUNTS = (
    sa.select(sa.func.aggregate_strings(OwnAccount.account_id, " "))
    .where(OwnAccount.user == User.id)
    .scalar_subquery()
)
_LENT = sa.exists().where(
    Delegation.borrower == User.id,
    Delegation.ended_at.is_(None),
    Delegation.starts_at <= sa.bindparam("now"),
    Delegation.ends_at > sa.bindparam("now"),
)
_HAS_SECOND_FACTOR = sa.exists().where(SecondFactor.user == User.id, SecondFactor.confirmed_at.is_not(None))
# Built once: it runs for every request.
_SESSIONS = (
    sa.select(
        Session.token_hash,
        Session.session_id,
        Session.last_used_at,
        User.id,
        User.user_id,
        User.name,
        User.role,
        User.party,
        User.company,
        sa.func.coalesce(Company.approvals, "").label("approvals"),
        sa.and_(sa.func.coalesce(Company.second_factor_required, sa.false()), ~_HAS_SECOND_FACTOR).label(
            "second_factor_needed"
        ),
        sa.case((User.party == Party.HOLDER, _OWN_ACCOUNTS)).label("own_accounts"),
        _GRANTS.label("grants"),
        _LENT.label("is_lent"),
    )
    .join(User, User.id == Session.user)
    .outerjoin(Company, Company.number == User.company)
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
    """Return the good sessions among these by the hash of their token, however many they are (IDN-08).

    Whoever borrows from a colleague just now, which few do, costs a few statements more.
    """
    if not token_hashes:
        return {}
    given = {"token_hashes": list(token_hashes), "unused_since": now - lifetime, "now": now}
    return {
        row.token_hash: _signed_in(row, session, now, lifetime) for row in session.execute(_SESSIONS, given)
    }


def _signed_in(row: Any, session: orm.Session, now: datetime, lifetime: timedelta) -> SignedIn:
    may_act = not row.second_factor_needed
    return SignedIn(
        session_id=row.session_id,
        user=row.id,
        user_id=row.user_id,
        name=row.name,
        role=row.role,
        party=row.party,
        company=row.company,
        expires_at=row.last_used_at + lifetime,
        second_factor_needed=row.second_factor_needed,
        approvals=tuple(row.approvals.split()),
        own_accounts=tuple(sorted((row.own_accounts or "").split())) if may_act else (),
        grants=_groups(row.grants or "") if may_act else (),
        lent=_lent(session, row.id, now) if row.is_lent and may_act else [],
    )


def _lent(session: orm.Session, borrower: str, now: datetime) -> list[LentToUser]:
    return [
        LentToUser(
            delegation=one.delegation.id,
            lender=one.lender.user_id or "",
            lender_name=one.lender.name,
            ends_at=one.delegation.ends_at,
            grants=grouped(one.grants),
        )
        for one in lent_now(session, borrower, now)
    ]


@lru_cache(maxsize=1024)
def _groups(grants: str) -> Groups:
    """Return grants, as the query strings them together, as groups."""
    numbers: dict[str, list[str]] = {}
    for grant in filter(None, grants.split(",")):
        function, _, number = grant.partition(" ")
        numbers.setdefault(function, []).append(number)
    return grouped(numbers)


def grouped(grants: Mapping[str, Iterable[str]]) -> Groups:
    """Return grants as pairs of functions and control accounts: most functions share the same control accounts."""
    functions: dict[tuple[str, ...], list[str]] = {}
    for function in sorted(grants):
        functions.setdefault(tuple(sorted(grants[function])), []).append(function)
    return tuple((tuple(names), shared) for shared, names in functions.items())
