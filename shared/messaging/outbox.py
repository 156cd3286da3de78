"""The outbox: what a service owes the broker, written in the transaction that made it due.

``due_at`` doubles as a lease. A row written now is published at once by its writer and falls due for the sweep only a
few seconds later, so that the sweep finds just what a crash left; a delayed retry simply falls due when it should run.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from shared.database import Instant, given_values, insert_rows, is_postgresql, values_parameter
from shared.messaging.bus import Publication

LEASE = timedelta(seconds=5)
SWEEP_LIMIT = 500
_COLUMNS = ("id", "exchange", "routing_key", "message_id", "body", "headers", "created_at", "due_at")


def define_outbox(metadata: sa.MetaData) -> sa.Table:
    """Add the outbox to a service's tables."""
    return sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("exchange", sa.String(100), nullable=False),
        sa.Column("routing_key", sa.String(255), nullable=False),
        sa.Column("message_id", sa.String(200), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("headers", sa.Text),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column(
            "due_at", Instant, nullable=False
        ),  # no index: the table is all but empty, and every row would pay
    )


def keep(
    session: orm.Session,
    outbox: sa.Table,
    publications: Sequence[tuple[Publication, datetime | None]],
    now: datetime,
) -> None:
    """Write publications, each with the instant at which it falls due (None: it is published right after the commit)."""
    insert_rows(session, outbox, _COLUMNS, [_row(publication, due, now) for publication, due in publications])


def _row(publication: Publication, due: datetime | None, now: datetime) -> tuple[object, ...]:
    headers = orjson.dumps(publication.headers).decode() if publication.headers else None
    return (
        publication.outbox_id,
        publication.exchange,
        publication.key,
        publication.message_id,
        publication.body,
        headers,
        now,
        due or now + LEASE,
    )


def remove(session: orm.Session, outbox: sa.Table, ids: Sequence[str]) -> None:
    """Remove rows that the broker has confirmed."""
    if ids:
        session.execute(_removal(outbox, postgresql_=is_postgresql(session)), values_parameter(ids))


@cache
def _removal(outbox: sa.Table, *, postgresql_: bool) -> sa.Delete:
    return sa.delete(outbox).where(outbox.c.id.in_(given_values(postgresql_=postgresql_)))


def lease_due(session: orm.Session, outbox: sa.Table, now: datetime) -> list[Publication]:
    """Return the rows that are due, the oldest first, leased so that no other worker publishes them meanwhile."""
    due = (
        sa.select(outbox.c.id)
        .where(outbox.c.due_at <= now)
        .order_by(outbox.c.due_at)
        .limit(SWEEP_LIMIT)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(due))
    if not ids:
        return []
    session.execute(sa.update(outbox).where(outbox.c.id.in_(ids)).values(due_at=now + LEASE * 2))
    found = session.execute(sa.select(outbox).where(outbox.c.id.in_(ids)).order_by(outbox.c.id))
    return [
        Publication(
            exchange=row.exchange,
            key=row.routing_key,
            body=row.body,
            message_id=row.message_id,
            outbox_id=row.id,
            headers=orjson.loads(row.headers) if row.headers else None,
        )
        for row in found
    ]


def lag(session: orm.Session, outbox: sa.Table, now: datetime) -> tuple[int, float]:
    """Return how many rows wait, and for how many seconds the oldest that is due has waited."""
    count = session.scalar(sa.select(sa.func.count()).select_from(outbox)) or 0
    oldest = session.scalar(sa.select(sa.func.min(outbox.c.due_at)).where(outbox.c.due_at <= now))
    return count, (now - oldest).total_seconds() if oldest else 0.0
