"""Finds the newest requests that fit, within what a caller may see, over any number of requests.

An index can give the newest of one control account, of one user or of one status in order, but not of several at once.
So a search is made of ways: each selects, in the order of an index, no more rows than are asked for, and no two select
the same row. `Scope` is the only way to what a caller may see.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from services.tracking.model import RARE_CHANNELS, account, control_account, mark, request, request_key
from services.tracking.months import month_after, month_of
from services.tracking.rules import MAY_BE_OVERDUE
from shared.contracts.outcomes import RequestStatus
from shared.contracts.types import Channel
from shared.database import begins, given_values, is_postgresql, values_parameter
from shared.folding import fold_name
from shared.messaging.transaction import Reader

LEVELS = ("master", "intermediate", "basic")
LINGERING = "enter-lingering"
# No transaction takes so long; what one wrote may be seen this much later than the instants in it say.
SLACK = timedelta(minutes=2)
# So many accounts are found by name and then asked for their requests; of more, some made a request lately.
MOST_NAMED = 2000
RARE = 500
_ALL = 10**9
_PERIODS = (1, 7)  # months before the latest

_UNLISTED = {"payload", "result", "fingerprint", "reply_to"}
_LISTED = [column for column in request.c if column.name not in _UNLISTED]
_PLACE = (request.c.received_at, request.c.command_id)
_NEWEST_FIRST = tuple(column.desc() for column in _PLACE)

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Way:
    """One index by which requests are found: a condition, and perhaps a level with the numbers that it may have."""

    condition: Condition
    level: str | None = None
    numbers: Sequence[str] = ()

    @property
    def whole(self) -> Condition:
        """All of the way as a condition."""
        if self.level is None:
            return self.condition
        return sa.and_(request.c[self.level].in_(self.numbers), self.condition)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see: all, or what lies under some control accounts together with the caller's own requests.

    ``numbers`` goes by level; a number whose level is not known stands at each. None stands for all.
    """

    user_id: str
    numbers: Mapping[str, Sequence[str]] | None

    @classmethod
    def of(cls, reader: Reader) -> "Scope":
        """Return what the read's function lets the caller see."""
        granted = reader.control_accounts
        return cls(reader.actor.user_id, None if granted is None else _by_level(sorted(granted), reader))

    @property
    def visible(self) -> Condition:
        """The condition that a request may be seen."""
        if self.numbers is None:
            return sa.true()
        under = (request.c[level].in_(at) for level, at in self.numbers.items())
        return _passes(*under, *(way.condition for way in work_of(self.user_id)))

    @property
    def under_numbers(self) -> Condition:
        """The condition that a request lies under the caller's control accounts."""
        if self.numbers is None:
            return sa.true()
        return _passes(*(request.c[level].in_(at) for level, at in self.numbers.items()))

    def ways(self) -> list[Way]:
        """Return the ways that together lead to everything that may be seen."""
        if self.numbers is None:
            return [Way(sa.true())]
        found: list[Way] = []
        elsewhere: list[Condition] = []
        for level, numbers in self.numbers.items():
            found.append(Way(sa.and_(sa.true(), *elsewhere), level, numbers))
            elsewhere.append(request.c[level].in_(numbers).is_not(sa.true()))
        return [*found, *self.own_elsewhere()]

    def own_elsewhere(self) -> list[Way]:
        """Return the ways to the caller's own requests that lie under none of the caller's control accounts."""
        if self.numbers is None:
            return []
        elsewhere = [request.c[level].in_(at).is_not(sa.true()) for level, at in self.numbers.items()]
        return [Way(sa.and_(way.condition, *elsewhere)) for way in work_of(self.user_id)]

    def ways_to_work_of(self, user_id: str) -> list[Way]:
        """Return the ways to what may be seen of the work of a user."""
        work = work_of(user_id)
        if self.numbers is None or user_id == self.user_id:
            return work
        under = [Way(sa.and_(way.condition, self.under_numbers)) for way in work]
        return under + [
            Way(sa.and_(way.condition, own.condition)) for way in work for own in self.own_elsewhere()
        ]


def _passes(*conditions: Condition) -> Condition:
    """Return the condition that any of these holds, put so that no index is chosen by it: it only lets rows pass."""
    return sa.or_(sa.false(), *(condition.is_(sa.true()) for condition in conditions))


def _by_level(numbers: Sequence[str], reader: Reader) -> dict[str, list[str]]:
    """Return these control accounts by the level that they stand at, as accounts told; each level is a way to search."""
    told = sa.select(control_account.c.number, control_account.c.level).where(
        control_account.c.number.in_(numbers)
    )
    levels = {row.number: row.level for row in reader.session.execute(told)}
    found = {level: [each for each in numbers if levels.get(each, level) == level] for level in LEVELS}
    return {level: at for level, at in found.items() if at}


def work_of(user_id: str) -> list[Way]:
    """Return the ways to what a user asked, and to what others asked for this user."""
    by, for_ = request.c.actor == user_id, request.c.on_behalf_of == user_id
    return [Way(by), Way(sa.and_(for_, request.c.actor != user_id))]


# By status


def is_overdue(now: datetime) -> Condition:
    """Return the condition that a request is past its service time."""
    may_be = request.c.status.in_([status.value for status in MAY_BE_OVERDUE])
    return sa.and_(may_be, request.c.due_at < now)


def ways_to_overdue(reader: Reader) -> list[Way]:
    """Return the ways to what is past its service time; all of it waits, so it stands in the index of the exceptional."""
    entered = [request.c.exceptional == status.value for status in MAY_BE_OVERDUE]
    return [Way(sa.and_(one, is_overdue(reader.now))) for one in (*entered, just_received(reader))]


def ways_to_status(status: RequestStatus, reader: Reader) -> list[Way]:
    """Return the ways to the requests at a status."""
    if status is RequestStatus.COMPLETED:
        return [Way(request.c.status == status.value)]
    entered = Way(request.c.exceptional == status.value)
    return [entered, Way(just_received(reader))] if status is RequestStatus.RECEIVED else [entered]


def just_received(reader: Reader) -> Condition:
    """Return the condition for what was received so lately that no job has entered it among the exceptional."""
    entered_until = reader.session.scalar(sa.select(mark.c.until).where(mark.c.job == LINGERING))
    at = sa.and_(request.c.status == RequestStatus.RECEIVED.value, request.c.exceptional.is_(None))
    if entered_until is None:
        return at
    return sa.and_(at, request.c.received_at >= entered_until - SLACK)


# By account


def named(name: str | None, product: str | None) -> Condition:
    """Return the condition on an account that its holder's name begins so, and that it is of this kind."""
    wanted: list[Condition] = []
    if name:
        wanted.append(
            sa.or_(begins(account.c.name_key, fold_name(name)), begins(account.c.embossed_name, name.upper()))
        )
    if product:
        wanted.append(account.c.product == product)
    return sa.and_(*wanted)


def accounts_named(condition: Condition, scope: Scope, reader: Reader) -> list[str] | None:
    """Return the accounts that a condition fits, as far as the caller may see them; None: they are too many."""
    statement = sa.select(account.c.account_id).where(condition).limit(MOST_NAMED + 1)
    if scope.numbers is not None:
        granted = {number for numbers in scope.numbers.values() for number in numbers}
        statement = statement.where(account.c.basic.in_(_at_or_below(sorted(granted))))
    found = list(reader.session.scalars(statement))
    return found if len(found) <= MOST_NAMED else None


def _at_or_below(numbers: Sequence[str]) -> sa.Select[str]:
    """Select the numbers of these control accounts and of all below them: a structure has three levels."""
    node, above = control_account.alias(), control_account.alias()
    reached = (node.c.number, node.c.parent, above.c.parent)
    return (
        sa.select(node.c.number)
        .outerjoin_from(node, above, above.c.number == node.c.parent)
        .where(sa.or_(*(column.in_(numbers) for column in reached)))
    )


# Putting it together


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for: ``wanted`` are further conditions on a request, ``about`` is one on its account.

    ``account_ids`` narrows to these accounts; None stands for all. ``before`` is the instant and the id of the last
    request of the page before.
    """

    wanted: Sequence[Condition]
    type: str | None = None
    channel: Channel | None = None
    status: RequestStatus | None = None
    overdue: bool | None = None
    about: Condition | None = None
    account_ids: Collection[str] | None = None
    work_of: str | None = None
    control_account: str | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None
    before: tuple[datetime, str] | None = None
    limit: int


def find(search: Search, reader: Reader) -> Sequence[sa.Row[Any]]:
    """Return the newest requests that fit, at most ``limit`` of them, without what a list does not show."""
    scope = Scope.of(reader)
    conditions = _conditions(search, reader)
    account_ids = search.account_ids
    if account_ids is None and search.about is not None:
        account_ids = accounts_named(search.about, scope, reader)
    if account_ids is None:
        return _newest(_ways(search, scope, reader), conditions, search, reader)
    there, elsewhere = scope.visible, []
    if search.account_ids is None:  # these were looked for within the caller's control accounts alone
        there, elsewhere = scope.under_numbers, _own_elsewhere(conditions, search, scope, reader)
    found = _newest_of(request_key.c.account_id, account_ids, [*conditions, there], search, reader)
    found += elsewhere
    return sorted(found, key=lambda row: (row.received_at, row.command_id), reverse=True)[: search.limit]


def _conditions(search: Search, reader: Reader) -> list[Condition]:
    """Return all that is wanted of a request, whichever way leads to it."""
    conditions = [*search.wanted, *_named_plainly(search)]
    if search.status is not None:
        conditions.append(request.c.status == search.status.value)
    if search.overdue is not None:
        overdue = is_overdue(reader.now)
        conditions.append(overdue if search.overdue else sa.not_(overdue))
    if search.work_of is not None:
        conditions.append(sa.or_(*(way.condition for way in work_of(search.work_of))))
    if search.control_account is not None:
        conditions.append(sa.or_(*(request.c[level] == search.control_account for level in LEVELS)))
    conditions += _between(search.received_from, search.received_before)
    if search.about is not None:
        conditions.append(_fits(request.c.account_id, search.about))
    if search.before is not None:
        at, command_id = (
            sa.literal(value, column.type) for value, column in zip(search.before, _PLACE, strict=True)
        )
        # The first says nothing new, but tells PostgreSQL which months to leave out.
        conditions += [request.c.received_at <= at, sa.tuple_(*_PLACE) < sa.tuple_(at, command_id)]
    return conditions


def _named_plainly(search: Search) -> list[Condition]:
    found = [] if search.type is None else [request.c.type == search.type]
    return found if search.channel is None else [*found, request.c.channel == search.channel.value]


def _perhaps_rare(search: Search) -> list[Condition]:
    """Return the conditions that an index of their own leads to; the usual channels have none, as no search is rare there."""
    found = [] if search.type is None else [request.c.type == search.type]
    if search.channel in RARE_CHANNELS:
        found.append(request.c.channel == search.channel.value)
    return found


def _ways(search: Search, scope: Scope, reader: Reader) -> list[Way]:
    """Return the ways along which to look: those to what is rarest, and of all others only what may be seen."""
    for condition in _perhaps_rare(search):
        if _is_rare(condition, reader):
            return _within([Way(condition)], scope)
    if search.overdue:
        return _within(ways_to_overdue(reader), scope)
    if search.status in MAY_BE_OVERDUE:
        return _within(ways_to_status(search.status, reader), scope)
    ways = scope.ways()
    if search.work_of is not None:
        ways = scope.ways_to_work_of(search.work_of)
    elif search.control_account is not None:
        ways = _within([Way(sa.true(), level, (search.control_account,)) for level in LEVELS], scope)
    if search.status is None:
        return ways
    (at_status,) = ways_to_status(search.status, reader)
    return [Way(sa.and_(at_status.condition, way.condition), way.level, way.numbers) for way in ways]


def _is_rare(condition: Condition, reader: Reader) -> bool:
    """Return whether so few requests fit that it costs little to look at all of them, whoever's they are."""
    some = sa.select(sa.literal(1)).where(condition).select_from(request).limit(RARE + 1)
    return (reader.session.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0) <= RARE


def _within(ways: Iterable[Way], scope: Scope) -> list[Way]:
    return [Way(sa.and_(way.condition, scope.visible), way.level, way.numbers) for way in ways]


def _newest(
    ways: Sequence[Way], conditions: Sequence[Condition], search: Search, reader: Reader
) -> list[sa.Row[Any]]:
    """Look through ever longer periods, the latest first, until enough is found.

    Most searches end in the first one; to plan for all months would take PostgreSQL longer than to look through these.
    """
    found: list[sa.Row[Any]] = []
    for period in _periods(search, reader):
        missing = search.limit - len(found)
        parts = [_along(way, [*conditions, *period], missing, reader) for way in ways]
        found += reader.session.execute(_together(parts, period, missing)).all()
        if len(found) >= search.limit:
            break
    return found


def _periods(search: Search, reader: Reader) -> Iterator[list[Condition]]:
    """Yield the conditions of periods that follow each other backwards and leave out nothing."""
    latest = search.before[0] if search.before else min(search.received_before or reader.now, reader.now)
    end: datetime | None = None
    for count in _PERIODS:
        begin = month_after(month_of(latest), -count)
        if search.received_from and begin <= search.received_from:
            break
        yield _between(begin, end)
        end = begin
    yield _between(None, end)


def _between(begin: datetime | None, end: datetime | None) -> list[Condition]:
    bounds = [request.c.received_at >= begin] if begin else []
    return [*bounds, request.c.received_at < end] if end else bounds


def _along(way: Way, conditions: Sequence[Condition], limit: int, reader: Reader) -> sa.Select[Any]:
    """Return the places of the newest requests of one way."""
    newest = sa.select(*_PLACE).where(way.condition, *conditions).order_by(*_NEWEST_FIRST).limit(limit)
    if way.level is None:
        return newest
    level = request.c[way.level]
    if len(way.numbers) == 1 or not is_postgresql(reader.session):
        return newest.where(level.in_(way.numbers) if len(way.numbers) != 1 else level == way.numbers[0])
    # Of several numbers together no index gives the newest, of each one by one it does.
    numbers = (
        sa.func.unnest(sa.cast(list(way.numbers), postgresql.ARRAY(sa.String)))
        .table_valued("number")
        .render_derived()
    )
    each = newest.where(level == numbers.c.number).correlate(numbers).lateral()
    return sa.select(*each.c).select_from(numbers.join(each, sa.true()))


def _fits(account_id: sa.ColumnElement[str | None], about: Condition) -> Condition:
    """Return the condition that an account fits.

    It is a value, looked up for each; as `exists` it would be turned into a join, and often into one with every account
    that fits.
    """
    return (
        sa.select(account.c.account_id)
        .where(account.c.account_id == account_id, about)
        .scalar_subquery()
        .is_not(None)
    )


def _newest_of(
    named: sa.Column[Any],
    ids: Collection[str],
    conditions: Sequence[Condition],
    search: Search,
    reader: Reader,
) -> list[sa.Row[Any]]:
    """Return the newest requests whose keys have one of these ids; keys lie together, whatever the month.

    Keys are sorted before any request is looked at: the limit, which none ever meets, keeps PostgreSQL from doing so later.
    """
    given = given_values(postgresql_=is_postgresql(reader.session))
    keys = sa.select(request_key.c.received_at, request_key.c.command_id).where(named.in_(given))
    newest = keys.order_by(request_key.c.received_at.desc(), request_key.c.command_id.desc())
    key = newest.limit(_ALL).subquery().c
    mine = sa.and_(request.c.received_at == key.received_at, request.c.command_id == key.command_id)
    statement = (
        sa.select(*_LISTED)
        .where(mine, *conditions)
        .order_by(key.received_at.desc(), key.command_id.desc())
        .limit(search.limit)
    )
    return list(reader.session.execute(statement, values_parameter(ids)))


def _own_elsewhere(
    conditions: Sequence[Condition], search: Search, scope: Scope, reader: Reader
) -> list[sa.Row[Any]]:
    """Return the caller's newest requests about accounts that fit, of those outside the caller's control accounts.

    An index alone tells which they are and about which accounts; hardly ever is there one to look at.
    """
    assert search.about is not None
    parts = []
    for way in scope.own_elsewhere():
        # The limit, which none ever meets, keeps PostgreSQL from turning this round.
        own = (
            sa.select(request.c.command_id, request.c.account_id)
            .where(way.condition)
            .limit(_ALL)
            .subquery()
            .c
        )
        parts.append(sa.select(own.command_id).where(_fits(own.account_id, search.about)))
    ids = list(reader.session.scalars(sa.union_all(*parts))) if parts else []
    return _newest_of(request_key.c.command_id, ids, conditions, search, reader) if ids else []


def _together(parts: Sequence[sa.Select[Any]], period: Sequence[Condition], limit: int) -> sa.Select[Any]:
    """Return the newest of what all parts find, with all that a list shows; the period again says which months to read."""
    places = parts[0] if len(parts) == 1 else sa.union_all(*(sa.select(part.subquery()) for part in parts))
    newest = places.subquery()
    if len(parts) > 1:
        order = (newest.c.received_at.desc(), newest.c.command_id.desc())
        newest = sa.select(newest).order_by(*order).limit(limit).subquery()
    mine = sa.and_(request.c.received_at == newest.c.received_at, request.c.command_id == newest.c.command_id)
    return (
        sa.select(*_LISTED)
        .where(mine, *period)
        .order_by(newest.c.received_at.desc(), newest.c.command_id.desc())
    )
