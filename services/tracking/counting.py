"""Counts of requests by status that are always exact, and cost little over millions of them (TRK-04).

A job counts each day that is over, once. Whoever changes a request of such a day says so, and the day is counted live
until the job has counted it again. A day's row is locked first by either, so that the one sees what the other did.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy import orm

from services.tracking.model import day, request, tally
from shared.database import given_rows, insert, is_postgresql, rows_parameter
from shared.messaging.transaction import Transaction

EVERYBODY = ""
AT_MOST = 31
_DAY = timedelta(days=1)
# Workers and the job have clocks of their own; one calls a day over an hour before the other does.
_OVER_FOR_CHANGES = timedelta(hours=1)
_OVER_FOR_COUNTING = timedelta(hours=2)


def recount_later(session: orm.Session, instants: Iterable[datetime], now: datetime) -> None:
    """Note that the counts of the days of these instants no longer hold, of those that may be counted already."""
    days = {instant.astimezone(UTC).date() for instant in instants}
    changed = sorted(one for one in days if begin_of(one) + _DAY + _OVER_FOR_CHANGES <= now)
    if changed:
        _set_counted(session, changed, counted=False)


def count_days(tx: Transaction) -> int:
    """Count days that are over and not counted yet, and return how many there were."""
    uncounted = _uncounted(tx.session, tx.now)
    for one in uncounted:
        _set_counted(tx.session, [one], counted=True)
        tx.session.execute(sa.delete(tally).where(tally.c.day == one))
        for statement in _count(one):
            tx.session.execute(statement)
    return len(uncounted)


def begin_of(one: date) -> datetime:
    """Return the first instant of a day, in UTC."""
    return datetime.combine(one, time(), UTC)


def _uncounted(session: orm.Session, now: datetime) -> list[date]:
    """Return the latest days that are to be counted, in order of time."""
    first = session.scalar(sa.select(sa.func.min(request.c.received_at)))
    if first is None:
        return []
    last = (now - _OVER_FOR_COUNTING - _DAY).astimezone(UTC).date()
    counted = set(session.scalars(sa.select(day.c.day).where(day.c.counted)))
    days = (last - _DAY * back for back in range((last - first.date()).days + 1))
    return sorted([one for one in days if one not in counted][:AT_MOST])


def _count(one: date) -> list[sa.Insert]:
    """Return what counts the requests of a day: all together, and those of each master by itself."""
    within = sa.and_(request.c.received_at >= begin_of(one), request.c.received_at < begin_of(one) + _DAY)
    that_day, number, of_master = sa.literal(one, sa.Date), sa.func.count(), request.c.master
    together = sa.select(sa.literal(EVERYBODY), that_day, request.c.status, number)
    apart = sa.select(of_master, that_day, request.c.status, number).where(of_master.is_not(None))
    columns = [column.name for column in tally.c]
    return [
        sa.insert(tally).from_select(columns, together.where(within).group_by(request.c.status)),
        sa.insert(tally).from_select(columns, apart.where(within).group_by(of_master, request.c.status)),
    ]


def _set_counted(session: orm.Session, days: Iterable[date], *, counted: bool) -> None:
    postgresql_ = is_postgresql(session)
    columns = {column.name: column.type for column in day.c}
    statement = insert(day, postgresql_=postgresql_).from_select(
        list(columns), given_rows(columns, postgresql_=postgresql_)
    )
    entry = statement.on_conflict_do_update(index_elements=["day"], set_={"counted": counted})
    session.execute(entry, rows_parameter(session, [(one, counted) for one in days]))
