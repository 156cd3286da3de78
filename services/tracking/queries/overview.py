"""How many requests stand at each status (TRK-04): days that are counted already are added up, all others counted live."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from services.tracking.counting import EVERYBODY, begin_of
from services.tracking.model import LEVELS, day, request, tally
from services.tracking.queries.criteria import received
from services.tracking.queries.scope import (
    DUE,
    EVER,
    FAR,
    JUST_RECEIVED,
    ME,
    Condition,
    Parameters,
    Scope,
    Way,
    at_any_of,
    granted_at,
    scope_of,
    statuses_parameters,
)
from services.tracking.rules import MAY_BE_OVERDUE
from shared.actor import EVERYWHERE
from shared.contracts.outcomes import RequestStatus
from shared.contracts.tracking import ApproveRequest, GetRequestOverview, RequestOverview, StatusCount
from shared.database import given_rows, given_values, literally, rows_parameter
from shared.messaging.transaction import Reader

Gap = tuple[datetime | None, datetime | None]
_DAY = timedelta(days=1)
_MOST_GAPS = 20
_RECENT = "recent"
_PERIOD = ("received_from", "received_before")


@dataclass(frozen=True, slots=True)
class Shape:
    """What overviews have in common whose statements are the same.

    ``work`` is whose work is counted: None for everything, else whether it is the caller's own. ``gaps`` is how many times
    there are outside the days that are counted already.
    """

    scope: Scope
    has_period: bool
    work: bool | None
    gaps: int = 0

    @property
    def ways(self) -> list[Way]:
        """The ways to all that is counted."""
        if self.work is None:
            return self.scope.ways()
        return self.scope.ways_to_work("work_of", is_own=self.work)

    @property
    def within(self) -> list[Condition]:
        """The conditions of the period that is asked for."""
        return _between(*_PERIOD) if self.has_period else []


def get_overview(query: GetRequestOverview, reader: Reader) -> RequestOverview:
    """Count the requests by status; the counts sum to the total."""
    scope, given = scope_of(reader)
    given |= statuses_parameters(reader) | {"work_of": query.work_of}
    given |= _bounds(_PERIOD, (query.received_from, query.received_before), given)
    work = query.work_of == reader.actor.user_id if query.work_of else None
    shape = Shape(scope, bool(query.received_from or query.received_before), work)
    overdue, awaiting_me = _waiting_now(shape, given, reader)
    counts = _counts(shape, query, given, reader)
    return RequestOverview(
        total=counts.total(),
        overdue=overdue,
        awaiting_me=awaiting_me,
        counts=[StatusCount(status=status, count=counts[status.value]) for status in RequestStatus],
    )


# What waits


def _waiting_now(shape: Shape, given: Parameters, reader: Reader) -> tuple[int, int]:
    """Return how many requests are past their service time, and how many the caller could approve."""
    actor = reader.actor
    grants: list[tuple[str, str]] = []
    if actor.may(ApproveRequest.contract.function or ""):
        grants = [
            (function, number) for function, numbers in actor.grants.items() for number in sorted(numbers)
        ]
    given = given | rows_parameter(reader.session, grants)
    found = reader.session.execute(_waiting(shape), given).all()
    return sum(row[0] for row in found), sum(row[1] for row in found)


@lru_cache
def _waiting(shape: Shape) -> sa.CompoundSelect[Any]:
    """Select how many requests are late, and how many the caller could approve, along each way.

    Both wait, so they stand in the index of the exceptional, but for what came in a moment ago. Nobody approves the own.
    """
    number = sa.func.count()
    awaiting = _may_be_approved(shape.scope)
    parts: list[Any] = []
    for way in shape.ways:
        within = (way.whole(shape.scope), *shape.within)
        entered, recent = at_any_of(MAY_BE_OVERDUE, of_few=way.rare is not None)
        approvable = number.filter(awaiting) if way.rare is None else literally(0)
        parts += (
            sa.select(number.filter(DUE), approvable).where(entered, *within),
            sa.select(number, literally(0)).where(recent, DUE, *within),
        )
    return sa.union_all(*parts)


def _may_be_approved(scope: Scope) -> Condition:
    """Return the condition that the caller could approve it: somebody else's, by a function that the caller has there."""
    grant = given_rows({"function": sa.String(), "number": sa.String()}, postgresql_=scope.postgresql)
    held = grant.subquery("held")
    approver = sa.func.coalesce(request.c.approver_function, ApproveRequest.contract.function)
    there = held.c.number.in_([EVERYWHERE, *(request.c[level] for level in LEVELS)])
    me = sa.bindparam(ME, type_=sa.String)
    return sa.and_(
        request.c.exceptional == RequestStatus.AWAITING_APPROVAL.value,
        request.c.actor != me,
        sa.func.coalesce(request.c.on_behalf_of, "") != me,
        sa.exists().where(held.c.function == approver, there).correlate(request),
    )


# Adding up


def _counts(shape: Shape, query: GetRequestOverview, given: Parameters, reader: Reader) -> Counter[str]:
    if shape.work is not None:
        return _standing(shape, given, reader)
    days = _counted_days(query, reader)
    gaps = _gaps(days, query)
    for place, gap in enumerate(gaps):
        given = given | _bounds(_names(place), gap, given)
    live = _standing(replace(shape, gaps=len(gaps)), given, reader)
    return live + _tallied(shape.scope, days, gaps, given, reader)


def _standing(shape: Shape, given: Parameters, reader: Reader) -> Counter[str]:
    """Return how many requests stand at each status, of those that are not counted already.

    Some that are not exceptional were received a moment ago, and all others are completed.
    """
    counts = _counter(_live(shape), given, reader)
    recent = counts.pop(_RECENT, 0)
    counts[RequestStatus.COMPLETED.value] = counts.pop(None, 0) - recent
    counts[RequestStatus.RECEIVED.value] += recent
    return counts


@lru_cache
def _live(shape: Shape) -> sa.CompoundSelect[Any]:
    """Count what lies along the ways in one statement, so that its counts are of one instant; indexes alone tell it."""
    entered, number = request.c.exceptional, sa.func.count()
    gaps = [_between(*_names(place)) for place in range(shape.gaps)]
    parts: list[Any] = []
    for way in shape.ways:
        for within in gaps if _is_tallied(way, shape) else [shape.within]:
            there = (way.whole(shape.scope), *within)
            recent = sa.select(sa.literal(_RECENT), number).where(JUST_RECEIVED, *there)
            parts += (sa.select(entered, number).where(*there).group_by(entered), recent)
    return sa.union_all(*parts)


def _is_tallied(way: Way, shape: Shape) -> bool:
    return shape.work is None and (shape.scope.levels is None or way.level == "master")


def _names(place: int) -> tuple[str, str]:
    return f"gap_{place}_from", f"gap_{place}_before"


def _between(start: str, end: str) -> list[Condition]:
    return [received(">=", start), received("<", end)]


def _bounds(names: tuple[str, str], period: Gap, given: Parameters) -> Parameters:
    start, end = period
    return dict(zip(names, (start or EVER, end or given[FAR]), strict=True))


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


def _tallied(
    scope: Scope, days: Sequence[date], gaps: Sequence[Gap], given: Parameters, reader: Reader
) -> Counter[str]:
    """Add up the counted days; a day that ceased to be counted meanwhile still has the counts of a moment ago."""
    if not days or (scope.levels is not None and "master" not in scope.levels):
        return Counter()
    inner = [(start.date(), end.date()) for start, end in gaps if start and end]
    bounds = {
        f"{name}_{place}": at
        for place, gap in enumerate(inner)
        for name, at in zip(("from", "before"), gap, strict=True)
    }
    between = {"first_day": days[0], "last_day": days[-1]}
    return _counter(_tallies(scope, len(inner)), given | between | bounds, reader)


@lru_cache
def _tallies(scope: Scope, gaps: int) -> sa.Select[Any]:
    """Select the sums of counted days, without so many gaps between them."""
    whose = tally.c.master == EVERYBODY
    if scope.levels is not None:
        whose = tally.c.master.in_(given_values(granted_at("master"), postgresql_=scope.postgresql))
    days = tally.c.day.between(sa.bindparam("first_day"), sa.bindparam("last_day"))
    left_out = (
        sa.not_(
            sa.and_(
                tally.c.day >= sa.bindparam(f"from_{place}"), tally.c.day < sa.bindparam(f"before_{place}")
            )
        )
        for place in range(gaps)
    )
    return (
        sa.select(tally.c.status, sa.func.sum(tally.c.count))
        .where(whose, days, *left_out)
        .group_by(tally.c.status)
    )


def _counter(statement: sa.Executable, given: Parameters, reader: Reader) -> Counter[Any]:
    counts: Counter[Any] = Counter()
    for status, number in reader.session.execute(statement, given):
        counts[status] += int(number)
    return counts
