"""The only place that moves money: rows that lie ready somewhere are posted, all by a few statements.

Where the rows lie does not matter: a command's are handed over as a parameter, a file's lie in a table. What bears a key
that was seen before drops out when it is entered, and so out of all that follows. Ledger accounts are locked before a row
learns to which cycle it belongs, so that none slips between two statements. Everybody locks in one order, lest two wait
for each other: marks of what is to be told, ledger accounts by their ids, and last the internal ones, on which everybody
posts and so nobody may wait longer than a commit takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import (
    card_account,
    control_account,
    entry,
    ledger_account,
    posting,
    standing_due,
    statement,
)
from services.statements.rules import PAYMENTS, SUSPENSE, USES
from shared.contracts.accounts import PaymentStatus
from shared.contracts.statements import TransactionKind
from shared.database import GIVEN, Instant, given_rows, insert, is_postgresql, rows_parameter

TELL_STANDINGS = "tell-standings"
"""The job that tells what posting has changed; whoever posts wakes it."""

_SEEN_LATER = ("cycle", "corrected_by")
COLUMNS: Mapping[str, sa.types.TypeEngine[Any]] = {
    "counter": sa.String(40),
    "control_account": sa.String(15),
    **{column.name: column.type for column in posting.c if column.name not in _SEEN_LATER},
}
"""What a row to be posted has: the columns of a posting, ``counter``, the internal ledger account on the other side, and
``control_account``, the basic one under which it is billed (null in suspense)."""

_SUMS = (
    "balance",
    *(f"{billed}{name}" for billed in ("", "billed_") for name in ("debits", "credits", "payments")),
)
_NOW = sa.bindparam("now", type_=Instant)


@dataclass(frozen=True)
class Stage:
    """Rows to be posted, with the columns `COLUMNS`; its statements are made once, so keep it.

    Each row is to be posted once, and in the transaction that notes that it was: what is posted twice under one id fails.
    """

    rows: sa.FromClause
    postgresql_: bool

    def post(
        self, session: orm.Session, now: datetime, rows: int, parameters: Mapping[str, Any] | None = None
    ) -> int:
        """Post the rows, of which there are so many, and return how many were new.

        The currency of each must be its ledger account's.
        """
        given = dict(parameters or {})
        session.execute(self._note_standings, given)
        session.execute(self._open_accounts, given)
        session.execute(self._open_internal_accounts, given)
        if self.postgresql_:
            session.execute(self._lock, given)
        new = cast(sa.CursorResult[Any], session.execute(self._enter, given)).rowcount
        if new:
            follow = self._when_all_are_new if new == rows else self._when_some_are_new
            session.execute(follow.enter_both_sides, {**given, "now": now})
            session.execute(follow.note_last_use, given)
            session.execute(follow.change_balances, given)
            session.execute(follow.change_internal_balances, given)
        return new

    def ids_of_new(self, session: orm.Session, parameters: Mapping[str, Any] | None = None) -> Sequence[str]:
        """Return the ids of those of the rows that were new."""
        return session.scalars(sa.select(self._new.c.id), dict(parameters or {})).all()

    @cached_property
    def _note_standings(self) -> sa.Executable:
        account_id = self.rows.c.account_id
        concerned = sa.select(account_id).where(account_id.is_not(None)).distinct().order_by(account_id)
        entered = insert(standing_due, postgresql_=self.postgresql_).from_select(["account_id"], concerned)
        return entered.on_conflict_do_nothing()

    # Ledger accounts

    @cached_property
    def _open_accounts(self) -> sa.Executable:
        """A ledger account comes into being with its first posting, in the cycle that its control account is in."""
        rows = self.rows
        opening = _opening(rows.c.ledger_account, rows.c.currency).add_columns(
            rows.c.control_account,
            control_account.c.closed_through.label("closed_on"),
            sa.case((rows.c.control_account.is_not(None), rows.c.posted_on)).label("nil_since"),
        )
        place = control_account.c.number == rows.c.control_account
        is_open = sa.exists().where(ledger_account.c.id == rows.c.ledger_account)
        return self._opened(opening.select_from(rows.outerjoin(control_account, place)).where(~is_open))

    @cached_property
    def _open_internal_accounts(self) -> sa.Executable:
        return self._opened(_opening(self.rows.c.counter, self.rows.c.currency))

    def _opened(self, opening: sa.Select[Any]) -> sa.Executable:
        names = [column.name for column in opening.selected_columns]
        entered = insert(ledger_account, postgresql_=self.postgresql_).from_select(
            names, opening.where(sa.true()).distinct().order_by("id")
        )
        return entered.on_conflict_do_nothing()

    @cached_property
    def _lock(self) -> sa.Executable:
        concerned = sa.select(self.rows.c.ledger_account)
        return (
            sa.select(ledger_account.c.id)
            .where(ledger_account.c.id.in_(concerned))
            .order_by(ledger_account.c.id)
            .with_for_update()
        )

    # Postings

    @cached_property
    def _enter(self) -> sa.Executable:
        names = [column.name for column in posting.c if column.name not in _SEEN_LATER]
        same = sa.and_(
            ledger_account.c.id == self.rows.c.ledger_account,
            ledger_account.c.currency == self.rows.c.currency,
        )
        found = (
            sa.select(*(self.rows.c[name] for name in names), ledger_account.c.cycle)
            .select_from(self.rows.join(ledger_account, same))
            .where(sa.true())
        )
        entered = insert(posting, postgresql_=self.postgresql_).from_select([*names, "cycle"], found)
        once = entered.on_conflict_do_nothing(index_elements=["source", "source_key"])
        return once.execution_options(preserve_rowcount=True)

    @cached_property
    def _new(self) -> sa.Subquery:
        """What was entered of the rows."""
        return sa.select(self.rows).where(sa.exists().where(posting.c.id == self.rows.c.id)).subquery("new")

    @cached_property
    def _when_all_are_new(self) -> "_Following":
        return _Following(self.rows)

    @cached_property
    def _when_some_are_new(self) -> "_Following":
        return _Following(self._new)


@dataclass(frozen=True)
class _Following:
    """What follows once rows are entered: entries, balances, and when a card was used."""

    new: sa.FromClause

    @cached_property
    def enter_both_sides(self) -> sa.Executable:
        """Move the amount of each row from one side to the other."""
        new = self.new.c
        owed = new.amount > 0
        sides = sa.select(
            new.id,
            sa.literal_column("1"),
            sa.case((owed, new.ledger_account), else_=new.counter),
            sa.case((owed, new.counter), else_=new.ledger_account),
            sa.func.abs(new.amount),
            new.currency,
            _NOW,
        ).where(new.amount != 0)
        return sa.insert(entry).from_select([column.name for column in entry.c], sides)

    # Balances, each changed by the database from what it is

    @cached_property
    def change_balances(self) -> sa.Executable:
        """Change the ledger accounts on which the rows stand."""
        change, account = _changes(self.new).subquery("change"), ledger_account.c
        paid = account.credits + account.payments + change.c.credits + change.c.payments
        balance = account.balance + change.c.amount
        return (
            sa.update(ledger_account)
            .where(account.id == change.c.ledger_account)
            .values(
                balance=balance,
                debits=account.debits + change.c.debits,
                credits=account.credits + change.c.credits,
                payments=account.payments + change.c.payments,
                due_since=sa.case(
                    (change.c.credits + change.c.payments == 0, account.due_since), else_=_unpaid_since(paid)
                ),
                nil_since=sa.case(
                    (balance != 0, sa.null()),
                    (account.balance == 0, account.nil_since),
                    else_=change.c.posted_on,
                ),
            )
        )

    @cached_property
    def change_internal_balances(self) -> sa.Executable:
        """Change those on the other side."""
        new = self.new.c
        change = (
            sa.select(new.counter, sa.func.sum(-new.amount).label("amount")).group_by(new.counter).subquery()
        )
        return (
            sa.update(ledger_account)
            .where(ledger_account.c.id == change.c.counter)
            .values(balance=ledger_account.c.balance + _integer(change.c.amount))
        )

    # What else follows

    @cached_property
    def note_last_use(self) -> sa.Executable:
        """Note when the card accounts were used last."""
        new = self.new.c
        used = (
            sa.select(new.account_id, sa.func.max(new.transacted_on).label("day"))
            .where(new.kind.in_(USES))
            .group_by(new.account_id)
            .subquery("used")
        )
        earlier = sa.or_(card_account.c.last_used_on.is_(None), card_account.c.last_used_on < used.c.day)
        return (
            sa.update(card_account)
            .where(card_account.c.id == used.c.account_id, earlier)
            .values(last_used_on=used.c.day)
        )


def post(session: orm.Session, rows: Sequence[Mapping[str, Any]], now: datetime) -> Sequence[str]:
    """Post rows that are given as they are, and return the ids of those that were new; what a row lacks is null."""
    values = [[row.get(name) for name in COLUMNS] for row in rows]
    stage, given = _given(postgresql_=is_postgresql(session)), rows_parameter(session, values)
    new = stage.post(session, now, len(rows), given)
    return [row["id"] for row in rows] if new == len(rows) else stage.ids_of_new(session, given)


@cache
def _given(*, postgresql_: bool) -> Stage:
    return Stage(given_rows(COLUMNS, postgresql_=postgresql_).subquery(GIVEN + "_rows"), postgresql_)


def _opening(id_: sa.ColumnElement[str], currency: sa.ColumnElement[str]) -> sa.Select[Any]:
    columns: list[sa.ColumnElement[Any]] = [
        id_.label("id"),
        currency.label("currency"),
        *(sa.literal_column("0").label(name) for name in _SUMS),
        sa.literal_column("1").label("cycle"),
        sa.literal_column(f"'{PaymentStatus.CURRENT}'").label("payment_status"),
    ]
    return sa.select(*columns)


def _changes(new: sa.FromClause) -> sa.Select[Any]:
    """Select by how much each ledger account changes; money from and to a payer counts as payments, whichever way it went."""
    amount = new.c.amount
    # What leaves suspense has that on its other side, be it a payment or not.
    paid = sa.or_(
        new.c.counter.startswith(f"{PAYMENTS}:"),
        sa.and_(new.c.counter.startswith(f"{SUSPENSE}:"), new.c.kind == TransactionKind.PAYMENT.value),
    )
    figures = {
        "amount": amount,
        "debits": sa.case((sa.and_(~paid, amount > 0), amount), else_=0),
        "credits": sa.case((sa.and_(~paid, amount < 0), -amount), else_=0),
        "payments": sa.case((paid, -amount), else_=0),
    }
    return sa.select(
        new.c.ledger_account,
        sa.func.max(new.c.posted_on).label("posted_on"),
        *(_integer(sa.func.sum(figure)).label(name) for name, figure in figures.items()),
    ).group_by(new.c.ledger_account)


def _unpaid_since(paid: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """Return when the oldest statement fell due that so much, since the beginning, does not reach; the oldest are paid first."""
    return (
        sa.select(sa.func.min(statement.c.due_on))
        .where(statement.c.ledger_account == ledger_account.c.id, statement.c.debits_to_date > paid)
        .correlate_except(statement)
        .scalar_subquery()
    )


def _integer(sum_: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return a sum as what it is a sum of: PostgreSQL's sum of bigint is numeric."""
    return sa.cast(sum_, sa.BigInteger)


def suspense_of(currency: str) -> str:
    """Return the ledger account of what is posted before anybody knows whose it is."""
    return f"{SUSPENSE}:{currency}"
