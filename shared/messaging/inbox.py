"""The inbox: which messages a service has handled, so that a second delivery changes nothing."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from shared.database import Instant, insert, rows


def define_inbox(metadata: sa.MetaData) -> sa.Table:
    """Add the inbox to a service's tables."""
    return sa.Table(
        "inbox",
        metadata,
        sa.Column("message_id", sa.String(200), primary_key=True),
        sa.Column("received_at", Instant, nullable=False, index=True),
    )


def take_in(session: orm.Session, inbox: sa.Table, message_ids: Collection[str], now: datetime) -> set[str]:
    """Enter the ids in one statement and return those that were new."""
    if not message_ids:
        return set()
    columns = {"message_id": inbox.c.message_id.type, "received_at": inbox.c.received_at.type}
    given = rows(session, columns, [(message_id, now) for message_id in sorted(message_ids)])
    statement = (
        insert(session, inbox)
        .from_select(list(columns), given)
        .on_conflict_do_nothing()
        .returning(inbox.c.message_id)
    )
    return set(session.scalars(statement))


def forget_before(session: orm.Session, inbox: sa.Table, instant: datetime) -> int:
    """Remove what came in before ``instant`` and return how many that were."""
    result = session.execute(sa.delete(inbox).where(inbox.c.received_at < instant))
    return int(getattr(result, "rowcount", 0))
