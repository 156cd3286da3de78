"""Finds the newest requests that fit, within what a caller may see, over any number of requests (TRK-02).

A search follows ways (scope.py): each selects, in the order of an index, no more rows than are asked for. What is asked of
the account is looked for among the accounts first (accounts.py), and few of these are asked for their requests by key.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from services.tracking.model import LEVELS, RARE_CHANNELS, control_account, request, request_key
from services.tracking.queries.accounts import SOME, fits, number_that_fit, that_fit
from services.tracking.queries.criteria import (
    CRITERIA,
    NEWEST_FIRST,
    OF_ACCOUNT,
    OF_PLACE,
    OVERDUE,
    PLACE,
    Query,
    criteria_of,
    of_place,
    parameters_of,
    parameters_of_key,
)
from services.tracking.queries.scope import (
    DUE,
    Condition,
    Parameters,
    Scope,
    Way,
    at_any_of,
    at_status,
    granted_at,
    is_given,
    passes,
    scope_of,
    statuses_parameters,
)
from services.tracking.rules import MAY_BE_OVERDUE
from shared.contracts.outcomes import RequestStatus
from shared.database import given_values, literally, values_parameter, written
from shared.messaging.transaction import Reader

# So many accounts, and so many below a control account, are asked for their requests; of more, some made a request lately.
MOST, MOST_BELOW = 600, 300
# Exceptional requests are fewer, and fewest those that wait: these are soon asked for their accounts.
MOST_OF_EXCEPTIONAL, MOST_OF_EXCEPTIONAL_BELOW, MOST_OF_WAITING_BELOW = 500, 100, 20
RARE = 500
_KEPT = 1000  # statements
_ALL = 10**9

_LISTED = [
    request.c[name]
    for name in (
        "received_at", "command_id", "tracking_number", "type", "status", "code", "account_id", *LEVELS, "actor",
        "on_behalf_of", "channel", "due_at", "finished_at",
    )
]  # fmt: skip
_OF_PLACE = frozenset(column.name for column in PLACE)

Rows = Sequence[sa.Row[Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What searches have in common whose statements are the same: all but the values that are looked for.

    ``is_own_work`` is whether the work that is asked for is the caller's, ``is_wider`` whether the control account that is
    asked for stands at a level above all of the caller's. ``leading`` is a criterion that so few requests fit that each
    can be looked at. ``are_some_accounts`` is whether the accounts that fit are so few that they can be listed.
    """

    criteria: frozenset[str]
    scope: Scope
    status: RequestStatus | None = None
    overdue: bool | None = None
    is_own_work: bool = False
    is_wider: bool = False
    leading: str | None = None
    are_some_accounts: bool = False

    @property
    def of_account(self) -> frozenset[str]:
        """The criteria that are asked of the request's account."""
        return self.criteria & frozenset(OF_ACCOUNT)

    @property
    def is_exceptional(self) -> bool:
        """Whether an index knows those of each account that stand at the status that is asked for."""
        return self.status not in (None, RequestStatus.RECEIVED, RequestStatus.COMPLETED)

    @property
    def most_accounts(self) -> int:
        """How many accounts are asked for their requests."""
        is_below = self.scope.levels is not None
        if self.is_exceptional:
            return MOST_OF_EXCEPTIONAL_BELOW if is_below else MOST_OF_EXCEPTIONAL
        if is_below and (self.overdue or self.status is RequestStatus.RECEIVED):
            return MOST_OF_WAITING_BELOW
        return MOST_BELOW if is_below else MOST


def find(query: Query, account_ids: Collection[str] | None, key: sa.Row[Any] | None, reader: Reader) -> Rows:
    """Return the newest requests that fit, one more than the limit, with no more than a list shows.

    ``account_ids`` narrows to these accounts; None stands for all. ``key`` is that of the tracking number, if one is asked for.
    """
    scope, given = scope_of(reader)
    given |= parameters_of(query) | {"limit": query.limit + 1} | statuses_parameters(reader)
    given |= parameters_of_key(key) if key else {}
    shape = Shape(
        criteria_of(query), scope, query.status, query.overdue, is_own_work=query.work_of == reader.actor.user_id,
        is_wider=_is_wider(query.control_account, scope, reader),
    )  # fmt: skip
    if account_ids is not None:
        return _execute(_of_accounts(shape, within="visible"), given | _these(account_ids), reader)
    if key:
        return _execute(_newest(replace(shape, leading="tracking_number")), given, reader)
    if shape.of_account:
        number = reader.session.scalar(number_that_fit(shape.of_account), given) or 0
        shape = replace(shape, are_some_accounts=number <= SOME)
        accounts = _accounts(shape, number, given, reader)
        if accounts is not None:
            return _execute(_of_accounts(shape, within="under"), given | _these(accounts), reader)
    return _execute(_newest(_led(shape, given, reader)), given, reader)


def _accounts(shape: Shape, number: int, given: Parameters, reader: Reader) -> Sequence[str] | None:
    """Return the accounts that are asked for their requests, of so many that fit; None if these are too many."""
    if shape.scope.levels is None and number > shape.most_accounts:
        return None
    most = shape.most_accounts
    statement = that_fit(shape.of_account, shape.scope, are_some=shape.are_some_accounts, most=most)
    found = reader.session.scalars(statement, given).all()
    return found if len(found) <= most else None


def _is_wider(number: str | None, scope: Scope, reader: Reader) -> bool:
    """Return whether a control account stands at a level above all that the caller may see."""
    if number is None or scope.levels is None:
        return False
    level = reader.session.scalar(
        sa.select(control_account.c.level).where(control_account.c.number == number)
    )
    return level is not None and LEVELS.index(level) < min(map(LEVELS.index, scope.levels), default=0)


def _led(shape: Shape, given: Parameters, reader: Reader) -> Shape:
    """Return the shape with the criterion that hardly any request fits, whoever's it is, where there is one."""
    rare_channel = "channel" if given.get("channel") in RARE_CHANNELS else None
    for name in ("type", rare_channel):
        if name in shape.criteria and (reader.session.scalar(_some(name), given) or 0) <= RARE:
            return replace(shape, leading=name)
    return shape


def _these(ids: Collection[str]) -> Parameters:
    return values_parameter(ids, _IDS)


def _execute(statement: sa.Select[Any], given: Parameters, reader: Reader) -> Rows:
    return reader.session.execute(statement, given).all()


# Statements: each is made once

_IDS = "ids"


@lru_cache(_KEPT)
def _newest(shape: Shape) -> sa.Select[Any]:
    """Select the newest requests along all ways, with all that a list shows."""
    conditions = _conditions(shape, without=_asked_by_ways(shape))
    return _rows([_along(way, conditions, shape) for way in _ways(shape)])


@lru_cache(_KEPT)
def _of_accounts(shape: Shape, within: str) -> sa.Select[Any]:
    """Select the newest requests about given accounts: all that are ``visible``.

    Or those ``under`` the caller's control accounts, of accounts that fit, together with the caller's own that lie elsewhere.
    """
    if within == "visible":
        return _rows([_keyed(shape, shape.scope.visible, *_account_fits(request, shape))])
    of_given = _exceptional if shape.is_exceptional else _keyed
    own = _at_statuses(shape.scope.own_elsewhere(), shape)
    conditions = _conditions(shape, without=_of_status(shape))
    return _rows([of_given(shape, shape.scope.under), *(_along(way, conditions, shape) for way in own)])


def _rows(parts: Sequence[sa.Select[Any]]) -> sa.Select[Any]:
    """Select the newest of all places that the parts find, with all that a list shows."""
    places = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    newest = (
        sa.select(places)
        .order_by(places.c.received_at.desc(), places.c.command_id.desc())
        .limit(written("limit"))
    ).subquery()
    order = (newest.c.received_at.desc(), newest.c.command_id.desc())
    return sa.select(*_LISTED).join_from(newest, request, _is_at(newest)).order_by(*order)


def _is_at(place: sa.FromClause) -> Condition:
    return sa.and_(request.c.received_at == place.c.received_at, request.c.command_id == place.c.command_id)


def _ways(shape: Shape) -> list[Way]:
    """Return the ways along which to look, each to what may be seen alone."""
    if shape.leading:
        return [Way(shape.scope.visible, rare=CRITERIA[shape.leading])]
    ways = shape.scope.ways()
    if "work_of" in shape.criteria:
        ways = shape.scope.ways_to_work("work_of", is_own=shape.is_own_work)
    elif "control_account" in shape.criteria and not shape.is_wider:
        at = (request.c[level] == sa.bindparam("control_account") for level in LEVELS)
        ways = [Way(sa.and_(each, shape.scope.visible)) for each in at]
    return _at_statuses(ways, shape)


def _at_statuses(ways: Sequence[Way], shape: Shape) -> list[Way]:
    """Return the ways to those of the requests alone that stand at the status that is asked for."""
    is_indexed = shape.status is not RequestStatus.COMPLETED
    found: list[Way] = []
    for way in ways:
        statuses = _statuses(shape, together=way.rare is not None)
        found += [way.at(status, is_indexed=is_indexed) for status in statuses] if statuses else [way]
    return found


def _statuses(shape: Shape, *, together: bool = False) -> list[Condition]:
    """Return the conditions of the status that is asked for; none where any will do.

    With each, an index gives the newest first; with all ``together``, it would not.
    """
    if shape.status is not None:
        return at_status(shape.status)
    if not shape.overdue:
        return []
    if together:
        return [sa.and_(each, DUE) for each in at_any_of(MAY_BE_OVERDUE, of_few=True)]
    return [sa.and_(each, DUE) for status in MAY_BE_OVERDUE for each in at_status(status)]


def _asked_by_ways(shape: Shape) -> frozenset[str]:
    """Return what the ways ask for already; asked twice, PostgreSQL would take it to hold of hardly any request."""
    if shape.leading:
        return frozenset({shape.leading})
    by = "" if shape.is_wider else "control_account"
    return _of_status(shape) | {"work_of" if "work_of" in shape.criteria else by}


def _of_status(shape: Shape) -> frozenset[str]:
    """Return what those that stand at the status that is asked for are no longer asked."""
    return frozenset({"status"} if shape.status is not None else {"overdue"} if shape.overdue else ())


def _conditions(shape: Shape, *, without: frozenset[str] = frozenset()) -> list[Condition]:
    """Return all that is wanted of a request itself, whichever way leads to it."""
    conditions = [CRITERIA[name] for name in sorted(shape.criteria & CRITERIA.keys() - without)]
    if shape.status is not None and "status" not in without:
        conditions.append(request.c.status == shape.status.value)
    if shape.overdue is not None and "overdue" not in without:
        conditions.append(OVERDUE[shape.overdue])
    return conditions


def _along(way: Way, conditions: Sequence[Condition], shape: Shape) -> sa.Select[Any]:
    """Select the places of the newest requests of one way."""
    if way.rare is not None:
        return _along_rare(way, conditions, shape)
    newest = sa.select(*PLACE).where(way.condition, *conditions).limit(written("limit"))
    within = None if shape.is_own_work else shape.scope
    newest = newest.where(*_account_fits(request, shape, within)).order_by(*NEWEST_FIRST)
    if way.level is None:
        return newest
    numbers = given_values(granted_at(way.level), postgresql_=shape.scope.postgresql)
    if not shape.scope.postgresql:
        return newest.where(request.c[way.level].in_(numbers))
    # Of several numbers together no index gives the newest, of each one by one it does.
    number = numbers.subquery()
    each = newest.where(request.c[way.level] == number.c[0]).correlate(number).lateral()
    return sa.select(*each.c).select_from(number.join(each, sa.true()))


def _along_rare(way: Way, conditions: Sequence[Condition], shape: Shape) -> sa.Select[Any]:
    """Select the places of the newest of the few requests of a way; of these, its index tells all that it can."""
    assert way.rare is not None
    known = [each for each in conditions if _columns(each) <= way.beside]
    others = [each for each in (way.condition, *conditions) if not _columns(each) <= way.beside]
    times = [CRITERIA[name] for name in sorted(shape.criteria & OF_PLACE)]
    about = [request.c.account_id] if shape.of_account else []
    rare = (
        sa.select(*PLACE, *about)
        .where(way.rare, *times, *([passes(sa.and_(*known))] if known else []))
        .order_by(*NEWEST_FIRST)
        # None ever meets it, but it keeps PostgreSQL from asking anything else of the others, for which it would read them.
        .limit(literally(RARE if shape.leading else _ALL))
    ).subquery()
    newest = sa.select(rare.c.received_at, rare.c.command_id).where(*_account_fits(rare, shape))
    if others:
        newest = newest.join_from(rare, request, _is_at(rare)).where(*others)
    return newest.order_by(rare.c.received_at.desc(), rare.c.command_id.desc()).limit(written("limit"))


def _columns(condition: Condition) -> frozenset[str]:
    """Return the names of the columns that a condition asks."""
    return frozenset(each.name for each in visitors.iterate(condition) if isinstance(each, sa.Column))


def _account_fits(about: sa.FromClause, shape: Shape, within: Scope | None = None) -> list[Condition]:
    return fits(about, shape.of_account, within, are_some=shape.are_some_accounts)


def _keyed(shape: Shape, *conditions: Condition) -> sa.Select[Any]:
    """Select the places of the newest requests about the given accounts; their keys lie together, whatever the month.

    Keys are sorted before any request is looked at: the limit, which none ever meets, keeps PostgreSQL from doing so later.
    """
    given = is_given(request_key.c.account_id, _IDS, postgresql=shape.scope.postgresql)
    times = [each for name, each in of_place(request_key).items() if name in shape.criteria]
    keys = (
        sa.select(request_key.c.received_at, request_key.c.command_id)
        .where(given, *times)
        .order_by(request_key.c.received_at.desc(), request_key.c.command_id.desc())
        .limit(literally(_ALL))
    ).subquery()
    others = [each for each in (*_conditions(shape), *conditions) if not _columns(each) <= _OF_PLACE]
    found = sa.select(keys)
    if others:
        found = found.join_from(keys, request, _is_at(keys)).where(*others)
    return found.order_by(keys.c.received_at.desc(), keys.c.command_id.desc()).limit(written("limit"))


def _exceptional(shape: Shape, *conditions: Condition) -> sa.Select[Any]:
    """Select the places of the newest exceptional requests about the given accounts, of which each month has an index."""
    given = is_given(request.c.account_id, _IDS, postgresql=shape.scope.postgresql)
    others = _conditions(shape, without=_of_status(shape))
    found = sa.select(*PLACE).where(given, *_statuses(shape), *others, *conditions)
    return found.order_by(*NEWEST_FIRST).limit(written("limit"))


@lru_cache(_KEPT)
def _some(criterion: str) -> sa.Select[int]:
    """Select how many requests fit a criterion, as far as they are few."""
    # In order, as an index has them: else PostgreSQL, which plans for what is usual, would look through all requests.
    some = (
        sa.select(request.c.command_id)
        .where(CRITERIA[criterion])
        .order_by(*NEWEST_FIRST)
        .limit(literally(RARE + 1))
    )
    return sa.select(sa.func.count()).select_from(some.subquery())
