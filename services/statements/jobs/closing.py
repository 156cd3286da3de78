"""Closing billing cycles: each basic control account on its cycle day, exactly once, whoever does it and however late (STM-08).

Ledger accounts are closed some at a time, each some in a transaction of its own, and one that is closed for a day is not
closed for it again. So a closing that is killed goes on where it was, two workers share one, and whoever posts or reads
meanwhile finds each account before its closing or after it.
"""

from datetime import date, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from services.statements.jobs.delivery import queue_ready
from services.statements.jobs.standings import AGE_DEBTS
from services.statements.model import card_account, control_account, ledger_account, statement
from services.statements.queries.billing import is_online_only
from services.statements.queries.cycles import cycles_due
from services.statements.rules import next_closing
from services.statements.short_runs import in_short_runs
from shared.contracts.statements import IssuedStatement, StatementsIssued
from shared.database import given_rows, is_postgresql, rows_parameter
from shared.days import day_of
from shared.ids import new_id
from shared.messaging.transaction import Transaction
from shared.service import Transact

CLOSED_AT_ONCE = 1000
CLOSE_CYCLES = "close-cycles"


def close_cycles(transact: Transact) -> int:
    """Close what is due, and return how many statements that made; a run is short, and the next one goes on."""
    return in_short_runs(CLOSE_CYCLES, _close_some, transact)


def _close_some(tx: Transaction) -> int | None:
    """Close some ledger accounts that are due, and return how many statements that made; None where nothing is left to be done."""
    today = day_of(tx.now, tx.settings.time_zone)
    closed = issued = finished = 0
    for place in tx.session.execute(cycles_due(today)).all():
        closes_on = next_closing(place.closed_through, place.billing_cycle_day)
        done, made = _close(place, closes_on, tx)
        closed, issued = closed + done, issued + made
        if done < CLOSED_AT_ONCE:
            finished += _finish(place.number, closes_on, tx)
        if closed >= CLOSED_AT_ONCE:
            break
    if not closed and not finished:
        return None
    tx.wake(AGE_DEBTS)  # what is closed late may be overdue at once
    return issued


def _close(place: Any, closes_on: date, tx: Transaction) -> tuple[int, int]:
    """Close the next ledger accounts; returns how many, and how many statements that made.

    One on which nothing stands and nothing happened gets none. What others have in hand is passed over.
    """
    session, number = tx.session, place.number
    ids = session.scalars(_NEXT, {"number": number, "closes_on": closes_on, "most": CLOSED_AT_ONCE}).all()
    if not ids:
        return 0, 0
    due_on = closes_on + timedelta(days=tx.settings.payment_days)
    facts = {
        **rows_parameter(session, [(id_, new_id("stm")) for id_ in ids]),
        "number": number, "closes_on": closes_on, "due_on": due_on,
        "option": place.statement_option,
    }  # fmt: skip
    issuing, counting = _statements(postgresql_=is_postgresql(session))
    made = [IssuedStatement(**row) for row in session.execute(issuing, facts).mappings()]
    session.execute(counting, facts)
    if made:
        told = StatementsIssued(control_account=number, closed_on=closes_on, due_on=due_on, statements=made)
        tx.publish(told, subject=number)
        queue_ready([one.statement_id for one in made if one.account_id], tx)
    return len(ids), len(made)


_ACCOUNT = ledger_account.c
_CLOSES_ON, _DUE_ON = (sa.bindparam(name, type_=sa.Date) for name in ("closes_on", "due_on"))
_NUMBER = sa.bindparam("number", type_=sa.String)

_NEXT = (
    sa.select(_ACCOUNT.id)
    .where(_ACCOUNT.control_account == _NUMBER, _ACCOUNT.closed_on < _CLOSES_ON)
    .order_by(_ACCOUNT.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)

_SINCE = {name: _ACCOUNT[name] - _ACCOUNT[f"billed_{name}"] for name in ("debits", "credits", "payments")}
_HAS_SOMETHING = sa.or_(_ACCOUNT.balance != 0, *(since != 0 for since in _SINCE.values()))
_IS_OWED = _ACCOUNT.debits > _ACCOUNT.credits + _ACCOUNT.payments


@cache
def _statements(*, postgresql_: bool) -> tuple[sa.Executable, sa.Executable]:
    """Return what makes statements of ledger accounts in hand, each with the id for its own, and what counts their cycles on."""
    columns = {"ledger_account": sa.String(40), "id": sa.String(30)}
    given = given_rows(columns, postgresql_=postgresql_).subquery("in_hand")
    made: dict[str, Any] = {
        "id": given.c.id,
        "ledger_account": _ACCOUNT.id,
        "cycle": _ACCOUNT.cycle,
        "account_id": card_account.c.id,
        "control_account": _NUMBER,
        "currency": _ACCOUNT.currency,
        "opened_on": _ACCOUNT.closed_on,
        "closed_on": _CLOSES_ON,
        "due_on": _DUE_ON,
        "previous_balance": _ACCOUNT.billed_debits - _ACCOUNT.billed_credits - _ACCOUNT.billed_payments,
        **_SINCE,
        "balance": _ACCOUNT.balance,
        "debits_to_date": _ACCOUNT.debits,
        "on_paper": ~is_online_only(sa.bindparam("option", type_=sa.String)),
    }
    source = given.join(ledger_account, _ACCOUNT.id == given.c.ledger_account).outerjoin(
        card_account, card_account.c.id == _ACCOUNT.id
    )
    issued = statement.c
    issuing = (
        sa.insert(statement)
        .from_select(list(made), sa.select(*made.values()).select_from(source).where(_HAS_SOMETHING))
        .returning(
            issued.id.label("statement_id"),
            issued.account_id,
            issued.balance,
            issued.currency,
            issued.on_paper,
        )
    )
    counting = (
        sa.update(ledger_account)
        .where(_ACCOUNT.id == given.c.ledger_account)
        .values(
            closed_on=_CLOSES_ON,
            cycle=_ACCOUNT.cycle + sa.case((_HAS_SOMETHING, 1), else_=0),
            due_since=sa.func.coalesce(_ACCOUNT.due_since, sa.case((_IS_OWED, _DUE_ON))),
            **{f"billed_{name}": _ACCOUNT[name] for name in _SINCE},
        )
    )
    return issuing, counting


def _finish(number: str, closes_on: date, tx: Transaction) -> bool:
    """Note that a control account has closed through a day, unless others are closing its last accounts just now."""
    left = sa.exists().where(_ACCOUNT.control_account == number, _ACCOUNT.closed_on < closes_on)
    done = tx.session.execute(
        sa.update(control_account)
        .where(control_account.c.number == number, control_account.c.closed_through < closes_on, ~left)
        .values(closed_through=closes_on)
    )
    return bool(getattr(done, "rowcount", 0))
