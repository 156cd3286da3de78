"""The key of a request: its tracking number, and the instant that says in which month it lies.

Both are given once, by whoever hears of the request first, be that its command or an outcome that overtook it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import orm

from services.tracking.model import request_key
from services.tracking.rules import new_tracking_number
from shared.database import (
    given_rows,
    given_values,
    insert,
    is_postgresql,
    rows_parameter,
    update_rows,
    values_parameter,
)

_COLUMNS = {column.name: column.type for column in request_key.c}


class Key(NamedTuple):
    """What identifies a request beside its command's id."""

    tracking_number: str
    received_at: datetime


def register(session: orm.Session, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Key]:
    """Return the keys of these requests, by command id, having entered those that are new.

    Each row says when its request was heard of, and its account.
    """
    given = [
        (id_, new_tracking_number(), row["received_at"], row["account_id"])
        for id_, row in sorted(rows.items())
    ]
    entered = session.execute(_entry(postgresql_=is_postgresql(session)), rows_parameter(session, given))
    keys = {row.command_id: Key(row.tracking_number, row.received_at) for row in entered}
    if len(keys) < len(rows):
        keys |= _known(session, [id_ for id_ in rows if id_ not in keys], rows)
    return keys


def _known(session: orm.Session, ids: Sequence[str], rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Key]:
    found = session.execute(_lookup(postgresql_=is_postgresql(session)), values_parameter(ids)).all()
    # Only a command knows its account, and an outcome may have come before it.
    learnt = [(row.command_id, rows[row.command_id]["account_id"]) for row in found if row.account_id is None]
    learnt = [(id_, account_id) for id_, account_id in learnt if account_id is not None]
    if learnt:
        update_rows(session, request_key, ("command_id", "account_id"), sorted(learnt))
    return {row.command_id: Key(row.tracking_number, row.received_at) for row in found}


@cache
def _entry(*, postgresql_: bool) -> sa.Executable:
    given = given_rows(_COLUMNS, postgresql_=postgresql_)
    statement = insert(request_key, postgresql_=postgresql_).from_select(list(_COLUMNS), given)
    return statement.on_conflict_do_nothing(index_elements=["command_id"]).returning(request_key)


@cache
def _lookup(*, postgresql_: bool) -> sa.Select[Any]:
    ids = given_values(postgresql_=postgresql_)
    return sa.select(request_key).where(request_key.c.command_id.in_(ids)).order_by(request_key.c.command_id)
