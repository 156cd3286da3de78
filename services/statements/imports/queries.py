"""Reads of imported files, of what there is to say of their rows, and of what stands in suspense; the issuer's alone."""

from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import file_import, import_finding, posting, suspended
from shared.contracts.base import Page
from shared.contracts.imports import (
    ControlTotalDifference,
    GetImport,
    ImportFinding,
    ImportRow,
    ImportState,
    ListImportFindings,
    ListImports,
    ListSuspense,
    RowOutcome,
    SuspendedTransaction,
)
from shared.contracts.types import Money
from shared.errors import NotFound
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

_SHOWN = file_import.c.state.in_((ImportState.CHECKED, ImportState.POSTING, ImportState.POSTED))
_waiting = sa.select(sa.func.count()).where(suspended.c.import_id == file_import.c.id).scalar_subquery()
_FILES = sa.select(file_import, _waiting.label("waiting")).where(_SHOWN)


def list_imports(query: ListImports, reader: Reader) -> Page[ImportRow]:
    """List imported files, the newest first."""
    last = decode_cursor(query.cursor, str)
    wanted = _FILES
    if query.state:
        wanted = wanted.where(file_import.c.state == query.state)
    if last:
        wanted = wanted.where(file_import.c.id < last[0])
    found = reader.session.execute(wanted.order_by(file_import.c.id.desc()).limit(query.limit + 1)).all()
    return page_of(found, query.limit, _import_row, lambda row: (row.id,))


def get_import(query: GetImport, reader: Reader) -> ImportRow:
    """Return one file."""
    return import_row_of(query.import_id, reader.session)


def import_row_of(import_id: str, session: orm.Session) -> ImportRow:
    """Return a file as its readers see it; raises NotFound."""
    found = session.execute(_FILES.where(file_import.c.id == import_id)).one_or_none()
    if found is None:
        raise NotFound("file", "import_id")
    return _import_row(found)


def list_import_findings(query: ListImportFindings, reader: Reader) -> Page[ImportFinding]:
    """List what there is to say of the rows of a file, in their order there."""
    import_row_of(query.import_id, reader.session)
    last = decode_cursor(query.cursor, int)
    wanted = sa.select(import_finding).where(import_finding.c.import_id == query.import_id)
    if query.outcome:
        wanted = wanted.where(import_finding.c.outcome == query.outcome)
    if last:
        wanted = wanted.where(import_finding.c.line > last[0])
    found = reader.session.execute(wanted.order_by(import_finding.c.line).limit(query.limit + 1)).all()
    return page_of(found, query.limit, _finding, lambda row: (row.line,))


def list_suspense(query: ListSuspense, reader: Reader) -> Page[SuspendedTransaction]:
    """List what stands in suspense, the oldest first."""
    last = decode_cursor(query.cursor, str)
    wanted = sa.select(
        suspended, posting.c.amount, posting.c.currency, posting.c.merchant, posting.c.transacted_on
    ).join(posting, posting.c.id == suspended.c.posting_id)
    if last:
        wanted = wanted.where(suspended.c.posting_id > last[0])
    found = reader.session.execute(wanted.order_by(suspended.c.posting_id).limit(query.limit + 1)).all()
    return page_of(found, query.limit, _suspended, lambda row: (row.posting_id,))


def _import_row(row: Any) -> ImportRow:
    return ImportRow(
        import_id=row.id, state=ImportState(row.state), layout=row.layout, mended=row.mended, file_name=row.file_name,
        columns=orjson.loads(row.columns), control_account=row.control_account, uploaded_by=row.uploaded_by, uploaded_at=row.uploaded_at, rows=row.rows,
        refused=row.refused, passed_over=row.passed_over, posted=row.posted, seen=row.seen, suspended=row.waiting,
        matched=row.suspended - row.waiting, control_totals=row.compared, differing=row.differing,
        differences=[ControlTotalDifference(**each) for each in orjson.loads(row.differences)],
        command_id=row.command_id, finished_at=row.finished_at,
    )  # fmt: skip


def _finding(row: Any) -> ImportFinding:
    return ImportFinding(
        line=row.line, outcome=RowOutcome(row.outcome), code=row.code, column=row.field, message=row.message,
        cells=orjson.loads(row.cells) if row.cells else None,
    )  # fmt: skip


def _suspended(row: Any) -> SuspendedTransaction:
    return SuspendedTransaction(
        transaction_id=row.posting_id, amount=Money(amount=row.amount, currency=row.currency), merchant=row.merchant,
        transacted_on=row.transacted_on, reason=row.reason, last_four=row.last_four,
        employee_id=row.employee_id, cost_centre=row.cost_centre, universal_number=row.universal_number,
        control_account=row.control_account, import_id=row.import_id, line=row.line,
    )  # fmt: skip
