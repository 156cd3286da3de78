"""The change history of one kind of thing: a row for each field that a request changed, found by comparison (ACC-18)."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from shared.contracts.base import Page, UnknownMessage
from shared.contracts.history import FieldChange
from shared.contracts.types import Channel
from shared.database import Instant
from shared.ids import new_message_id
from shared.messaging.transaction import Reader, Transaction
from shared.web.paging import decode_cursor, page_of


def define_history(metadata: sa.MetaData) -> sa.Table:
    """Add the history to a service's tables; ``subject`` is the id of what changed."""
    return sa.Table(
        "change",
        metadata,
        sa.Column("subject", sa.String(30), primary_key=True),
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("field", sa.String(60), nullable=False),
        sa.Column("old", sa.Text),
        sa.Column("new", sa.Text),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("on_behalf_of", sa.String(64)),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("command", sa.String(100), nullable=False),
        sa.Column("command_id", sa.String(36), nullable=False),
    )


def note_change(tx: Transaction, history: sa.Table, subject: str, field: str, old: Any, new: Any) -> None:
    """Write down that a field changed, who asked for it, for whom, when, over which channel (Part 2 no. 9)."""
    envelope = tx.envelope
    try:
        command = envelope.contract.name
    except UnknownMessage:
        command = "system"
    tx.insert(
        history, subject=subject, id=new_message_id(), at=tx.now, field=field, old=_text(old), new=_text(new),
        actor=envelope.actor, on_behalf_of=envelope.on_behalf_of, channel=str(envelope.channel), command=command,
        command_id=envelope.correlation_id,
    )  # fmt: skip


def note_act(
    session: orm.Session,
    history: sa.Table,
    subject: str,
    changes: Mapping[str, tuple[Any, Any]],
    *,
    now: datetime,
    act: str,
    act_id: str,
    actor: str,
    channel: Channel,
) -> None:
    """Write down what an act changed that was no message: for each field its old and its new value."""
    rows = [
        {
            "subject": subject, "id": new_message_id(), "at": now, "field": field, "old": _text(old), "new": _text(new),
            "actor": actor, "on_behalf_of": None, "channel": str(channel), "command": act, "command_id": act_id,
        }
        for field, (old, new) in changes.items()
    ]  # fmt: skip
    if rows:
        session.execute(sa.insert(history), rows)


def note_changes(
    tx: Transaction,
    history: sa.Table,
    thing: Any,
    before: Mapping[str, Any],
    recorded: Collection[str],
) -> None:
    """Write down each of the ``recorded`` columns of a mapped object that differs from ``before``; it has an ``id``."""
    for field, new in vars(thing).items():
        old = before.get(field)
        if old is not new and old != new and field in recorded:
            note_change(tx, history, thing.id, field, old, new)


def history_page(
    reader: Reader, history: sa.Table, subject: str, *, cursor: str | None, limit: int
) -> Page[FieldChange]:
    """Return the changes of one thing, the newest first; who may see it is the caller's business."""
    last = decode_cursor(cursor, str)
    mine = history.c.subject == subject
    total = reader.session.scalar(sa.select(sa.func.count()).select_from(history).where(mine))
    statement = sa.select(history).where(mine)
    if last:
        statement = statement.where(history.c.id < last[0])
    found = reader.session.execute(statement.order_by(history.c.id.desc()).limit(limit + 1)).all()
    return page_of(found, limit, _change, lambda row: (row.id,), total)


def _change(row: sa.Row[Any]) -> FieldChange:
    return FieldChange(
        at=row.at, field=row.field, old=row.old, new=row.new, actor=row.actor, on_behalf_of=row.on_behalf_of,
        channel=Channel(row.channel), command=row.command, command_id=row.command_id,
    )  # fmt: skip


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)
