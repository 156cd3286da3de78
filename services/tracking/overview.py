"""How many requests stand at each status (TRK-04): days that are counted already are added up, all others counted live."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import sqlalchemy as sa

from services.tracking.counting import EVERYBODY, begin_of
from services.tracking.finding import LEVELS, Condition, Scope, Way, just_received, overdue_ways, work_of
from services.tracking.model import day, request, tally
from shared.contracts.outcomes import RequestStatus
from shared.contracts.tracking import ApproveRequest, GetRequestOverview, RequestOverview, StatusCount
from shared.messaging.transaction import Reader

Gap = tuple[datetime | None, datetime | None]
_DAY = timedelta(days=1)
_MOST_GAPS = 20


def get_overview(query: GetRequestOverview, reader: Reader) -> RequestOverview:
    """Count the requests by status; the counts sum to the total."""
    scope, within = Scope.of(reader), _period(query)
    narrowed = [scope.visible, *within]
    late, awaiting = overdue_ways(reader), _awaiting(reader)
    if query.work_of:
        mine = work_of(query.work_of)
        late, awaiting = _both(late, mine), _both(awaiting, mine)
        own = scope.numbers is None or query.work_of == scope.user_id  # all of it may be seen
        counts = _of_user(query.work_of, within, reader) if own else _live_ways(mine, narrowed, reader)
    else:
        counts = _of_all(query, scope, reader)
    return RequestOverview(
        total=counts.total(),
        overdue=_number(late, narrowed, reader),
        awaiting_me=_number(awaiting, narrowed, reader),
        counts=[StatusCount(status=status, count=counts[status.value]) for status in RequestStatus],
    )


def _both(some: Sequence[Way], others: Sequence[Way]) -> list[Way]:
    return [Way(sa.and_(one.condition, other.condition)) for one in some for other in others]


def _period(query: GetRequestOverview) -> list[Condition]:
    bounds = []
    if query.received_from:
        bounds.append(request.c.received_at >= query.received_from)
    if query.received_before:
        bounds.append(request.c.received_at < query.received_before)
    return bounds


def _number(ways: Iterable[Way], conditions: Sequence[Condition], reader: Reader) -> int:
    found = [sa.select(sa.func.count()).select_from(request).where(way.whole, *conditions) for way in ways]
    each = sa.union_all(*found) if found else None
    return 0 if each is None else sum(reader.session.scalars(each))


def _awaiting(reader: Reader) -> list[Way]:
    """Return the ways to what the caller could approve: somebody else's, by functions that the caller has there."""
    actor = reader.actor
    if not actor.may(ApproveRequest.contract.function or ""):
        return []
    may = [
        sa.and_(_approver == function, _under(numbers) if not actor.everywhere(function) else sa.true())
        for function, numbers in sorted(actor.grants.items())
    ]
    waits = request.c.exceptional == RequestStatus.AWAITING_APPROVAL.value
    not_own = sa.and_(
        request.c.actor != actor.user_id, sa.func.coalesce(request.c.on_behalf_of, "") != actor.user_id
    )
    return [Way(sa.and_(waits, not_own, sa.or_(*may)))]


_approver = sa.func.coalesce(request.c.approver_function, ApproveRequest.contract.function)


def _under(numbers: Iterable[str]) -> Condition:
    return sa.or_(*(request.c[level].in_(sorted(numbers)) for level in LEVELS))


# Adding up


def _of_user(user_id: str, within: Sequence[Condition], reader: Reader) -> Counter[str]:
    """Count all work of a user in one statement, so that its counts are of one instant.

    An index alone counts what the user asked and what of it is exceptional; all the rest of it is completed.
    """
    asked, on_behalf = (way.condition for way in work_of(user_id))
    entered, number = request.c.exceptional, sa.func.count()
    parts = [
        sa.select(sa.literal(""), number).where(asked, *within),
        sa.select(entered, number).where(asked, entered.is_not(None), *within).group_by(entered),
        sa.select(sa.literal(RequestStatus.RECEIVED.value), number).where(
            asked, just_received(reader), *within
        ),
    ]
    counts = _counter(sa.union_all(*parts), reader)
    everything = counts.pop("", 0)
    counts[RequestStatus.COMPLETED.value] = everything - counts.total()
    return counts + _live([sa.and_(on_behalf, *within)], reader)


def _live_ways(ways: Iterable[Way], conditions: Sequence[Condition], reader: Reader) -> Counter[str]:
    return _live([sa.and_(way.condition, *conditions) for way in ways], reader)


def _of_all(query: GetRequestOverview, scope: Scope, reader: Reader) -> Counter[str]:
    days = _counted_days(query, reader)
    gaps = _gaps(days, query)
    within = [_between(gap) for gap in gaps]
    masters = [EVERYBODY] if scope.numbers is None else scope.numbers
    counts = _tallied(masters, days, gaps, reader)
    live: list[Condition] = []
    for way in scope.ways():
        is_tallied = scope.numbers is None or way.level == "master"
        live += [
            sa.and_(way.whole, one)
            for one in (within if is_tallied else [sa.and_(sa.true(), *_period(query))])
        ]
    return counts + _live(live, reader)


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


def _between(gap: Gap) -> Condition:
    start, end = gap
    bounds = [request.c.received_at >= start] if start else []
    return sa.and_(sa.true(), *bounds, *([request.c.received_at < end] if end else []))


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


def _live(conditions: Iterable[Condition], reader: Reader) -> Counter[str]:
    counted = [
        sa.select(request.c.status, sa.func.count()).where(condition).group_by(request.c.status)
        for condition in conditions
    ]
    return _counter(sa.union_all(*counted), reader) if counted else Counter()


def _counter(statement: sa.Executable, reader: Reader) -> Counter[str]:
    counts: Counter[str] = Counter()
    for status, number in reader.session.execute(statement):
        counts[status] += int(number)
    return counts
