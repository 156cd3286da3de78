"""How many live card accounts hang under each control account, counted where they change and folded by the clock (PRG-01).

A counter for each control account would have all who change accounts under it wait for each other. So each transaction
appends a row for each change, and the count is the sum: right for every reader at every moment, before a fold and after.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import CardAccount, live_accounts
from shared.contracts.accounts import AccountStatus
from shared.ids import new_message_id
from shared.messaging.transaction import Transaction

LIVE = frozenset({AccountStatus.ACTIVE, AccountStatus.SUSPENDED})
_FOLDED_AT_ONCE = 5000


def count_change(tx: Transaction, account: CardAccount, before: Mapping[str, Any]) -> None:
    """Count an account out of where it was live and into where it is live now, as far as these differ."""
    was, is_ = _place(before), _place(vars(account))
    if was == is_:
        return
    for control_account, difference in ((was, -1), (is_, 1)):
        if control_account is not None:
            _append(tx, control_account, difference)


def _place(state: Mapping[str, Any]) -> str | None:
    """Return the control account under which an account in this state counts; None where it does not count."""
    place: str | None = state.get("control_account") if state.get("status") in LIVE else None
    return place


def fold_counts(tx: Transaction) -> int:
    """Put one row in place of the many of a control account, and return how many rows that took.

    What another worker folds just now is passed over.
    """
    many = (
        sa.select(live_accounts.c.control_account)
        .group_by(live_accounts.c.control_account)
        .having(sa.func.count() > 1)
    )
    found = tx.session.execute(
        sa.select(live_accounts)
        .where(live_accounts.c.control_account.in_(many))
        .order_by(live_accounts.c.control_account, live_accounts.c.id)
        .limit(_FOLDED_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    sums: Counter[str] = Counter()
    for row in found:
        sums[row.control_account] += row.difference
    if len(found) == len(sums):
        return 0
    key = sa.tuple_(live_accounts.c.control_account, live_accounts.c.id)
    tx.session.execute(
        sa.delete(live_accounts).where(key.in_([(row.control_account, row.id) for row in found]))
    )
    for control_account, sum_ in sums.items():
        if sum_:
            _append(tx, control_account, sum_)
    return len(found)


def _append(tx: Transaction, control_account: str, difference: int) -> None:
    tx.insert(live_accounts, control_account=control_account, id=new_message_id(), difference=difference)


def count_anew(session: orm.Session, control_accounts: frozenset[str]) -> None:
    """Write the counts of control accounts whose card accounts were loaded without being counted."""
    found = session.execute(
        sa.select(CardAccount.control_account, sa.func.count())
        .where(CardAccount.status.in_(LIVE), CardAccount.control_account.in_(control_accounts))
        .group_by(CardAccount.control_account)
    ).all()
    if found:
        session.execute(
            sa.insert(live_accounts),
            [
                {"control_account": number, "id": new_message_id(), "difference": count}
                for number, count in found
            ],
        )
