"""What is asked of exports: one is made of what no other has, or taken back."""

from collections.abc import Sequence

import sqlalchemy as sa

from services.statements.exports.layout import Layout
from services.statements.exports.layout_file import known_layouts, read_layout
from services.statements.exports.making import MAKE_EXPORTS, POSTINGS, exportable, release
from services.statements.layout_files import BadLayout, text_of
from services.statements.model import export, posting
from services.statements.queries.scope import control_account_paths, export_paths
from shared.contracts.outcomes import RequestStatus
from shared.contracts.reconciliation import CancelExport, ExportCancelled, ExportState, ExportTransactions
from shared.errors import NotFound, Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction


def export_transactions(command: ExportTransactions, tx: Transaction) -> None:
    """Have an export made of whatever of a period is in none yet (STM-06)."""
    _must_cover(
        control_account_paths(tx.session, [command.control_account]), "control account", "control_account", tx
    )
    if command.posted_to < command.posted_from:
        raise Rejected("period_ends_before_it_begins", "The last day lies before the first one.", "posted_to")
    layout, text = _layout(command.layout, tx)
    _must_find_some(command, layout, tx)
    id_ = new_id("exp")
    asked = {
        "id": id_, "state": ExportState.MAKING, "control_account": command.control_account, "layout": command.layout,
        "layout_text": text, "posted_from": command.posted_from, "posted_to": command.posted_to,
        "coded_only": command.coded_only, "file_name": f"{id_}.{layout.extension}", "media_type": layout.media_type,
        "transactions": 0, "totals": "[]", "bytes": 0, "command_id": tx.envelope.id, "asked_by": tx.actor.user_id,
        "on_behalf_of": tx.actor.on_behalf_of, "channel": tx.envelope.channel.value, "asked_at": tx.now,
    }  # fmt: skip
    tx.session.execute(sa.insert(export).values(asked))
    tx.finish_later(RequestStatus.PROCESSING)
    tx.wake(MAKE_EXPORTS)


def cancel_export(command: CancelExport, tx: Transaction) -> None:
    """Take an export back: its transactions are locked no more; its file is kept, for whoever has booked it already."""
    _must_cover(export_paths(tx.session, [command.export_id]), "export", "export_id", tx)
    found = tx.session.execute(
        sa.select(export).where(export.c.id == command.export_id).with_for_update()
    ).one()
    if found.state == ExportState.MAKING:
        raise Rejected(
            "export_not_ready", "This export is being made; cancel it when it is ready.", "export_id"
        )
    if found.state != ExportState.READY:
        raise Rejected("export_holds_nothing", f"This export is {found.state} already.", "export_id")
    release(found.id, tx)
    cancelled = {"state": ExportState.CANCELLED, "cancelled_by": tx.actor.user_id, "cancelled_at": tx.now}
    tx.session.execute(sa.update(export).where(export.c.id == found.id).values(cancelled))
    tx.publish(ExportCancelled(export_id=found.id, control_account=found.control_account), subject=found.id)


def _must_cover(paths: dict[str, list[str]], noun: str, field: str, tx: Transaction) -> None:
    path: Sequence[str] | None = next(iter(paths.values()), None)
    if path is None or not tx.actor.covers(tx.function or "", path):
        raise NotFound(noun, field)


def _must_find_some(command: ExportTransactions, layout: Layout, tx: Transaction) -> None:
    criteria = exportable(
        command.control_account,
        command.posted_from,
        command.posted_to,
        layout.kinds,
        coded_only=command.coded_only,
    )
    some = sa.select(posting.c.id).select_from(POSTINGS).where(*criteria).limit(1)
    if tx.session.scalar(some) is None:
        raise Rejected(
            "nothing_to_export", "Every transaction of this period is in an export already, or there is none."
        )


def _layout(name: str, tx: Transaction) -> tuple[Layout, str]:
    """Return a layout that is shipped or the operator's own, with its text; a name never leads anywhere else."""
    file = known_layouts(tx.settings.export_layouts_directory).get(name)
    if file is None:
        raise Rejected(
            "unknown_layout", "There is no layout of this name; see GET /export-layouts.", "layout"
        )
    try:
        text = text_of(file)
        return read_layout(text, name), text
    except BadLayout as error:
        raise Rejected("bad_layout", str(error), "layout") from None
