"""What tracking takes note of besides requests: the card accounts by which requests are found, and where they lie (TRK-02).

Events may overtake each other: of two about one thing, the one of the higher version counts.
"""

from typing import Any

import sqlalchemy as sa

from services.tracking.model import account, control_account
from shared.contracts.accounts import AccountHolderChanged, AccountOpened, AccountTransferred
from shared.contracts.structure import ControlAccountMoved, ControlAccountOpened
from shared.database import insert, is_postgresql
from shared.errors import Unavailable
from shared.folding import name_key
from shared.messaging.transaction import Transaction


def note_control_account(event: ControlAccountOpened | ControlAccountMoved, tx: Transaction) -> None:
    """Note under which other a control account lies."""
    entry = insert(control_account, postgresql_=is_postgresql(tx.session)).values(
        number=event.number, parent=event.parent, level=event.level.value, version=event.version
    )
    newer = entry.excluded.version > control_account.c.version
    changes = {"parent": entry.excluded.parent, "version": entry.excluded.version}
    tx.session.execute(entry.on_conflict_do_update(index_elements=["number"], set_=changes, where=newer))


def note_account(opened: AccountOpened, tx: Transaction) -> None:
    """Note of a new account whose it is, of what kind, and where it lies."""
    entry = insert(account, postgresql_=is_postgresql(tx.session)).values(
        account_id=opened.account_id,
        product=opened.product.value,
        name_key=name_key(opened.first_name or "", opened.last_name or ""),
        embossed_name=opened.embossed_name or "",
        named=1,
        basic=opened.control_account,
        placed=1,
    )
    tx.session.execute(entry.on_conflict_do_nothing())


def note_transfer(event: AccountTransferred, tx: Transaction) -> None:
    """Note that an account lies elsewhere now."""
    _change(event.account_id, account.c.placed, event.version, {"basic": event.control_account}, tx)


def note_name(event: AccountHolderChanged, tx: Transaction) -> None:
    """Note by which names an account is found now."""
    names = {
        "name_key": name_key(event.first_name, event.last_name),
        "embossed_name": event.embossed_name,
    }
    _change(event.account_id, account.c.named, event.version, names, tx)


def _change(
    account_id: str, told_by: sa.Column[Any], version: int, changes: dict[str, Any], tx: Transaction
) -> None:
    """Change an account unless a later change is noted; one that overtook the opening comes again."""
    found = tx.session.scalar(sa.select(told_by).where(account.c.account_id == account_id).with_for_update())
    if found is None:
        raise Unavailable(f"the card account {account_id} is not known yet")
    if version > found:
        tx.session.execute(
            sa.update(account)
            .where(account.c.account_id == account_id)
            .values({**changes, told_by.name: version})
        )
