"""The file of refused rows: as they were read, with the reason beside each, to be mended and loaded again."""

import csv
import io
from collections.abc import Iterator

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import file_import, import_finding
from shared.contracts.imports import RowOutcome

_PAGE = 500
_LINE, _REASON = "line", "reason"


def refused_rows(import_id: str, session: orm.Session) -> Iterator[str]:
    """Return the file in pieces, as CSV in UTF-8: line and reason first, then the columns by the names of the layout."""
    columns = session.scalar(sa.select(file_import.c.columns).where(file_import.c.id == import_id)) or "[]"
    yield _csv([[_LINE, _REASON, *orjson.loads(columns)]])
    last = 0
    while True:
        wanted = sa.select(import_finding).where(
            import_finding.c.import_id == import_id,
            import_finding.c.outcome == RowOutcome.REFUSED,
            import_finding.c.line > last,
        )
        rows = session.execute(wanted.order_by(import_finding.c.line).limit(_PAGE)).all()
        if not rows:
            return
        yield _csv([[str(row.line), row.message, *orjson.loads(row.cells or "[]")] for row in rows])
        last = rows[-1].line


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
