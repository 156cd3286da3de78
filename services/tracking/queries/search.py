"""Finds the newest requests that fit, within what a caller may see, over any number of requests (TRK-02).

A search follows ways (scope.py): each selects, in the order of an index, no more rows than are asked for. A holder's name
is looked for among the accounts first, and few accounts are asked for their requests by key.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from services.tracking.model import LEVELS, RARE_CHANNELS, account, control_account, request, request_key
from services.tracking.queries.criteria import (
    CRITERIA,
    NEWEST_FIRST,
    OF_ACCOUNT,
    OF_PLACE,
    OVERDUE,
    PLACE,
    Query,
    criteria_of,
    parameters_of,
    parameters_of_key,
)
from services.tracking.queries.scope import (
    DUE,
    Condition,
    Parameters,
    Scope,
    Way,
    at_status,
    granted_at,
    passes,
    scope_of,
    statuses_parameters,
)
from services.tracking.rules import MAY_BE_OVERDUE
from shared.contracts.outcomes import RequestStatus
from shared.database import given_values, values_parameter, written
from shared.messaging.transaction import Reader

# So many accounts are found by name and then asked for their requests; of more, some made a request lately.
MOST_NAMED = 2000
# Of so few below a control account, if only exceptional requests are wanted: these are soon asked for their accounts.
MOST_NAMED_OF_EXCEPTIONAL = 20
RARE = 500
_KEPT = 1000  # statements
_ALL = 10**9

_UNLISTED = {"payload", "result", "fingerprint", "reply_to"}
_LISTED = [column for column in request.c if column.name not in _UNLISTED]

Rows = Sequence[sa.Row[Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What searches have in common whose statements are the same: all but the values that are looked for.

    ``is_own_work`` is whether the work that is asked for is the caller's, ``is_wider`` whether the control account that is
    asked for stands at a level above all of the caller's. ``leading`` is a criterion that so few requests fit that each
    can be looked at.
    """

    criteria: frozenset[str]
    scope: Scope
    status: RequestStatus | None = None
    overdue: bool | None = None
    is_own_work: bool = False
    is_wider: bool = False
    leading: str | None = None

    @property
    def most_named(self) -> int:
        """How many accounts are asked for their requests."""
        is_exceptional = self.overdue or self.status not in (None, RequestStatus.COMPLETED)
        return MOST_NAMED_OF_EXCEPTIONAL if is_exceptional and self.scope.levels is not None else MOST_NAMED


def find(query: Query, account_ids: Collection[str] | None, key: sa.Row[Any] | None, reader: Reader) -> Rows:
    """Return the newest requests that fit, one more than the limit, without what a list does not show.

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
    if shape.criteria & OF_ACCOUNT.keys():
        named = reader.session.scalars(_named(shape), given).all()
        if len(named) <= shape.most_named:
            return _of_named(named, shape, given, query.limit + 1, reader)
    return _execute(_newest(_led(shape, given, reader)), given, reader)


def _of_named(
    account_ids: Sequence[str], shape: Shape, given: Parameters, limit: int, reader: Reader
) -> Rows:
    """Return the newest requests about accounts below the caller's control accounts, and the caller's own elsewhere."""
    found = _execute(_of_accounts(shape, within="under"), given | _these(account_ids), reader)
    if not shape.scope.has_elsewhere:
        return found
    own = reader.session.scalars(_own_elsewhere(shape), given).all()
    if own:
        found = [*found, *_execute(_of_requests(shape), given | _these(own), reader)]
    return sorted(found, key=lambda row: (row.received_at, row.command_id), reverse=True)[:limit]


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
    parts = [_along(way, conditions, shape) for way in _ways(shape)]
    places = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
    newest = (
        sa.select(places)
        .order_by(places.c.received_at.desc(), places.c.command_id.desc())
        .limit(written("limit"))
    ).subquery()
    mine = sa.and_(request.c.received_at == newest.c.received_at, request.c.command_id == newest.c.command_id)
    order = (newest.c.received_at.desc(), newest.c.command_id.desc())
    return sa.select(*_LISTED).join_from(newest, request, mine).order_by(*order)


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
    statuses = _statuses(shape)
    if not statuses:
        return ways
    is_indexed = shape.status is not RequestStatus.COMPLETED
    return [way.at(status, is_indexed=is_indexed) for status in statuses for way in ways]


def _statuses(shape: Shape) -> list[Condition]:
    """Return the conditions, each with an index, of the status that is asked for; none where any will do."""
    if shape.status is not None:
        return at_status(shape.status)
    waiting = (each for status in MAY_BE_OVERDUE for each in at_status(status))
    return [sa.and_(each, DUE) for each in waiting] if shape.overdue else []


def _asked_by_ways(shape: Shape) -> frozenset[str]:
    """Return what the ways ask for already; asked twice, PostgreSQL would take it to hold of hardly any request."""
    if shape.leading:
        return frozenset({shape.leading})
    status = {"overdue"} if shape.status is None and shape.overdue else set()
    by = "" if shape.is_wider else "control_account"
    return frozenset({"status", "work_of" if "work_of" in shape.criteria else by} | status)


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
    newest = sa.select(*PLACE).where(way.condition, *conditions).limit(written("limit"))
    if way.rare is not None:
        times = (CRITERIA[name] for name in sorted(shape.criteria & OF_PLACE))
        beside = [request.c.account_id] if shape.criteria & OF_ACCOUNT.keys() else []
        rare = _rare(sa.and_(way.rare, *times), *beside, most=RARE if shape.leading else _ALL)
        mine = sa.and_(request.c.received_at == rare.c.received_at, request.c.command_id == rare.c.command_id)
        newest = newest.join_from(rare, request, mine).where(*_account_fits(rare, shape))
        return newest.order_by(rare.c.received_at.desc(), rare.c.command_id.desc())
    newest = newest.where(*_account_fits(request, shape)).order_by(*NEWEST_FIRST)
    if way.level is None:
        return newest
    numbers = given_values(granted_at(way.level), postgresql_=shape.scope.postgresql)
    if not shape.scope.postgresql:
        return newest.where(request.c[way.level].in_(numbers))
    # Of several numbers together no index gives the newest, of each one by one it does.
    number = numbers.subquery()
    each = newest.where(request.c[way.level] == number.c[0]).correlate(number).lateral()
    return sa.select(*each.c).select_from(number.join(each, sa.true()))


def _rare(condition: Condition, *beside: sa.Column[Any], most: int = _ALL) -> sa.Subquery:
    """Select the few requests that fit, the newest first, by their places and what the index holds beside.

    The limit, which none ever meets, keeps PostgreSQL from asking anything else of the others, for which it would have to
    read them; and it tells how few they are.
    """
    found = sa.select(*PLACE, *beside).where(condition).order_by(*NEWEST_FIRST)
    return found.limit(_literally(most)).subquery()


def _account_fits(about: sa.FromClause, shape: Shape) -> list[Condition]:
    """Return the condition that the account of a request fits what is asked of it; none where nothing is.

    It is a value, looked up for each; as `exists` it would be turned into a join, and often into one with every account
    that fits.
    """
    if not shape.criteria & OF_ACCOUNT.keys():
        return []
    found = sa.select(account.c.account_id).where(
        account.c.account_id == about.c.account_id, *_of_account(shape)
    )
    return [found.scalar_subquery().is_not(None)]


def _of_account(shape: Shape) -> list[Condition]:
    return [OF_ACCOUNT[name] for name in sorted(shape.criteria & OF_ACCOUNT.keys())]


@lru_cache(_KEPT)
def _named(shape: Shape) -> sa.Select[str]:
    """Select the accounts that fit, as far as the caller may see them, and no more than one too many."""
    found = sa.select(account.c.account_id).limit(_literally(shape.most_named + 1))
    if shape.scope.levels is None:
        return found.where(*_of_account(shape))
    # The index of those below a control account has the names too; a name may be that of a third of all holders.
    fits = passes(sa.and_(*_of_account(shape)))
    return found.where(account.c.basic.in_(_at_or_below(shape.scope)), fits)


def _at_or_below(scope: Scope) -> sa.CompoundSelect[str]:
    """Select the caller's control accounts and all below them, which are those of one or two levels further down."""
    node, above = control_account.alias(), control_account.alias()
    parts: list[sa.Select[str]] = [sa.select(node.c.number).where(sa.false())]  # who has none sees nothing
    for level in scope.levels or ():
        granted = given_values(granted_at(level), postgresql_=scope.postgresql)
        below = sa.select(node.c.number)
        two_below = below.join(above, above.c.number == node.c.parent)
        under = (below.where(node.c.parent.in_(granted)), two_below.where(above.c.parent.in_(granted)))
        parts += (granted, *under[: len(LEVELS) - 1 - LEVELS.index(level)])
    return sa.union_all(*parts)


@lru_cache(_KEPT)
def _of_accounts(shape: Shape, within: str) -> sa.Select[Any]:
    """Select the newest requests about given accounts: of all ``visible``, or ``under`` control accounts of accounts that fit."""
    conditions = [*_conditions(shape), getattr(shape.scope, within)]
    if within == "visible":
        conditions += _account_fits(request, shape)
    return _keyed(request_key.c.account_id, conditions, shape)


@lru_cache(_KEPT)
def _of_requests(shape: Shape) -> sa.Select[Any]:
    """Select the newest of given requests."""
    return _keyed(request_key.c.command_id, _conditions(shape), shape)


def _keyed(named: sa.Column[Any], conditions: Sequence[Condition], shape: Shape) -> sa.Select[Any]:
    """Select the newest requests whose keys have one of the given ids; keys lie together, whatever the month.

    Keys are sorted before any request is looked at: the limit, which none ever meets, keeps PostgreSQL from doing so later.
    """
    ids = given_values(_IDS, postgresql_=shape.scope.postgresql)
    keys = sa.select(request_key.c.received_at, request_key.c.command_id).where(named.in_(ids))
    newest = keys.order_by(request_key.c.received_at.desc(), request_key.c.command_id.desc())
    key = newest.limit(_literally(_ALL)).subquery().c
    mine = sa.and_(request.c.received_at == key.received_at, request.c.command_id == key.command_id)
    order = (key.received_at.desc(), key.command_id.desc())
    return sa.select(*_LISTED).where(mine, *conditions).order_by(*order).limit(written("limit"))


@lru_cache(_KEPT)
def _own_elsewhere(shape: Shape) -> sa.CompoundSelect[str]:
    """Select the caller's own requests about accounts that fit, of those outside the caller's control accounts."""
    parts = []
    for way in shape.scope.own_elsewhere():
        assert way.rare is not None
        own = _rare(way.rare, request.c.account_id)
        parts.append(sa.select(own.c.command_id).where(*_account_fits(own, shape)))
    return sa.union_all(*parts)


@lru_cache(_KEPT)
def _some(criterion: str) -> sa.Select[int]:
    """Select how many requests fit a criterion, as far as they are few."""
    # In order, as an index has them: else PostgreSQL, which plans for what is usual, would look through all requests.
    some = (
        sa.select(request.c.command_id)
        .where(CRITERIA[criterion])
        .order_by(*NEWEST_FIRST)
        .limit(_literally(RARE + 1))
    )
    return sa.select(sa.func.count()).select_from(some.subquery())


def _literally(number: int) -> sa.ColumnElement[int]:
    """Return a number that is always the same, written into the statement as `written` does with a parameter."""
    return sa.literal_column(str(number), sa.Integer)
