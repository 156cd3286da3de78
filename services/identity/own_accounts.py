"""Whose a card account is: a holder acts on the own ones, which takes no grant (IDN-06).

Identity owns no card accounts. Under which control account one hangs, the gateway tells with the command that names it, and
accounts when it is transferred.
"""

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.entitlements import change_grants, grants_of, place_of, places_of
from services.identity.model import Company, OwnAccount, User, change
from shared.actor import Party
from shared.contracts.identity import OwnAccountsChanged
from shared.errors import NotFound, Rejected
from shared.history import note_change
from shared.messaging.transaction import Transaction

_FIELD = "own_accounts"


def own_accounts_of(session: orm.Session, user: str) -> dict[str, OwnAccount]:
    """Return the card accounts that a user holds, by id."""
    found = session.scalars(sa.select(OwnAccount).where(OwnAccount.user == user))
    return {own.account_id: own for own in found}


def placed_accounts(ids: Collection[str], tx: Transaction, field: str) -> Mapping[str, str]:
    """Return the control account under which each of these card accounts hangs.

    Raises NotFound where one does not exist or hangs below none of the actor's control accounts.
    """
    places = {id_: tx.envelope.places.get(id_, ())[-1:] for id_ in ids}
    numbers = {number for place in places.values() for number in place}
    try:
        paths = places_of(tx.session, numbers, until_commit=True)
    except NotFound:
        paths = {}
    reached = {number for number, path in paths.items() if _covers(path, tx)}
    if not all(place and place[0] in reached for place in places.values()):
        raise NotFound("card account", field)
    return {id_: number for id_, (number,) in places.items()}


def _covers(path: str, tx: Transaction) -> bool:
    return tx.actor.covers(tx.function or "", path.split("/"))


def check_to_give(accounts: Mapping[str, str], company: Company, tx: Transaction, field: str) -> None:
    """Raise Rejected where a card account is another company's, or somebody's already.

    The company is locked, so that nobody else gives one of its accounts meanwhile.
    """
    if not all(is_in_company(number, company, tx.session) for number in accounts.values()):
        raise Rejected("wrong_company", "The card account does not belong to the user's company.", field)
    held = sa.select(OwnAccount.account_id).where(OwnAccount.account_id.in_(sorted(accounts)))
    if tx.session.scalars(held.limit(1)).first():
        raise Rejected(
            "account_has_holder", "The card account is a user's already; take it from that user first.", field
        )


def is_in_company(number: str, company: Company, session: orm.Session) -> bool:
    """Return whether a control account belongs to a company."""
    path = places_of(session, [number])[number]
    return path.partition("/")[0] == company.control_account


def company_of(user: User, tx: Transaction) -> Company:
    """Return the company of a holder, locked; raises Rejected for a user who can hold no card account."""
    if user.party != Party.HOLDER or user.company is None:
        raise Rejected("no_holder", "Only users on the side of the holders have card accounts.", "user")
    tx.batch.load("company", [user.company])
    company: Company = tx.batch.loaded[Company][user.company]
    return company


def change_own_accounts(
    user: User, *, given: Mapping[str, str] | None = None, taken: Iterable[str] = (), tx: Transaction
) -> None:
    """Write which card accounts a user holds from now on."""
    given, taken = given or {}, sorted(taken)
    before = own_accounts_of(tx.session, user.id)
    tx.session.execute(sa.delete(OwnAccount).where(OwnAccount.account_id.in_(taken)))
    add_own_accounts(tx.session, user, given)
    tell_of_own_accounts(user, before=before, given=given, taken=taken, tx=tx)


def tell_of_own_accounts(
    user: User, *, before: Collection[str], given: Collection[str], taken: Collection[str], tx: Transaction
) -> None:
    """Write down and tell that a user holds other card accounts than before (Part 2 no. 9)."""
    after = (set(before) | set(given)) - set(taken)
    note_change(tx, change, user.id, _FIELD, _listed(before), _listed(after))
    told = OwnAccountsChanged(user=user.id, company=user.company, given=sorted(given), taken=sorted(taken))
    tx.publish(told, subject=user.id)


def add_own_accounts(session: orm.Session, user: User, accounts: Mapping[str, str]) -> None:
    """Let a user hold these card accounts, each with its control account."""
    session.add_all(
        OwnAccount(account_id=id_, user=user.id, control_account=number)
        for id_, number in sorted(accounts.items())
    )
    session.flush()


def follow_own_accounts(user: User, tx: Transaction) -> None:
    """Let a holder lie where the own card accounts lie; whoever has none left stays where the last one was."""
    numbers = {own.control_account for own in own_accounts_of(tx.session, user.id).values()}
    before = grants_of(tx.session, [user.id])[user.id]
    if numbers:
        after = {(function, number) for function, _ in before for number in numbers}
        change_grants(user, before, after, tx)
        user.place = place_of(tx.session, numbers)


def _listed(ids: Collection[str]) -> str | None:
    return " ".join(sorted(ids)) or None
