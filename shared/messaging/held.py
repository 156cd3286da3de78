"""Commands that wait for a second person's approval: kept whole by their owner until somebody decides (Part 2 no. 6).

A command is held because its sender's company wants a second person for it, or because its handler asked for one. It is
handled later as if it had come then, with the rights that its sender had when it was sent.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import orm

from shared.database import Instant
from shared.messaging.envelope import Envelope, decode, encode

TABLE = "held"
_MOST_AT_ONCE = 200


def define_held(metadata: sa.MetaData) -> sa.Table:
    """Add the table to a service's tables."""
    return sa.Table(
        TABLE,
        metadata,
        sa.Column("command_id", sa.String(36), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("held_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False, index=True),
    )


def hold(
    session: orm.Session, held: sa.Table, envelope: Envelope, *, now: datetime, patience: timedelta
) -> None:
    """Keep a command until somebody decides about it, or until it expires."""
    session.execute(
        sa.insert(held).values(
            command_id=envelope.id, body=encode(envelope), held_at=now, expires_at=now + patience
        )
    )


def release(session: orm.Session, held: sa.Table, command_id: str) -> Envelope | None:
    """Return a command that waits, which then waits no more; None where there is none."""
    row = session.execute(
        sa.select(held.c.body).where(held.c.command_id == command_id).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    session.execute(sa.delete(held).where(held.c.command_id == command_id))
    return decode(row.body)


def release_expired(session: orm.Session, held: sa.Table, now: datetime) -> Sequence[Envelope]:
    """Return the commands for which nobody decided in time, which then wait no more."""
    due = (
        sa.select(held)
        .where(held.c.expires_at <= now)
        .order_by(held.c.expires_at)
        .limit(_MOST_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(due).all()
    session.execute(sa.delete(held).where(held.c.command_id.in_([row.command_id for row in rows])))
    return [decode(row.body) for row in rows]
