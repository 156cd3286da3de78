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


def of_place(table: sa.Table) -> dict[str, Condition]:
    """Return the criteria that are asked of the place in time, for a table that has it."""
    return {
        "received_from": received(">=", "received_from", table),
        "received_before": received("<", "received_before", table),
        # The first says nothing new, but tells PostgreSQL which months to leave out.
        "cursor": sa.and_(
            received("<=", "last_at", table),
            sa.tuple_(table.c.received_at, table.c.command_id)
            < sa.tuple_(sa.bindparam("last_at", type_=Instant), sa.bindparam("last_id", type_=sa.String)),
        ),
    }


def received(compared: str, name: str, table: sa.Table = request) -> Condition:
    """Return the condition that requests were received before or after the instant given under a name."""
    return table.c.received_at.op(compared, is_comparison=True)(sa.bindparam(name, type_=Instant))


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
    **of_place(request),
}
# These are asked of the place of a request in time, which every index knows.
OF_PLACE = frozenset(of_place(request))
# These are asked of the request's account, which fits where any of the conditions holds; each has an index.
OF_ACCOUNT: dict[str, tuple[Condition, ...]] = {
    "name": (
        begins_as_given(account.c.name_key, "name"), begins_as_given(account.c.embossed_name, "name_on_card")
    ),
    "product": (account.c.product == sa.bindparam("product"),),
}  # fmt: skip
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
