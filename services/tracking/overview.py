"""How many requests stand at each status (TRK-04): days that are counted already are added up, all others counted live."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from services.tracking.counting import EVERYBODY, begin_of
from services.tracking.finding import LEVELS, Condition, Scope, Way, is_overdue, just_received
from services.tracking.model import day, request, tally
from services.tracking.rules import MAY_BE_OVERDUE
from shared.contracts.outcomes import RequestStatus
from shared.contracts.tracking import ApproveRequest, GetRequestOverview, RequestOverview, StatusCount
from shared.messaging.transaction import Reader

Gap = tuple[datetime | None, datetime | None]
_DAY = timedelta(days=1)
_MOST_GAPS = 20
_RECENT = "recent"


def get_overview(query: GetRequestOverview, reader: Reader) -> RequestOverview:
    """Count the requests by status; the counts sum to the total."""
    scope, within = Scope.of(reader), _period(query)
    if query.work_of:
        ways = scope.ways_to_work_of(query.work_of)
        counts = _standing([(way, within) for way in ways], reader)
    else:
        ways, counts = scope.ways(), _of_all(query, scope, reader)
    overdue, awaiting_me = _waiting([sa.or_(*(way.whole for way in ways)), *within], reader)
    return RequestOverview(
        total=counts.total(),
        overdue=overdue,
        awaiting_me=awaiting_me,
        counts=[StatusCount(status=status, count=counts[status.value]) for status in RequestStatus],
    )


def _period(query: GetRequestOverview) -> list[Condition]:
    bounds = []
    if query.received_from:
        bounds.append(request.c.received_at >= query.received_from)
    if query.received_before:
        bounds.append(request.c.received_at < query.received_before)
    return bounds


def _waiting(narrowed: Sequence[Condition], reader: Reader) -> tuple[int, int]:
    """Return how many requests are past their service time, and how many the caller could approve.

    Both wait, so they stand in the index of the exceptional, but for what came in a moment ago.
    """
    late, number = is_overdue(reader.now), sa.func.count()
    entered = request.c.exceptional.in_([status.value for status in MAY_BE_OVERDUE])
    awaiting = _awaiting(reader)
    parts = [
        sa.select(number.filter(late), number.filter(awaiting)).where(entered, *narrowed),
        sa.select(number, sa.literal(0)).where(just_received(reader), late, *narrowed),
    ]
    found = reader.session.execute(sa.union_all(*parts)).all()
    return sum(row[0] for row in found), sum(row[1] for row in found)


def _awaiting(reader: Reader) -> Condition:
    """Return the condition that the caller could approve it: somebody else's, by a function that the caller has there."""
    actor = reader.actor
    if not actor.may(ApproveRequest.contract.function or ""):
        return sa.false()
    may = [
        sa.and_(_approver == function, _under(numbers) if not actor.everywhere(function) else sa.true())
        for function, numbers in sorted(actor.grants.items())
    ]
    waits = request.c.exceptional == RequestStatus.AWAITING_APPROVAL.value
    not_own = sa.and_(
        request.c.actor != actor.user_id, sa.func.coalesce(request.c.on_behalf_of, "") != actor.user_id
    )
    return sa.and_(waits, not_own, sa.or_(*may))


_approver = sa.func.coalesce(request.c.approver_function, ApproveRequest.contract.function)


def _under(numbers: Iterable[str]) -> Condition:
    return sa.or_(*(request.c[level].in_(sorted(numbers)) for level in LEVELS))


# Adding up


def _of_all(query: GetRequestOverview, scope: Scope, reader: Reader) -> Counter[str]:
    days = _counted_days(query, reader)
    gaps = _gaps(days, query)
    masters = [EVERYBODY] if scope.numbers is None else scope.numbers.get("master", ())
    counts = _tallied(masters, days, gaps, reader)
    live: list[tuple[Way, Sequence[Condition]]] = []
    for way in scope.ways():
        is_tallied = scope.numbers is None or way.level == "master"
        live += [(way, _between(gap)) for gap in gaps] if is_tallied else [(way, _period(query))]
    return counts + _standing(live, reader)


def _standing(live: Iterable[tuple[Way, Sequence[Condition]]], reader: Reader) -> Counter[str]:
    """Count what lies along these ways and periods in one statement, so that its counts are of one instant.

    Indexes alone tell how many there are and which of them are exceptional; of the others some were received a moment
    ago, and all the rest is completed.
    """
    entered, number = request.c.exceptional, sa.func.count()
    parts = []
    for way, within in live:
        parts.append(sa.select(entered, number).where(way.whole, *within).group_by(entered))
        recent = sa.select(sa.literal(_RECENT), number).where(way.whole, just_received(reader), *within)
        parts.append(recent)
    counts = _counter(sa.union_all(*parts), reader) if parts else Counter()
    recent_ones = counts.pop(_RECENT, 0)
    counts[RequestStatus.COMPLETED.value] = counts.pop(None, 0) - recent_ones
    counts[RequestStatus.RECEIVED.value] += recent_ones
    return counts


def _counted_days(query: GetRequestOverview, reader: Reader) -> list[date]:
    """Return the days in question that are counted, in order; none where too many others lie between them."""
    statement = sa.select(day.c.day).where(day.c.counted).order_by(day.c.day)
    if query.received_from:
        first = query.received_from.astimezone(UTC)
        statement = statement.where(day.c.day >= (first + _DAY - timedelta(microseconds=1)).date())
    if query.received_before:
        statement = statement.where(day.c.day < query.received_before.astimezone(UTC).date())
    days = list(reader.session.scalars(statement))
    broken = sum(after - before > _DAY for before, after in pairwise(days))
    return days if broken < _MOST_GAPS else []


def _gaps(days: Sequence[date], query: GetRequestOverview) -> list[Gap]:
    """Return the times in question that lie outside these days."""
    start = query.received_from
    gaps: list[Gap] = []
    for one in days:
        if start is None or start < begin_of(one):
            gaps.append((start, begin_of(one)))
        start = begin_of(one) + _DAY
    if start is None or query.received_before is None or start < query.received_before:
        gaps.append((start, query.received_before))
    return gaps


def _between(gap: Gap) -> list[Condition]:
    start, end = gap
    bounds = [request.c.received_at >= start] if start else []
    return [*bounds, request.c.received_at < end] if end else bounds


def _tallied(
    masters: Sequence[str], days: Sequence[date], gaps: Sequence[Gap], reader: Reader
) -> Counter[str]:
    """Add up the counted days; a day that ceased to be counted meanwhile still has the counts of a moment ago."""
    if not days:
        return Counter()
    statement = sa.select(tally.c.status, sa.func.sum(tally.c.count)).where(
        tally.c.master.in_(masters), tally.c.day >= days[0], tally.c.day <= days[-1]
    )
    for start, end in gaps:
        if start and end:
            statement = statement.where(
                sa.not_(sa.and_(tally.c.day >= start.date(), tally.c.day < end.date()))
            )
    return _counter(statement.group_by(tally.c.status), reader)


def _counter(statement: sa.Executable, reader: Reader) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    for status, number in reader.session.execute(statement):
        counts[status] += int(number)
    return counts
