"""Transactions as holders and administrators see them: of one account, of a statement, or wherever they fit (STM-01, STM-02)."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from services.statements.model import (
    card_account,
    change,
    coding,
    export,
    exported,
    ledger_account,
    posting,
    statement,
)
from services.statements.queries.scope import transaction_paths, under, within
from services.statements.queries.statements import one_statement
from services.statements.rules import WINDOW_MONTHS
from shared.contracts.base import Page
from shared.contracts.history import FieldChange
from shared.contracts.reconciliation import ListCodingHistory
from shared.contracts.statements import (
    FindTransactions,
    ListStatementTransactions,
    ListTransactions,
    Transaction,
    TransactionKind,
    TransactionView,
)
from shared.contracts.types import Money
from shared.database import begins
from shared.days import day_of, months_before
from shared.errors import NotFound
from shared.folding import fold_name
from shared.history import history_page
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

Condition = sa.ColumnElement[bool]

_LATEST_FIRST = posting.c.posted_on.desc(), posting.c.id.desc()
_EARLIEST_FIRST = posting.c.posted_on, posting.c.id
_PLACE = sa.tuple_(posting.c.posted_on, posting.c.id)
# The open cycle of a ledger account is one above its last statement's.
_SINCE = ledger_account.c.cycle - posting.c.cycle
_CYCLES = {
    TransactionView.UNBILLED: _SINCE == 0,
    TransactionView.BILLED: _SINCE == 1,
    TransactionView.PREVIOUS: _SINCE > 1,
    TransactionView.ALL: sa.true(),
}
_CODING = (
    coding.c.cost_centre.label("coded_cost_centre"), coding.c.ledger_code.label("coded_ledger_code"), coding.c.tax_code,
    coding.c.project, coding.c.note, coding.c.coded_by, coding.c.coded_at,
)  # fmt: skip
_OF_ONE_CYCLE = frozenset({TransactionView.UNBILLED, TransactionView.BILLED})


def list_transactions(query: ListTransactions, reader: Reader) -> Page[Transaction]:
    """List the transactions of a card account, the latest first; those of one cycle whole, others of the last six months."""
    account = card_account.c
    seen = within(reader, account.control_account, account.id)
    visible = sa.exists().where(account.id == query.account_id, *seen)
    if not reader.session.scalar(sa.select(visible)):
        raise NotFound("card account", "account_id")
    criteria = [posting.c.account_id == query.account_id, _CYCLES[query.view], *_criteria(query)]
    if query.since or query.view not in _OF_ONE_CYCLE:
        criteria.append(posting.c.posted_on >= _since(query, reader))
    return _latest(criteria, query, reader)


def find_transactions(query: FindTransactions, reader: Reader) -> Page[Transaction]:
    """List the transactions of whatever accounts fit, the latest first."""
    account = card_account.c
    criteria = [
        *within(reader, account.control_account),
        *_criteria(query),
        posting.c.posted_on >= _since(query, reader),
    ]
    if query.control_account:
        criteria.append(account.control_account.in_(under([query.control_account])))
    if query.cost_centre:
        criteria.append(account.cost_centre == query.cost_centre)
    if query.employee_id:
        criteria.append(account.employee_id == query.employee_id)
    if query.holder:
        last, embossed = fold_name(query.holder), query.holder.upper()
        criteria.append(sa.or_(begins(account.name_key, last), begins(account.embossed_name, embossed)))
    for wanted, key in ((query.coded, coding.c.posting_id), (query.exported, exported.c.posting_id)):
        if wanted is not None:
            criteria.append(key.is_not(None) if wanted else key.is_(None))
    return _latest(criteria, query, reader)


def list_statement_transactions(query: ListStatementTransactions, reader: Reader) -> Page[Transaction]:
    """List what a statement bears, the earliest first."""
    made = one_statement(query.statement_id, reader)
    found = _shown().where(posting.c.ledger_account == made.ledger_account, posting.c.cycle == made.cycle)
    last = decode_cursor(query.cursor, str, str)
    if last:
        found = found.where(_place_of(last) < _PLACE)
    rows = reader.session.execute(found.order_by(*_EARLIEST_FIRST).limit(query.limit + 1)).all()
    return page_of(rows, query.limit, _view, _key)


def list_coding_history(query: ListCodingHistory, reader: Reader) -> Page[FieldChange]:
    """List how the coding of a transaction changed, the latest change first."""
    path = transaction_paths(reader.session, [query.transaction_id]).get(query.transaction_id)
    if path is None or not reader.actor.covers(reader.function or "", path):
        raise NotFound("transaction", "transaction_id")
    return history_page(reader, change, query.transaction_id, cursor=query.cursor, limit=query.limit)


def _latest(
    criteria: Sequence[Condition], query: ListTransactions | FindTransactions, reader: Reader
) -> Page[Transaction]:
    found = _shown().where(*criteria)
    last = decode_cursor(query.cursor, str, str)
    if last:
        found = found.where(_place_of(last) > _PLACE)
    rows = reader.session.execute(found.order_by(*_LATEST_FIRST).limit(query.limit + 1)).all()
    return page_of(rows, query.limit, _view, _key)


def _shown() -> sa.Select[Any]:
    of_cycle = sa.and_(
        statement.c.ledger_account == posting.c.ledger_account, statement.c.cycle == posting.c.cycle
    )
    return (
        sa.select(
            posting, statement.c.id.label("statement_id"), *_CODING, exported.c.export_id,
            export.c.asked_at.label("exported_at"),
        )
        .join(ledger_account, ledger_account.c.id == posting.c.ledger_account)
        .outerjoin(card_account, card_account.c.id == posting.c.account_id)
        .outerjoin(statement, of_cycle)
        .outerjoin(coding, coding.c.posting_id == posting.c.id)
        .outerjoin(exported, exported.c.posting_id == posting.c.id)
        .outerjoin(export, export.c.id == exported.c.export_id)
    )  # fmt: skip


def _criteria(query: ListTransactions | FindTransactions) -> list[Condition]:
    found: list[Condition] = []
    if query.merchant:
        found.append(posting.c.merchant_key.contains(fold_name(query.merchant), autoescape=True))
    if query.least is not None:
        found.append(posting.c.amount >= query.least)
    if query.most is not None:
        found.append(posting.c.amount <= query.most)
    if query.until:
        found.append(posting.c.posted_on <= query.until)
    return found


def _since(query: ListTransactions | FindTransactions, reader: Reader) -> date:
    return query.since or months_before(day_of(reader.now, reader.settings.time_zone), WINDOW_MONTHS)


def _place_of(cursor: Sequence[str]) -> Any:
    day, id_ = cursor
    return sa.tuple_(sa.literal(date.fromisoformat(day), sa.Date), sa.literal(id_))


def _key(row: Any) -> tuple[str, str]:
    return row.posted_on.isoformat(), row.id


def _view(row: Any) -> Transaction:
    original = (
        Money(amount=row.original_amount, currency=row.original_currency) if row.original_currency else None
    )
    return Transaction(
        transaction_id=row.id, account_id=row.account_id, kind=TransactionKind(row.kind),
        amount=Money(amount=row.amount, currency=row.currency), original=original, rate=row.rate, merchant=row.merchant,
        merchant_category=row.merchant_category, city=row.city, country=row.country, transacted_on=row.transacted_on,
        posted_on=row.posted_on, cost_centre=row.coded_cost_centre or row.cost_centre,
        ledger_code=row.coded_ledger_code or row.ledger_code, purpose=row.purpose,
        statement_id=row.statement_id, corrects=row.corrects, corrected_by=row.corrected_by, tax_code=row.tax_code,
        project=row.project, note=row.note, coded_by=row.coded_by, coded_at=row.coded_at, export_id=row.export_id,
        exported_at=row.exported_at,
    )  # fmt: skip
