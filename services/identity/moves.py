"""What becomes of rights when a part of the structure moves (IDN-05).

Within its company a part takes along whoever has rights over it. What leaves a company leaves that company's people behind:
they lose their rights over it, and with these what they lent of them, and the card accounts there that were theirs.
"""

from collections.abc import Collection

import sqlalchemy as sa

from services.identity.delegations import end_delegation
from services.identity.entitlements import change_grants, entitlements_of, grants_of, place_of
from services.identity.model import Company, Delegation, Grant, OwnAccount, User
from services.identity.own_accounts import change_own_accounts, own_accounts_of
from shared.contracts.identity import EntitlementsChanged
from shared.messaging.transaction import Transaction


def move_people(numbers: Collection[str], former: str, path: str, tx: Transaction) -> None:
    """Let users and delegations lie where their control accounts ``numbers`` lie now; these moved between two paths."""
    left, joined = former.partition("/")[0], path.partition("/")[0]
    gone = set(numbers) if left != joined else set()
    users = _concerned(numbers, former, tx)
    granted = grants_of(tx.session, [user.id for user in users])
    for user in users:
        before = granted[user.id]
        after = {pair for pair in before if pair[1] not in gone}
        tx.watch(user)
        _leave_accounts(user, gone, tx)
        change_grants(user, before, after, tx)
        if not after:
            user.place = left if gone else _moved(user.place, former, path)
        if before != after:
            taken = entitlements_of(before - after)
            told = EntitlementsChanged(
                user=user.id, company=user.company, given=[], taken=taken, recipient=user.recipient
            )
            tx.publish(told, subject=user.id)
    for delegation in _lent(left, tx):
        _move_delegation(delegation, set(numbers), gone, tx)


def _concerned(numbers: Collection[str], former: str, tx: Transaction) -> list[User]:
    """Return the users with rights over what moved, with a card account there, or who lie there without any, locked in order."""
    granted = sa.select(Grant.user).where(Grant.control_account.in_(numbers))
    lie_there = sa.or_(User.place == former, User.place.startswith(f"{former}/", autoescape=True))
    hold = sa.select(OwnAccount.user).where(OwnAccount.control_account.in_(numbers))
    concerned = sa.or_(User.id.in_(granted), User.id.in_(hold), lie_there)
    ids = tx.session.scalars(sa.select(User.id).where(concerned)).all()
    tx.batch.load("user", ids)
    return [tx.batch.loaded[User][id_] for id_ in sorted(ids)]


def _leave_accounts(user: User, gone: Collection[str], tx: Transaction) -> None:
    """Have a holder lose the card accounts that left the company."""
    own = own_accounts_of(tx.session, user.id) if gone else {}
    lost = [id_ for id_, account in own.items() if account.control_account in gone]
    if lost:
        change_own_accounts(user, taken=lost, tx=tx)


def _moved(place: str, former: str, path: str) -> str:
    inside = place == former or place.startswith(f"{former}/")
    return path + place[len(former) :] if inside else place


def _lent(master: str, tx: Transaction) -> list[Delegation]:
    """Return the delegations of a master's company that have not ended, locked in order."""
    company = sa.select(Company.number).where(Company.control_account == master)
    ids = tx.session.scalars(
        sa.select(Delegation.id).where(Delegation.company.in_(company), Delegation.ended_at.is_(None))
    ).all()
    tx.batch.load("delegation", ids)
    return [tx.batch.loaded[Delegation][id_] for id_ in sorted(ids)]


def _move_delegation(delegation: Delegation, numbers: set[str], gone: set[str], tx: Transaction) -> None:
    lent = set(delegation.control_accounts.split())
    if lent.isdisjoint(numbers):
        return
    if lent <= gone:
        end_delegation(delegation, "moved", tx)
        return
    delegation.control_accounts = " ".join(sorted(lent - gone))
    delegation.place = place_of(tx.session, lent - gone)
