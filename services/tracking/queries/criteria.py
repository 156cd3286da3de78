"""The criteria by which requests are found: each has a condition, made once, whose parameters are a search's values."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.tracking.model import LEVELS, account, request
from services.tracking.queries.scope import LATE, Condition, Parameters, passes, work_of
from shared.contracts.tracking import FindRequests, SearchRequests
from shared.database import Instant, beginning_parameters, begins_as_given
from shared.errors import Rejected
from shared.folding import fold_name
from shared.web.paging import decode_cursor

Query = FindRequests | SearchRequests

PLACE = (request.c.received_at, request.c.command_id)
NEWEST_FIRST = tuple(column.desc() for column in PLACE)


def received(compared: str, name: str) -> Condition:
    """Return the condition that requests were received before or after the instant given under a name."""
    return request.c.received_at.op(compared, is_comparison=True)(sa.bindparam(name, type_=Instant))


# The first says nothing new, but tells PostgreSQL which months to leave out.
_AFTER_LAST = sa.and_(
    received("<=", "last_at"),
    sa.tuple_(*PLACE) < sa.tuple_(sa.bindparam("last_at", type_=Instant), sa.bindparam("last_id", type_=sa.String)),
)  # fmt: skip

IS_IT = sa.and_(
    request.c.received_at == sa.bindparam("its_instant", type_=Instant),
    request.c.command_id == sa.bindparam("its_id"),
)

CRITERIA: dict[str, Condition] = {
    "type": request.c.type == sa.bindparam("type"),
    # Written into the statement, as an index of the rare ones is known by the value.
    "tracking_number": IS_IT,
    "channel": request.c.channel == sa.bindparam("channel", literal_execute=True),
    "control_account": passes(*(request.c[level] == sa.bindparam("control_account") for level in LEVELS)),
    "work_of": passes(*(way.condition for way in work_of("work_of"))),
    "received_from": received(">=", "received_from"),
    "received_before": received("<", "received_before"),
    "cursor": _AFTER_LAST,
}
# These are asked of the place of a request in time, which every index knows.
OF_PLACE = frozenset({"received_from", "received_before", "cursor"})
# These are asked of the request's account.
OF_ACCOUNT: dict[str, Condition] = {
    "name": sa.or_(
        begins_as_given(account.c.name_key, "name"), begins_as_given(account.c.embossed_name, "name_on_card")
    ),
    "product": account.c.product == sa.bindparam("product"),
}
OVERDUE = {True: LATE, False: sa.not_(LATE)}


def criteria_of(query: Query) -> frozenset[str]:
    """Return the names of the criteria that a search has."""
    return frozenset(name for name in (*CRITERIA, *OF_ACCOUNT) if getattr(query, name))


def parameters_of(query: Query) -> Parameters:
    """Return what the conditions of a search's criteria are given; raises Rejected where the cursor is none of ours."""
    found: Parameters = {
        name: getattr(query, name) for name in criteria_of(query) - {"name", "tracking_number", "cursor"}
    }
    if query.name:
        found |= beginning_parameters("name", fold_name(query.name))
        found |= beginning_parameters("name_on_card", query.name.upper())
    if query.cursor:
        found["last_at"], found["last_id"] = _place(query.cursor)
    return found


def parameters_of_key(key: sa.Row[Any]) -> Parameters:
    """Return the parameters of `IS_IT`, for the request of a key."""
    return {"its_instant": key.received_at, "its_id": key.command_id}


def _place(cursor: str) -> tuple[datetime, str]:
    at, command_id = decode_cursor(cursor, str, str) or ("", "")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), command_id
    except ValueError:
        raise Rejected("bad_cursor", "This cursor is not one that a list gave out.", "cursor") from None
