"""Statements as they were made, and what is still owed of them (STM-05, STM-08)."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from services.statements.model import card_account, ledger_account, statement
from services.statements.queries.debts import statements_of
from services.statements.queries.scope import under, within
from services.statements.rules import ageing_of
from shared.contracts.base import Page
from shared.contracts.statements import (
    GetStatement,
    ListAccountStatements,
    ListControlAccountStatements,
    StatementDetail,
    StatementRow,
)
from shared.days import day_of
from shared.errors import NotFound
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

# Whoever has an account now sees its earlier statements too: it was transferred with them.
_PLACE = sa.func.coalesce(card_account.c.control_account, statement.c.control_account)
_ORDER = sa.tuple_(statement.c.closed_on, statement.c.id)


def list_account_statements(query: ListAccountStatements, reader: Reader) -> Page[StatementRow]:
    """List the statements of a card account, the latest first (STM-02)."""
    return _page(_visible(reader).where(statement.c.account_id == query.account_id), query, reader)


def list_control_account_statements(
    query: ListControlAccountStatements, reader: Reader
) -> Page[StatementRow]:
    """List the statements at and below a control account, the latest closing first."""
    found = _visible(reader).where(statement.c.control_account.in_(under([query.number])))
    if query.closed_on:
        found = found.where(statement.c.closed_on == query.closed_on)
    if query.central is not None:
        of_control_account = statement.c.account_id.is_(None)
        found = found.where(of_control_account if query.central else ~of_control_account)
    return _page(found, query, reader)


def get_statement(query: GetStatement, reader: Reader) -> StatementDetail:
    """Return a statement, with what is owed of it after all that was paid since."""
    made = one_statement(query.statement_id, reader)
    owed = reader.session.execute(
        sa.select(ledger_account).where(ledger_account.c.id == made.ledger_account)
    ).one()
    paid = owed.credits + owed.payments
    today = day_of(reader.now, reader.settings.time_zone)
    return StatementDetail(
        **_figures(made), opened_on=made.opened_on,
        still_owed=min(max(0, made.debits_to_date - paid), made.debits),
        ageing=ageing_of(statements_of(owed.id, reader.session), paid, today),
    )  # fmt: skip


def one_statement(id_: str, reader: Reader) -> Any:
    """Return the row of a statement that the caller may see; raises NotFound."""
    found = reader.session.execute(_visible(reader).where(statement.c.id == id_)).one_or_none()
    if found is None:
        raise NotFound("statement", "statement_id")
    return found


def _visible(reader: Reader) -> sa.Select[Any]:
    return (
        sa.select(statement)
        .outerjoin(card_account, card_account.c.id == statement.c.account_id)
        .where(*within(reader, _PLACE, statement.c.account_id))
    )


def _page(
    found: sa.Select[Any], query: ListAccountStatements | ListControlAccountStatements, reader: Reader
) -> Page[StatementRow]:
    last = decode_cursor(query.cursor, str, str)
    if last:
        found = found.where(_place_of(last) > _ORDER)
    ordered = found.order_by(statement.c.closed_on.desc(), statement.c.id.desc()).limit(query.limit + 1)
    rows = reader.session.execute(ordered).all()
    return page_of(rows, query.limit, lambda row: StatementRow(**_figures(row)), _key)


def _place_of(cursor: Sequence[str]) -> Any:
    day, id_ = cursor
    return sa.tuple_(sa.literal(date.fromisoformat(day), sa.Date), sa.literal(id_))


def _key(row: Any) -> tuple[str, str]:
    return row.closed_on.isoformat(), row.id


def _figures(row: Any) -> dict[str, Any]:
    same = [name for name in StatementRow.__dataclass_fields__ if name in statement.c]
    return {
        "statement_id": row.id,
        "to_pay": max(0, row.balance),
        **{name: getattr(row, name) for name in same},
    }
