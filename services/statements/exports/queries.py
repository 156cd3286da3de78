"""Exports as those see them who may make them."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from services.statements.exports.layout_file import known_layouts, read_layout
from services.statements.exports.making import totals_of
from services.statements.layout_files import BadLayout, text_of
from services.statements.model import export
from services.statements.queries.scope import under, within
from shared.contracts.base import Page
from shared.contracts.reconciliation import (
    ExportLayout,
    ExportRow,
    ExportState,
    GetExport,
    ListExportLayouts,
    ListExports,
)
from shared.errors import NotFound
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of


def list_exports(query: ListExports, reader: Reader) -> Page[ExportRow]:
    """List exports, the newest first."""
    last = decode_cursor(query.cursor, str)
    wanted = sa.select(export).where(*within(reader, export.c.control_account))
    if query.control_account:
        wanted = wanted.where(export.c.control_account.in_(under([query.control_account])))
    if query.state:
        wanted = wanted.where(export.c.state == query.state)
    if last:
        wanted = wanted.where(export.c.id < last[0])
    found = reader.session.execute(wanted.order_by(export.c.id.desc()).limit(query.limit + 1)).all()
    return page_of(found, query.limit, _export_row, lambda row: (row.id,))


def get_export(query: GetExport, reader: Reader) -> ExportRow:
    """Return one export."""
    return _export_row(one_export(query.export_id, reader))


def one_export(id_: str, reader: Reader) -> Any:
    """Return the row of an export that the caller may see; raises NotFound."""
    wanted = sa.select(export).where(export.c.id == id_, *within(reader, export.c.control_account))
    found = reader.session.execute(wanted).one_or_none()
    if found is None:
        raise NotFound("export", "export_id")
    return found


def list_export_layouts(_: ListExportLayouts, reader: Reader) -> Page[ExportLayout]:
    """List the layouts that are shipped and the operator's own, by name; one that cannot be used is left out."""
    files = known_layouts(reader.settings.export_layouts_directory)
    titles = {name: _title(name, file) for name, file in files.items()}
    layouts = [ExportLayout(name=name, title=title) for name, title in titles.items() if title]
    return Page(data=layouts, has_more=False, next_cursor=None, total=len(layouts))


def _title(name: str, file: Path) -> str | None:
    try:
        return read_layout(text_of(file), name).title
    except BadLayout:
        return None


def _export_row(row: Any) -> ExportRow:
    return ExportRow(
        export_id=row.id, state=ExportState(row.state), control_account=row.control_account, layout=row.layout,
        posted_from=row.posted_from, posted_to=row.posted_to, coded_only=row.coded_only, transactions=row.transactions,
        totals=totals_of(row), file_name=row.file_name, media_type=row.media_type, bytes=row.bytes, asked_by=row.asked_by,
        asked_at=row.asked_at, finished_at=row.finished_at, problem=row.problem, cancelled_by=row.cancelled_by,
        cancelled_at=row.cancelled_at, command_id=row.command_id,
    )  # fmt: skip
