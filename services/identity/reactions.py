"""What identity hears of other services: where control accounts lie, and own card accounts."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.identity.model import ControlAccount, OwnAccount, User
from services.identity.moves import move_people
from services.identity.own_accounts import (
    change_own_accounts,
    company_of,
    follow_own_accounts,
    is_in_company,
    own_accounts_of,
)
from shared.contracts.accounts import AccountTransferred
from shared.contracts.structure import ControlAccountMoved, ControlAccountOpened
from shared.errors import Unavailable
from shared.messaging.transaction import Transaction


def note_control_account(event: ControlAccountOpened, tx: Transaction) -> None:
    """Keep the path of a new control account; one that overtook its parent comes again."""
    known = _locked([event.number, event.parent], tx)
    if event.number in known:
        return
    path = event.number
    if event.parent:
        path = f"{_parent_of(event, known).path}/{event.number}"
    tx.session.add(ControlAccount(number=event.number, path=path, version=event.version))
    tx.session.flush()


def follow_control_account(event: ControlAccountMoved, tx: Transaction) -> None:
    """Keep the new path of a control account and of all below it; people go along, or lose what left their company."""
    known = _locked([event.number, event.parent], tx)
    parent, node = _parent_of(event, known), known.get(event.number)
    if node is None:
        raise Unavailable(f"the control account {event.number} is not known yet")
    if event.version <= node.version:
        return
    former, path = node.path, f"{parent.path}/{node.number}"
    moved = [node, *_below(former, tx)]
    for one in moved:
        one.path = path + one.path[len(former) :]
    node.version = event.version
    tx.session.flush()
    move_people({one.number for one in moved}, former, path, tx)


def follow_transfer(event: AccountTransferred, tx: Transaction) -> None:
    """Let a holder lie where the own card account hangs now; one that left the company is the holder's no more."""
    holder = tx.session.scalar(sa.select(OwnAccount.user).where(OwnAccount.account_id == event.account_id))
    if holder is None:
        return
    if event.control_account not in _locked([event.control_account], tx):
        raise Unavailable(f"the control account {event.control_account} is not known yet")
    tx.batch.load("user", [holder])
    user: User = tx.batch.loaded[User][holder]
    own = own_accounts_of(tx.session, holder).get(event.account_id)
    if own is None or event.version <= own.placed:
        return
    tx.watch(user)
    if is_in_company(event.control_account, company_of(user, tx), tx.session):
        own.control_account, own.placed = event.control_account, event.version
        tx.session.flush()
    else:
        change_own_accounts(user, taken=[event.account_id], tx=tx)
    follow_own_accounts(user, tx)


def _parent_of(
    event: ControlAccountOpened | ControlAccountMoved, known: dict[str, ControlAccount]
) -> ControlAccount:
    parent = known.get(event.parent or "")
    if parent is None:
        raise Unavailable(f"the control account {event.parent} is not known yet")
    return parent


def _below(path: str, tx: Transaction) -> Sequence[ControlAccount]:
    """Return what lies below a path whose end is locked: whoever adds to it waits for that, or has committed."""
    return tx.session.scalars(
        sa.select(ControlAccount)
        .where(ControlAccount.path.startswith(f"{path}/", autoescape=True))
        .order_by(ControlAccount.number)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def _locked(numbers: list[str | None], tx: Transaction) -> dict[str, ControlAccount]:
    """Return control accounts as they stand now; nobody else moves them, or opens others below them, until the commit."""
    found = tx.session.scalars(
        sa.select(ControlAccount)
        .where(ControlAccount.number.in_([number for number in numbers if number]))
        .order_by(ControlAccount.number)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {node.number: node for node in found}
