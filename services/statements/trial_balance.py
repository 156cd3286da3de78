"""Whether the books balance: each currency sums to zero, and each balance is the sum of its entries."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import entry, ledger_account

_MOST_NAMED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """All ledger accounts of a currency, in minor units; ``balance`` is zero where the books balance."""

    currency: str
    accounts: int
    owed: int
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A ledger account whose balance is not what its entries say."""

    ledger_account: str
    balance: int
    entries: int


def totals(session: orm.Session) -> list[Total]:
    """Return the total of each currency; one statement, so that what is posted meanwhile is in it whole or not at all."""
    account = ledger_account.c
    owed = sa.case(
        (sa.and_(account.control_account.is_not(None), account.balance > 0), account.balance), else_=0
    )
    found = session.execute(
        sa.select(
            account.currency,
            sa.func.count().label("accounts"),
            _whole(sa.func.sum(owed)).label("owed"),
            _whole(sa.func.sum(account.balance)).label("balance"),
        )
        .group_by(account.currency)
        .order_by(account.currency)
    )
    return [Total(**row) for row in found.mappings()]


def differences(session: orm.Session) -> list[Difference]:
    """Return the ledger accounts whose balance is not the sum of their entries in their currency, the first hundred."""
    sides = sa.union_all(
        sa.select(entry.c.debit.label("id"), entry.c.currency, entry.c.amount),
        sa.select(entry.c.credit, entry.c.currency, -entry.c.amount),
    ).subquery("sides")
    sums = (
        sa.select(sides.c.id, sides.c.currency, _whole(sa.func.sum(sides.c.amount)).label("amount"))
        .group_by(sides.c.id, sides.c.currency)
        .subquery("sums")
    )
    moved = sa.func.coalesce(sums.c.amount, 0)
    same = sa.and_(sums.c.id == ledger_account.c.id, sums.c.currency == ledger_account.c.currency)
    found = session.execute(
        sa.select(
            ledger_account.c.id.label("ledger_account"), ledger_account.c.balance, moved.label("entries")
        )
        .outerjoin(sums, same)
        .where(ledger_account.c.balance != moved)
        .order_by(ledger_account.c.id)
        .limit(_MOST_NAMED)
    )
    return [Difference(**row) for row in found.mappings()]


def _whole(sum_: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.cast(sum_, sa.BigInteger)
