"""What a caller may see, and the ways to it: `Scope` is the only way to what a caller may see.

An index gives the newest requests of one control account, of one user or of one status in order, but not of several at
once. So whoever looks for requests follows ways, of which no two lead to the same request. All conditions take parameters:
a statement is made once for each shape that a search can have (ADR 22).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from services.tracking.model import LEVELS, control_account, mark, request, workplace
from services.tracking.rules import MAY_BE_OVERDUE
from shared.contracts.outcomes import RequestStatus
from shared.database import Instant, given_values, is_postgresql, values_parameter
from shared.messaging.transaction import Reader

LINGERING = "enter-lingering"
# No transaction takes so long; what one wrote may be seen this much later than the instants in it say.
SLACK = timedelta(minutes=2)
ME = "me"

Condition = sa.ColumnElement[bool]
Parameters = dict[str, Any]

# What the indexes of a user's own requests hold.
_BESIDE = frozenset({*LEVELS, "type", "channel", "account_id", "received_at", "command_id"})


@dataclass(frozen=True, slots=True)
class Way:
    """One index by which requests are found: a condition, and perhaps a level at which the caller has control accounts.

    Hardly any request fits ``rare``, which the index alone tells; ``condition`` is asked of these alone. What else the index
    tells of them is ``beside``.
    """

    condition: Condition
    level: str | None = None
    rare: Condition | None = None
    beside: frozenset[str] = frozenset()

    def at(self, condition: Condition, *, is_indexed: bool = False) -> "Way":
        """Return the way to those only that fit a condition too; ``is_indexed`` where an index knows it beside all others."""
        if self.rare is not None and is_indexed:
            return replace(self, rare=sa.and_(condition, self.rare))
        return replace(self, condition=sa.and_(condition, self.condition))

    def whole(self, scope: "Scope") -> Condition:
        """Return all of the way as a condition."""
        at_level = [] if self.level is None else [scope.granted(self.level)]
        return sa.and_(*at_level, self.condition, *([] if self.rare is None else [self.rare]))


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see: all, or what lies under some control accounts together with the caller's own requests.

    ``levels`` are those at which these control accounts stand; None stands for all requests. ``has_elsewhere`` is whether
    any of the caller's own requests lies under none of them.
    """

    levels: tuple[str, ...] | None
    postgresql: bool
    has_elsewhere: bool = False

    @property
    def visible(self) -> Condition:
        """The condition that a request may be seen."""
        if self.levels is None:
            return sa.true()
        own = work_of(ME) if self.has_elsewhere else []
        return passes(*self._at_levels(), *(way.condition for way in own))

    @property
    def under(self) -> Condition:
        """The condition that a request lies under the caller's control accounts."""
        return sa.true() if self.levels is None else passes(*self._at_levels())

    @property
    def elsewhere(self) -> Condition:
        """The condition that a request lies under none of the caller's control accounts."""
        return self.lies_elsewhere(request)

    def lies_elsewhere(self, table: sa.Table) -> Condition:
        """Return the condition that what has the three levels lies under none of the caller's control accounts."""
        at = (self._has(table.c[level], level) for level in self.levels or ())
        return sa.and_(sa.true(), *(each.is_not(sa.true()) for each in at))

    def ways(self) -> list[Way]:
        """Return the ways that together lead to everything that may be seen."""
        if self.levels is None:
            return [Way(sa.true())]
        found: list[Way] = []
        above: list[Condition] = []
        for level in self.levels:
            found.append(Way(sa.and_(sa.true(), *above), level))
            above.append(self.granted(level).is_not(sa.true()))
        return [*found, *self.own_elsewhere()] or [Way(sa.false())]

    def own_elsewhere(self) -> list[Way]:
        """Return the ways to the caller's own requests that lie under none of the caller's control accounts."""
        own = work_of(ME) if self.has_elsewhere else []
        return [Way(sa.true(), rare=sa.and_(way.condition, self.elsewhere), beside=_BESIDE) for way in own]

    def ways_to_work(self, user: str, *, is_own: bool) -> list[Way]:
        """Return the ways to what may be seen of the work of a user, given under this name."""
        work = work_of(user)
        if self.levels is None or is_own:
            return work
        both = [own.at(way.condition) for own in self.own_elsewhere() for way in work]
        return [way.at(self.under) for way in work] + both

    def granted(self, level: str) -> Condition:
        """Return the condition that a request lies under one of the caller's control accounts of a level."""
        return self._has(request.c[level], level)

    def _has(self, column: sa.ColumnElement[Any], level: str) -> Condition:
        return is_given(column, granted_at(level), postgresql=self.postgresql)

    def _at_levels(self) -> list[Condition]:
        return [self.granted(level) for level in self.levels or ()]


def scope_of(reader: Reader) -> tuple[Scope, Parameters]:
    """Return what the read's function lets the caller see, with the parameters of its conditions."""
    numbers, postgresql = reader.control_accounts, is_postgresql(reader.session)
    given: Parameters = {ME: reader.actor.user_id}
    if numbers is None:
        return Scope(None, postgresql), given
    levels = _by_level(sorted(numbers), reader)
    for level, at in levels.items():
        given |= values_parameter(at, granted_at(level))
    scope = Scope(tuple(levels), postgresql)
    return replace(scope, has_elsewhere=bool(reader.session.scalar(_works_elsewhere(scope), given))), given


@cache
def _works_elsewhere(scope: Scope) -> sa.Select[bool]:
    own = (workplace.c.user_id == sa.bindparam(ME), scope.lies_elsewhere(workplace))
    return sa.select(sa.exists().where(*own))


def _by_level(numbers: Sequence[str], reader: Reader) -> dict[str, list[str]]:
    """Return control accounts by the level that they stand at, as accounts told; one that is not known stands at each."""
    known = is_given(control_account.c.number, "numbers", postgresql=is_postgresql(reader.session))
    told = reader.session.execute(
        sa.select(control_account.c.number, control_account.c.level).where(known),
        values_parameter(numbers, "numbers"),
    )
    levels = {row.number: row.level for row in told}
    found = {level: [each for each in numbers if levels.get(each, level) == level] for level in LEVELS}
    return {level: at for level, at in found.items() if at}


def granted_at(level: str) -> str:
    """Return the name of the parameter with the caller's control accounts of a level."""
    return f"granted_{level}"


def is_given(column: sa.ColumnElement[Any], name: str, *, postgresql: bool) -> Condition:
    """Return the condition that a column has one of the values given by `values_parameter` under a name."""
    values = given_values(name, postgresql_=postgresql)
    if not postgresql:
        return column.in_(values)
    # As an array it is no join, which PostgreSQL would put first.
    return column == sa.any_(sa.func.array(values.scalar_subquery()))


def work_of(user: str) -> list[Way]:
    """Return the ways to what a user asked, and to what others asked for this user, who is given under this name."""
    by, for_ = request.c.actor == sa.bindparam(user), request.c.on_behalf_of == sa.bindparam(user)
    return [Way(by), Way(sa.and_(for_, request.c.actor != sa.bindparam(user)))]


def passes(*conditions: Condition) -> Condition:
    """Return the condition that any of these holds, put so that PostgreSQL takes it to let half of all rows pass.

    It would take it to hold of hardly any, and read all that an index finds at once instead of the newest of it.
    """
    return sa.case((sa.or_(sa.false(), *conditions), sa.true()), else_=sa.false())


# By status

_ENTERED_UNTIL = "entered_until"
# Before and after all requests. PostgreSQL takes a time that has no end for a third of all time.
EVER, FAR = datetime(1970, 1, 1, tzinfo=UTC), "far"


def statuses_parameters(reader: Reader) -> Parameters:
    """Return the parameters of what is asked by status: the present, and until when it is known what lingers."""
    entered_until = reader.session.scalar(sa.select(mark.c.until).where(mark.c.job == LINGERING))
    since = EVER if entered_until is None else entered_until - SLACK
    return {"now": reader.now, _ENTERED_UNTIL: since, FAR: reader.now + timedelta(days=1)}


def at_status(status: RequestStatus) -> list[Condition]:
    """Return the conditions, of which no two hold together, that a request stands at a status; each knows its index."""
    if status is RequestStatus.COMPLETED:
        return [request.c.status == status.value]
    entered = request.c.exceptional == status.value
    return [entered, JUST_RECEIVED] if status is RequestStatus.RECEIVED else [entered]


def at_any_of(statuses: Collection[RequestStatus], *, of_few: bool = False) -> list[Condition]:
    """Return the same of several statuses, received among them, by which no index gives the newest first.

    ``of_few`` is whether they are asked of the few requests that another index finds.
    """
    stands = request.c.exceptional.in_([status.value for status in statuses])
    entered = sa.and_(request.c.exceptional.is_not(None), passes(stands)) if of_few else stands
    return [entered, JUST_RECEIVED]


# Received so lately that no job has entered it among the exceptional.
JUST_RECEIVED = sa.and_(
    request.c.status == RequestStatus.RECEIVED.value,
    request.c.exceptional.is_(None),
    request.c.received_at.between(
        sa.bindparam(_ENTERED_UNTIL, type_=Instant), sa.bindparam(FAR, type_=Instant)
    ),
)
DUE = request.c.due_at < sa.bindparam("now", type_=Instant)
LATE = sa.and_(request.c.status.in_([status.value for status in MAY_BE_OVERDUE]), DUE)
