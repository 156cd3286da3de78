"""Tracking's share of the demonstration programme: control and card accounts, which are loaded in bulk and tell no events."""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

import psycopg
import sqlalchemy as sa
from sqlalchemy import orm

from services.tracking.model import account, control_account
from shared.database import Database, given_rows, insert, is_postgresql, rows_parameter

_CHUNK = 5_000
_COLUMNS = {column.name: column.type for column in account.c}


class KnownAccount(NamedTuple):
    """A card account as tracking knows it, in the order of the columns."""

    account_id: str
    product: str
    name_key: str
    embossed_name: str
    named: int
    basic: str
    placed: int


def is_loaded(database: Database) -> bool:
    """Return whether tracking knows any card account."""
    with database.read() as session:
        return bool(session.scalar(sa.select(sa.select(account).exists())))


def load(
    database: Database,
    accounts: Iterable[KnownAccount],
    structure: Iterable[tuple[str, str | None, str, int]],
) -> None:
    """Note many card accounts, in one transaction; those that are known already stay as they are.

    ``structure`` has the number, parent, level and version of each control account.
    """
    rows = iter(accounts)
    with database.write() as session:
        _note_structure(session, structure)
        if database.is_postgresql:
            session.execute(sa.text("set local statement_timeout = 0"))
        empty = not session.scalar(sa.select(sa.select(account).exists()))
        if database.is_postgresql and empty:
            _copy(session, rows)
        else:
            _insert(session, rows)
        session.execute(sa.text("analyze account"))


def _note_structure(session: orm.Session, structure: Iterable[tuple[str, str | None, str, int]]) -> None:
    entry = insert(control_account, postgresql_=is_postgresql(session)).on_conflict_do_nothing()
    nodes = [dict(zip(control_account.c.keys(), node, strict=True)) for node in structure]
    session.execute(entry, nodes)


def _copy(session: orm.Session, rows: Iterable[KnownAccount]) -> None:
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    statement = f"copy account ({', '.join(_COLUMNS)}) from stdin"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _insert(session: orm.Session, rows: Iterator[KnownAccount]) -> None:
    while chunk := [tuple(row) for row in islice(rows, _CHUNK)]:
        session.execute(_entry(postgresql_=is_postgresql(session)), rows_parameter(session, chunk))


@cache
def _entry(*, postgresql_: bool) -> sa.Executable:
    given = given_rows(_COLUMNS, postgresql_=postgresql_)
    statement = insert(account, postgresql_=postgresql_).from_select(list(_COLUMNS), given)
    return statement.on_conflict_do_nothing()
