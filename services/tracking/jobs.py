"""What the clock starts: requests that linger are entered as such, days are counted, months made and forgotten."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.tracking import months
from services.tracking.model import day, mark, request, request_key, step, tally
from services.tracking.queries.scope import LINGERING, SLACK
from services.tracking.rules import LINGERS_AFTER, WAITING
from shared.contracts.outcomes import RequestStatus
from shared.database import given_values, insert, is_postgresql, values_parameter
from shared.messaging.transaction import Transaction

AT_MOST = 1000
FORGOTTEN_AT_ONCE = 10_000
_PLACE = (request.c.received_at, request.c.command_id)


def enter_lingering(tx: Transaction) -> int:
    """Enter what was received a while ago and is not settled among the exceptional requests, and return how many."""
    until = tx.now - LINGERS_AFTER
    looked_until = tx.session.scalar(sa.select(mark.c.until).where(mark.c.job == LINGERING))
    usual = sa.and_(request.c.status == RequestStatus.RECEIVED.value, request.c.exceptional.is_(None))
    found = sa.select(*_PLACE).where(usual, request.c.received_at < until)
    if looked_until is not None:
        found = found.where(request.c.received_at >= looked_until - SLACK)
    # What a worker holds just now is about to be settled; if not, it is found the next time.
    found = found.order_by(*_PLACE).limit(AT_MOST).with_for_update(skip_locked=True)
    rows = tx.session.execute(found).all()
    if rows:
        between = request.c.received_at.between(rows[0].received_at, rows[-1].received_at)
        ids = given_values(postgresql_=is_postgresql(tx.session))
        entered = sa.update(request).where(between, request.c.command_id.in_(ids), usual)
        tx.session.execute(
            entered.values(exceptional=RequestStatus.RECEIVED.value),
            values_parameter(row.command_id for row in rows),
        )
    if len(rows) < AT_MOST:
        _set_mark(tx.session, LINGERING, until)
    return len(rows)


def _set_mark(session: orm.Session, job: str, until: datetime) -> None:
    entry = insert(mark, postgresql_=is_postgresql(session)).values(job=job, until=until)
    session.execute(entry.on_conflict_do_update(index_elements=["job"], set_={"until": entry.excluded.until}))


def make_months_ahead(tx: Transaction) -> int:
    """Make the coming months, so that no request has to; return nothing, as it says nothing new."""
    this = months.month_of(tx.now)
    ahead = [months.month_after(this, count) for count in range(months.AHEAD + 1)]
    months.make_months(tx.session, ahead, tx.now)
    return 0


def forget_months(tx: Transaction) -> int:
    """Forget the oldest month that is older than ``tracking_months``, a portion at a time; return how many requests.

    A month in which a request still waits stays whole until it is settled.
    """
    limit = months.month_after(months.month_of(tx.now), -tx.settings.tracking_months)
    month = _oldest_settled(tx.session, limit)
    if month is None:
        return 0
    forgotten = _forget_keys(tx.session, month)
    if forgotten < FORGOTTEN_AT_ONCE:
        months.drop_month(tx.session, month)
    for table in (tally, day):  # last, so that nobody counts again what was there before
        first, after = month.date(), months.month_after(month).date()
        tx.session.execute(sa.delete(table).where(table.c.day >= first, table.c.day < after))
    return forgotten


def _oldest_settled(session: orm.Session, limit: datetime) -> datetime | None:
    oldest = session.scalar(
        sa.select(sa.func.min(request.c.received_at)).where(request.c.received_at < limit)
    )
    month = None if oldest is None else months.month_of(oldest)
    while month is not None and month < limit:
        if not _waits(session, month):
            return month
        later = sa.select(sa.func.min(request.c.received_at)).where(
            request.c.received_at >= months.month_after(month), request.c.received_at < limit
        )
        oldest = session.scalar(later)
        month = None if oldest is None else months.month_of(oldest)
    return None


def _waits(session: orm.Session, month: datetime) -> bool:
    waiting = request.c.exceptional.in_([status.value for status in WAITING])
    within = months.within(request, month)
    return bool(session.scalar(sa.select(sa.exists().where(waiting, within))))


def _forget_keys(session: orm.Session, month: datetime) -> int:
    """Remove a portion of a month's keys, on SQLite with all that belongs to them, and return how many."""
    portion = (
        sa.select(request_key.c.command_id).where(months.within(request_key, month)).limit(FORGOTTEN_AT_ONCE)
    )
    ids = list(session.scalars(portion))
    gone = given_values(postgresql_=is_postgresql(session))
    tables = [request_key] if is_postgresql(session) else [step, request, request_key]
    for table in tables:
        session.execute(sa.delete(table).where(table.c.command_id.in_(gone)), values_parameter(ids))
    return len(ids)
