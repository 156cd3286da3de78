"""The inbox: which messages a service has handled, so that a second delivery changes nothing."""

from collections.abc import Collection
from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy import orm

from shared.database import Instant, given_rows, insert, is_postgresql, rows_parameter


def define_inbox(metadata: sa.MetaData) -> sa.Table:
    """Add the inbox to a service's tables."""
    return sa.Table(
        "inbox",
        metadata,
        sa.Column("message_id", sa.String(200), primary_key=True),
        sa.Column("received_at", Instant, nullable=False),
        # Rows come in order of time, so PostgreSQL needs next to nothing to find the old ones.
        sa.Index("inbox_by_time", "received_at", postgresql_using="brin"),
    )


def take_in(session: orm.Session, inbox: sa.Table, message_ids: Collection[str], now: datetime) -> set[str]:
    """Enter the ids in one statement and return those that were new."""
    if not message_ids:
        return set()
    given = rows_parameter(session, [(message_id, now) for message_id in sorted(message_ids)])
    return set(session.scalars(_entry(inbox, postgresql_=is_postgresql(session)), given))


@cache
def _entry(inbox: sa.Table, *, postgresql_: bool) -> sa.Executable:
    columns = {column.name: column.type for column in inbox.c}
    statement = insert(inbox, postgresql_=postgresql_).from_select(
        list(columns), given_rows(columns, postgresql_=postgresql_)
    )
    return statement.on_conflict_do_nothing().returning(inbox.c.message_id)


def forget_before(session: orm.Session, inbox: sa.Table, instant: datetime) -> int:
    """Remove what came in before ``instant`` and return how many that were."""
    result = session.execute(sa.delete(inbox).where(inbox.c.received_at < instant))
    return int(getattr(result, "rowcount", 0))
