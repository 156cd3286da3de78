"""The months in which requests are kept: on PostgreSQL each is a part of the tables, made ahead and dropped whole.

On SQLite there are no parts: nothing has to be made, and what is old is deleted.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import orm

from services.tracking.model import request, step
from shared.database import is_postgresql

AHEAD = 3
_FAR = timedelta(days=40)
_made: WeakKeyDictionary[object, set[datetime]] = WeakKeyDictionary()


def month_of(instant: datetime) -> datetime:
    """Return the first instant of a month, in UTC."""
    return instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_after(month: datetime, count: int = 1) -> datetime:
    """Return the first instant of the month so many months after, or, where ``count`` is negative, before."""
    years, place = divmod(month.month - 1 + count, 12)
    return month.replace(year=month.year + years, month=place + 1)


def within(table: sa.Table, month: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that a row belongs to a month."""
    return sa.and_(table.c.received_at >= month, table.c.received_at < month_after(month))


def make_months(session: orm.Session, instants: Iterable[datetime], now: datetime) -> None:
    """Make the months of these instants where they are missing, so that every row finds a place.

    Which there are is remembered for those around ``now`` alone, as an older one may have been dropped meanwhile, and not
    for one that this transaction makes, as it may be rolled back.
    """
    if not is_postgresql(session):
        return
    known = _made.setdefault(session.get_bind(), set())
    for month in {month_of(instant) for instant in instants} - known:
        was_there = session.scalar(sa.select(sa.func.make_month(month)))
        if was_there and abs(now - month) < _FAR:
            known.add(month)


def drop_month(session: orm.Session, month: datetime) -> None:
    """Remove the requests of a month and their steps; none of them may wait for anything."""
    if is_postgresql(session):
        session.execute(sa.select(sa.func.drop_month(month)))
        return
    for table in (step, request):
        session.execute(sa.delete(table).where(within(table, month)))
