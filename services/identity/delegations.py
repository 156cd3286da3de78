"""Delegations: what an administrator lends to a colleague for a time, and what of it is in force now (IDN-07).

What is lent is never more than the lender holds at that moment, and nothing to somebody who could not see the accounts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.entitlements import Pair, covers, grants_of, places_of
from services.identity.model import Delegation, User
from shared.contracts.identity import DelegationEnded, DelegationStatus, UserStatus
from shared.messaging.transaction import Transaction

SEEING = "accounts.view"  # the access that lender and borrower must have in common
SHARING = "delegations.lend"  # what administrators have who take part in sharing, and nobody else


@dataclass(frozen=True, slots=True)
class LentNow:
    """A delegation in force: the control accounts of each function that the lender holds just now."""

    delegation: Delegation
    lender: User
    grants: dict[str, set[str]]


def in_force(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition of a delegation that is in force."""
    return sa.and_(Delegation.ended_at.is_(None), Delegation.starts_at <= now, Delegation.ends_at > now)


def status_of(delegation: Delegation, now: datetime) -> DelegationStatus:
    """Return where a delegation stands."""
    if delegation.ended_at is not None or delegation.ends_at <= now:
        return DelegationStatus.ENDED
    return DelegationStatus.ACTIVE if delegation.starts_at <= now else DelegationStatus.UPCOMING


def lent_now(session: orm.Session, borrower: str, now: datetime) -> list[LentNow]:
    """Return what is lent to a user just now; what the lender has lost meanwhile is not among it."""
    found = session.execute(
        sa.select(Delegation, User)
        .join(User, User.id == Delegation.lender)
        .where(Delegation.borrower == borrower, in_force(now), User.status == UserStatus.ACTIVE)
        .order_by(Delegation.id)
    ).all()
    grants = grants_of(session, {borrower, *(lender.id for _, lender in found)})
    lent = [
        LentNow(delegation, lender, _held(session, delegation, grants[lender.id], grants[borrower]))
        for delegation, lender in found
    ]
    return [one for one in lent if one.grants]


def _held(
    session: orm.Session, delegation: Delegation, lenders: set[Pair], borrowers: set[Pair]
) -> dict[str, set[str]]:
    paths = places_of(session, delegation.control_accounts.split())
    common = {number: path for number, path in paths.items() if covers(borrowers, SEEING, path)}
    held = {
        function: {number for number, path in common.items() if covers(lenders, function, path)}
        for function in delegation.functions.split()
    }
    return {function: numbers for function, numbers in held.items() if numbers}


def possible_borrowers(session: orm.Session, lender: User, numbers: Collection[str]) -> Sequence[User]:
    """Return the administrators of the lender's company who see all of these control accounts too, in order of name."""
    colleagues = session.scalars(
        sa.select(User)
        .where(
            User.company == lender.company,
            User.party == lender.party,
            User.status == UserStatus.ACTIVE,
            User.id != lender.id,
        )
        .order_by(User.name, User.id)
    ).all()
    paths = places_of(session, numbers).values()
    grants = grants_of(session, [one.id for one in colleagues])
    return [
        one
        for one in colleagues
        if all(covers(grants[one.id], function, path) for function in (SEEING, SHARING) for path in paths)
    ]


def end_on_return(session: orm.Session, lender: str, now: datetime) -> Sequence[Delegation]:
    """End what was lent for an absence of this user, who has just signed in again; return what ended."""
    returned = session.scalars(
        sa.select(Delegation)
        .where(Delegation.lender == lender, Delegation.until_return, in_force(now))
        .with_for_update()
    ).all()
    for delegation in returned:
        delegation.ended_at = now
    session.flush()
    return returned


def end_delegation(delegation: Delegation, reason: str, tx: Transaction) -> None:
    """End a delegation, and tell so."""
    delegation.ended_at = tx.now
    tx.publish(
        DelegationEnded(delegation=delegation.id, company=delegation.company, reason=reason),
        subject=delegation.id,
    )
