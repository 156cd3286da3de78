"""Entitlements: what a user may do where, how that changes, and when it takes somebody's consent (IDN-05)."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.model import ControlAccount, Grant, User, change
from services.identity.rules import functions_open_to, lowest_common
from shared.actor import EVERYWHERE, Party
from shared.contracts.identity import Entitlement, UserStatus
from shared.errors import NotFound, Rejected
from shared.history import note_change
from shared.messaging.transaction import Transaction

Pair = tuple[str, str]  # a function, and the control account over which it is granted
CONSENT = "users.consent"


def grants_of(session: orm.Session, users: Collection[str]) -> dict[str, set[Pair]]:
    """Return what each of these users was granted."""
    found: dict[str, set[Pair]] = {user: set() for user in users}
    for grant in session.scalars(sa.select(Grant).where(Grant.user.in_(users))):
        found[grant.user].add((grant.function, grant.control_account))
    return found


def places_of(
    session: orm.Session, numbers: Collection[str], *, until_commit: bool = False
) -> Mapping[str, str]:
    """Return the path of each of these control accounts; raises NotFound where one is unknown.

    ``until_commit`` keeps them from moving meanwhile, so that rights that are given there are seen by who moves them.
    """
    wanted = set(numbers) - {EVERYWHERE}
    asked = sa.select(ControlAccount.number, ControlAccount.path).where(ControlAccount.number.in_(wanted))
    if until_commit:
        asked = asked.order_by(ControlAccount.number).with_for_update(read=True)
    paths = {row.number: row.path for row in session.execute(asked)}
    if paths.keys() != wanted:
        raise NotFound("control account", "control_accounts")
    return paths


def place_of(session: orm.Session, numbers: Collection[str]) -> str:
    """Return the path of the lowest control account above all of these; what is everywhere lies above everything."""
    if not numbers or EVERYWHERE in numbers:
        return ""
    return lowest_common(places_of(session, numbers).values())


def covers(grants: Iterable[Pair], function: str, path: str) -> bool:
    """Return whether a function is granted over what lies at ``path``."""
    above = {EVERYWHERE, *path.split("/")}
    return any(granted == function and number in above for granted, number in grants)


def pairs_of(entitlements: Sequence[Entitlement] | None) -> set[Pair]:
    """Return entitlements as pairs."""
    return {(one.function, one.control_account) for one in entitlements or ()}


def entitlements_of(pairs: Iterable[Pair]) -> list[Entitlement]:
    """Return pairs as entitlements, in order."""
    return [Entitlement(function=function, control_account=number) for function, number in sorted(pairs)]


def check_pairs(user: User, pairs: Collection[Pair], tx: Transaction) -> None:
    """Raise Rejected where something cannot be granted to this user, or not by this actor."""
    _check_functions(user, {function for function, _ in pairs}, tx)
    numbers = {number for _, number in pairs}
    if numbers and (EVERYWHERE in numbers) != (user.company is None):
        raise Rejected(
            "wrong_control_account",
            "The issuer's own people act everywhere (*), a company's users over its control accounts.",
            "give",
        )
    _check_paths(user, places_of(tx.session, numbers, until_commit=True).values(), tx)


def _check_functions(user: User, wanted: Collection[str], tx: Transaction) -> None:
    foreign = sorted(set(wanted) - functions_open_to(Party(user.party)))
    if foreign:
        raise Rejected(
            "function_not_for_party",
            f"These cannot be granted to a user on the side of the {user.party}: {', '.join(foreign)}.",
            "give",
        )
    if user.company is None:
        check_own(tx, wanted, "give")


def _check_paths(user: User, paths: Collection[str], tx: Transaction) -> None:
    if not all(tx.actor.covers(tx.function or "", path.split("/")) for path in paths):
        raise NotFound("control account", "give")
    masters = {path.partition("/")[0] for path in (*paths, user.place) if path}
    if len(masters) > 1:
        raise Rejected("wrong_company", "A user's control accounts belong to one company.", "give")


def check_own(tx: Transaction, functions: Collection[str], field: str) -> None:
    """Raise Rejected where one of the issuer's people would give a colleague more than they may do themselves."""
    missing = sorted(function for function in functions if not tx.actor.everywhere(function))
    if missing:
        raise Rejected(
            "not_yours_to_give", f"You may not do this yourself everywhere: {', '.join(missing)}.", field
        )


def user_to_change(id_: str, tx: Transaction) -> User:
    """Return a user whom the actor may change, locked.

    Raises NotFound, or Rejected for a colleague at the issuer who may do more than the actor: whoever could turn such a
    one's mail or access to themselves would be that one.
    """
    user = tx.one(User, id_, "user")
    if user.company is None:
        held = {function for function, _ in grants_of(tx.session, [user.id])[user.id]}
        if not all(tx.actor.everywhere(function) for function in held):
            raise Rejected("more_rights_than_yours", "This colleague may do more than you may.", "user")
    return user


def change_grants(user: User, before: set[Pair], after: set[Pair], tx: Transaction) -> None:
    """Write what a user may do from now on, with a line of history for each function that changed (Part 2 no. 9)."""
    gone = sa.delete(Grant).where(
        Grant.user == user.id, sa.tuple_(Grant.function, Grant.control_account).in_(sorted(before - after))
    )
    if before - after:
        tx.session.execute(gone)
    tx.session.add_all(
        Grant(user=user.id, function=function, control_account=number)
        for function, number in sorted(after - before)
    )
    user.place = place_of(tx.session, {number for _, number in after}) or user.place
    for function in sorted({function for function, _ in before ^ after}):
        note_change(tx, change, user.id, function, _numbers(before, function), _numbers(after, function))


def principals_of(session: orm.Session, user: User) -> list[User]:
    """Return those who could consent to more rights for a user: who holds that function over the user's place."""
    if user.company is None:
        return []
    colleagues = session.scalars(
        sa.select(User)
        .where(User.company == user.company, User.status == UserStatus.ACTIVE, User.id != user.id)
        .order_by(User.name, User.id)
    ).all()
    grants = grants_of(session, [colleague.id for colleague in colleagues])
    return [one for one in colleagues if covers(grants[one.id], CONSENT, user.place)]


def _numbers(pairs: Iterable[Pair], function: str) -> str | None:
    return " ".join(sorted(number for name, number in pairs if name == function)) or None
