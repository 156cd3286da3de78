"""Where users work: under which control accounts anything was ever asked by or for each of them.

Hardly anybody ever asked for something outside the control accounts that they see everything under, and this tells who did
without a look at any request.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import orm

from services.tracking.model import LEVELS, workplace
from shared.database import given_rows, insert, is_postgresql, rows_parameter

Place = tuple[str, ...]

MOST_REMEMBERED = 100_000
_COLUMNS = {column.name: column.type for column in workplace.c}
_known: WeakKeyDictionary[object, set[Place]] = WeakKeyDictionary()


def note_workplaces(session: orm.Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Note where these requests were asked for, as far as it is not known.

    What was there before is remembered, but nothing that this transaction enters, as it may be rolled back.
    """
    known = _known.setdefault(session.get_bind(), set())
    places = {place for row in rows for place in _places(row)}
    new = sorted(places - known)  # in order, so that no two workers wait for each other in a ring
    if not new:
        return
    statement = _entry(postgresql_=is_postgresql(session))
    entered = {tuple(row) for row in session.execute(statement, rows_parameter(session, new))}
    if len(known) > MOST_REMEMBERED:
        known.clear()
    known.update(place for place in new if place not in entered)


def _places(row: Mapping[str, Any]) -> list[Place]:
    path = tuple(row[level] or "" for level in LEVELS)
    return [(user, *path) for user in (row["actor"], row["on_behalf_of"]) if user]


@cache
def _entry(*, postgresql_: bool) -> sa.Executable:
    given = given_rows(_COLUMNS, postgresql_=postgresql_)
    statement = insert(workplace, postgresql_=postgresql_).from_select(list(_COLUMNS), given)
    return statement.on_conflict_do_nothing().returning(*workplace.c)
