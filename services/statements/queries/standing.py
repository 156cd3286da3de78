"""How accounts stand: the summary of one, and the figures of all that a caller may see (ACC-07, RPT-05)."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from services.statements.model import card_account, ledger_account, statement
from services.statements.queries.billing import BILLED_IN, IS_CENTRAL, SET_UP
from services.statements.queries.debts import statements_of
from services.statements.queries.scope import under, within
from services.statements.rules import ageing_of, payment_status, unpaid
from shared.contracts.accounts import PaymentStatus
from shared.contracts.statements import (
    AccountSummary,
    Dashboard,
    GetAccountSummary,
    GetDashboard,
    SpendFigures,
)
from shared.days import day_of
from shared.errors import NotFound
from shared.messaging.transaction import Reader

_CURRENT = PaymentStatus.CURRENT.value


def get_account_summary(query: GetAccountSummary, reader: Reader) -> AccountSummary:
    """Return how a card account stands; what there is nothing of yet is null (ACC-07)."""
    row = reader.session.execute(
        sa.select(
            card_account.c.last_used_on,
            IS_CENTRAL.label("central"),
            BILLED_IN.label("billed_in"),
            ledger_account,
        )
        .join(SET_UP, SET_UP.c.number == card_account.c.control_account)
        .outerjoin(ledger_account, ledger_account.c.id == card_account.c.id)
        .where(
            card_account.c.id == query.account_id,
            *within(reader, card_account.c.control_account, card_account.c.id),
        )
    ).one_or_none()
    if row is None:
        raise NotFound("card account", "account_id")
    return AccountSummary(
        account_id=query.account_id, central_billing=bool(row.central), currency=row.billed_in,
        last_used_on=row.last_used_on, **_balances(row, reader),
    )  # fmt: skip


def _balances(row: Any, reader: Reader) -> dict[str, Any]:
    names = AccountSummary.__dataclass_fields__.keys() - {
        "account_id", "central_billing", "currency", "last_used_on", "payment_status",
    }  # fmt: skip
    if row.id is None:
        return {**dict.fromkeys(names), "payment_status": PaymentStatus.CURRENT}
    today = day_of(reader.now, reader.settings.time_zone)
    paid, owed = row.credits + row.payments, statements_of(row.id, reader.session)
    last, before = _last_statements(row, reader)
    return {
        "current_balance": row.balance,
        "payment_due": max(0, row.billed_debits - paid),
        "due_on": last and last.due_on,
        "overdue": unpaid(owed, paid, today - timedelta(days=1)),
        "outstanding": max(0, row.balance),
        "payment_status": payment_status(row.due_since, today),
        "ageing": ageing_of(owed, paid, today),
        "previous_statement_balance": before and before.balance,
        "statement_balance": last and last.balance,
        "statement_to_pay": last and max(0, last.balance),
        "closed_on": last and last.closed_on,
        "statement_payments": last and last.payments,
        "statement_credits": last and last.credits,
        "statement_debits": last and last.debits,
        "recent_payments": row.payments - row.billed_payments,
        "recent_credits": row.credits - row.billed_credits,
        "recent_debits": row.debits - row.billed_debits,
    }


def _last_statements(row: Any, reader: Reader) -> tuple[Any, Any]:
    """Return the last statement of a ledger account and the one before, None where there is none."""
    made = statement.c.ledger_account == row.id, statement.c.cycle >= row.cycle - 2
    found = reader.session.execute(sa.select(statement).where(*made).order_by(statement.c.cycle.desc())).all()
    last, before, *_ = (*found, None, None)
    return last, before


def get_dashboard(query: GetDashboard, reader: Reader) -> Dashboard:
    """Return the figures of the home page; the counts are of the accounts that a search for the same status lists."""
    counts = {status.value: 0 for status in PaymentStatus}
    counts |= {row.payment_status: row.accounts for row in reader.session.execute(_late(query, reader))}
    accounts = reader.session.scalar(_all(query, reader)) or 0
    counts[_CURRENT] = accounts - sum(counts.values())
    return Dashboard(
        accounts=accounts, payment_status=counts,
        spend=[SpendFigures(**row) for row in reader.session.execute(_spend(query, reader)).mappings()],
    )  # fmt: skip


def _all(query: GetDashboard, reader: Reader) -> sa.Select[int]:
    place = _place(query, reader, card_account.c.control_account)
    return sa.select(sa.func.count()).select_from(card_account).where(*place)


def _late(query: GetDashboard, reader: Reader) -> sa.Select[Any, int]:
    """Select how many card accounts were told to be late, by how much; they are few among all."""
    return (
        sa.select(ledger_account.c.payment_status, sa.func.count().label("accounts"))
        .join(card_account, card_account.c.id == ledger_account.c.id)
        .where(
            ledger_account.c.payment_status != _CURRENT,
            *_place(query, reader, card_account.c.control_account),
        )
        .group_by(ledger_account.c.payment_status)
    )


def _spend(query: GetDashboard, reader: Reader) -> sa.Select[Any]:
    """Select what is owed by currency: due is what statements say of it, overdue what was to be paid before today."""
    account = ledger_account.c
    today = day_of(reader.now, reader.settings.time_zone)
    debits = (
        sa.select(sa.func.max(statement.c.debits_to_date))
        .where(statement.c.ledger_account == account.id, statement.c.due_on < today)
        .correlate(ledger_account)
        .scalar_subquery()
    )
    paid = account.credits + account.payments
    figures = {
        "balance": account.balance,
        "credit": sa.case((account.balance < 0, -account.balance), else_=0),
        "due": sa.case((account.billed_debits > paid, account.billed_debits - paid), else_=0),
        "overdue": sa.case((account.due_since < today, debits - paid), else_=0),
    }
    return (
        sa.select(
            account.currency,
            *(sa.cast(sa.func.sum(figure), sa.BigInteger).label(name) for name, figure in figures.items()),
        )
        .where(account.control_account.is_not(None), *_place(query, reader, account.control_account))
        .group_by(account.currency)
        .order_by(account.currency)
    )


def _place(
    query: GetDashboard, reader: Reader, column: sa.ColumnElement[str]
) -> list[sa.ColumnElement[bool]]:
    chosen = [column.in_(under([query.control_account]))] if query.control_account else []
    return [*within(reader, column), *chosen]
