"""Closing billing cycles: each basic control account on its cycle day, exactly once, whoever does it and however late (STM-08).

Ledger accounts are closed some at a time, each some in a transaction of its own, and one that is closed for a day is not
closed for it again. So a closing that is killed goes on where it was, two workers share one, and whoever posts or reads
meanwhile finds each account before its closing or after it.
"""

import time
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from services.statements.jobs.standings import AGE_DEBTS
from services.statements.model import card_account, control_account, ledger_account, statement
from services.statements.queries.billing import SET_UP
from services.statements.rules import day_of, latest_closing, next_closing
from shared.contracts.statements import IssuedStatement, StatementsIssued
from shared.database import insert_rows
from shared.ids import new_id
from shared.messaging.transaction import Transaction
from shared.service import Transact

CLOSED_AT_ONCE = 1000
LONGEST_RUN_SECONDS = 10
CLOSE_CYCLES = "close-cycles"
_DAYS = range(1, 29)
_LEVEL = "basic"
_PLACES_AT_ONCE = 100


def close_cycles(transact: Transact) -> int:
    """Close what is due, and return how many statements that made; a run is short, and the next one goes on."""
    until, issued = time.monotonic() + LONGEST_RUN_SECONDS, 0
    while time.monotonic() < until:
        with transact() as tx:
            made = _close_some(tx)
        if made is None:
            break
        issued += made
    return issued


def _close_some(tx: Transaction) -> int | None:
    """Close some ledger accounts that are due, and return how many statements that made; None where nothing is left to be done."""
    today = day_of(tx.now, tx.settings.time_zone)
    closed = issued = finished = 0
    for place in tx.session.execute(_due(today)).all():
        closes_on = next_closing(place.closed_through, place.billing_cycle_day)
        rows = tx.session.execute(_to_close(place.number, closes_on)).all()
        closed += len(rows)
        issued += _close(rows, place.number, closes_on, tx) if rows else 0
        if len(rows) < CLOSED_AT_ONCE:
            finished += _finish(place.number, closes_on, tx)
        if closed >= CLOSED_AT_ONCE:
            break
    if not closed and not finished:
        return None
    tx.wake(CLOSE_CYCLES)
    tx.wake(AGE_DEBTS)  # what is closed late may be overdue at once
    return issued


def _due(today: date) -> sa.Select[Any]:
    """Select the basic control accounts that have not closed through their latest cycle day."""
    latest = sa.case({day: latest_closing(today, day) for day in _DAYS}, value=SET_UP.c.billing_cycle_day)
    return (
        sa.select(SET_UP.c.number, SET_UP.c.closed_through, SET_UP.c.billing_cycle_day)
        .join(control_account, control_account.c.number == SET_UP.c.number)
        .where(control_account.c.level == _LEVEL, SET_UP.c.closed_through < latest)
        .order_by(SET_UP.c.closed_through, SET_UP.c.number)
        .limit(_PLACES_AT_ONCE)
    )


def _to_close(number: str, closes_on: date) -> sa.Select[Any]:
    """Select the next ledger accounts to close, each with the statement before, locked; others' are passed over."""
    before = statement.alias("before")
    previous = sa.and_(
        before.c.ledger_account == ledger_account.c.id, before.c.cycle == ledger_account.c.cycle - 1
    )
    return (
        sa.select(
            ledger_account,
            before.c.balance.label("previous_balance"),
            before.c.debits_to_date,
            before.c.credits_to_date,
            before.c.payments_to_date,
            card_account.c.id.label("account_id"),
        )
        .outerjoin(before, previous)
        .outerjoin(card_account, card_account.c.id == ledger_account.c.id)
        .where(ledger_account.c.control_account == number, ledger_account.c.closed_on < closes_on)
        .order_by(ledger_account.c.id)
        .limit(CLOSED_AT_ONCE)
        .with_for_update(of=ledger_account, skip_locked=True)
    )


def _close(rows: Any, number: str, closes_on: date, tx: Transaction) -> int:
    """Write the statements of ledger accounts in hand; one on which nothing stands and nothing happened gets none."""
    due_on = closes_on + timedelta(days=tx.settings.payment_days)
    made = [_statement(row, number, closes_on, due_on) for row in rows if _has_something(row)]
    if made:
        insert_rows(tx.session, statement, tuple(made[0]), [tuple(one.values()) for one in made])
    ids = [row.id for row in rows]
    billed = [one["ledger_account"] for one in made]
    owing = [
        one["ledger_account"]
        for one in made
        if one["debits_to_date"] > one["credits_to_date"] + one["payments_to_date"]
    ]
    account = ledger_account.c
    tx.session.execute(
        sa.update(ledger_account)
        .where(account.id.in_(ids))
        .values(
            closed_on=closes_on,
            cycle=account.cycle + sa.case((account.id.in_(billed), 1), else_=0),
            due_since=sa.case(
                (sa.and_(account.id.in_(owing), account.due_since.is_(None)), due_on), else_=account.due_since
            ),
        )
    )
    if made:
        issued = [
            IssuedStatement(
                statement_id=one["id"], account_id=one["account_id"], balance=one["balance"], currency=one["currency"]
            )
            for one in made
        ]  # fmt: skip
        told = StatementsIssued(control_account=number, closed_on=closes_on, due_on=due_on, statements=issued)
        tx.publish(told, subject=number)
    return len(made)


def _has_something(row: Any) -> bool:
    since = (row.debits_to_date or 0, row.credits_to_date or 0, row.payments_to_date or 0)
    return row.balance != 0 or (row.debits, row.credits, row.payments) != since


def _statement(row: Any, number: str, closes_on: date, due_on: date) -> dict[str, Any]:
    return {
        "id": new_id("stm"),
        "ledger_account": row.id,
        "cycle": row.cycle,
        "account_id": row.account_id,
        "control_account": number,
        "currency": row.currency,
        "opened_on": row.closed_on,
        "closed_on": closes_on,
        "due_on": due_on,
        "previous_balance": row.previous_balance or 0,
        "payments": row.payments - (row.payments_to_date or 0),
        "credits": row.credits - (row.credits_to_date or 0),
        "debits": row.debits - (row.debits_to_date or 0),
        "balance": row.balance,
        "debits_to_date": row.debits,
        "credits_to_date": row.credits,
        "payments_to_date": row.payments,
    }


def _finish(number: str, closes_on: date, tx: Transaction) -> bool:
    """Note that a control account has closed through a day, unless others are closing its last accounts just now."""
    left = sa.exists().where(
        ledger_account.c.control_account == number, ledger_account.c.closed_on < closes_on
    )
    done = tx.session.execute(
        sa.update(control_account)
        .where(control_account.c.number == number, control_account.c.closed_through < closes_on, ~left)
        .values(closed_through=closes_on)
    )
    return bool(getattr(done, "rowcount", 0))
