"""Statements' share of the demonstration programme: control and card accounts, which are loaded in bulk and tell no events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import orm

from services.statements.model import card_account, card_number, control_account
from services.statements.rules import day_of
from shared.database import Database, insert_rows, is_postgresql
from shared.settings import Settings

_CHUNK = 5_000
_BULKY = (card_account, card_number)


class KnownAccount(NamedTuple):
    """A card account with its card, as the service that owns it tells of it."""

    id: str
    control_account: str
    product: str
    payment_status: str
    first_name: str
    last_name: str
    name_key: str
    embossed_name: str
    email: str | None
    employee_id: str | None
    cost_centre: str | None
    universal_number: str | None
    opened_at: datetime
    last_used_on: date | None
    version: int
    number_hash: str
    last_four: str


def is_loaded(database: Database) -> bool:
    """Return whether statements knows any card account."""
    with database.read() as session:
        return bool(session.scalar(sa.select(sa.select(card_account).exists())))


def load(
    database: Database,
    settings: Settings,
    now: datetime,
    accounts: Iterable[KnownAccount],
    structure: Iterable[tuple[str, str | None, str, int]],
) -> None:
    """Note many card accounts and the control accounts above them, in one transaction.

    ``structure`` has the number, parent, level and version of each control account; they begin to close from now on.
    """
    with database.write() as session:
        if database.is_postgresql:
            session.execute(sa.text("set local statement_timeout = 0"))
        today = day_of(now, settings.time_zone)
        _note_structure(session, structure, today)
        rows = iter(accounts)
        while some := list(islice(rows, _CHUNK)):
            _write(session, card_account, [_account(known, settings) for known in some])
            _write(
                session,
                card_number,
                [(known.number_hash, known.id, known.last_four) for known in some],
            )
        for table in _BULKY:
            session.execute(sa.text(f"analyze {table.name}"))


def _note_structure(
    session: orm.Session, structure: Iterable[tuple[str, str | None, str, int]], today: date
) -> None:
    known = set(session.scalars(sa.select(control_account.c.number)))
    nodes: list[Mapping[str, Any]] = [
        {
            "number": number, "parent": parent, "level": level, "placed": version, "configured": version,
            "opened_on": today, "closed_through": today,
        }
        for number, parent, level, version in structure
        if number not in known
    ]  # fmt: skip
    if nodes:
        session.execute(sa.insert(control_account), nodes)


def _account(known: KnownAccount, settings: Settings) -> tuple[Any, ...]:
    return (
        known.id, known.control_account, known.product, known.first_name, known.last_name, known.name_key,
        known.embossed_name, known.email, known.employee_id, known.cost_centre, known.universal_number,
        known.version, known.version, known.version, day_of(known.opened_at, settings.time_zone), known.last_used_on,
    )  # fmt: skip


def _write(session: orm.Session, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    """Write rows of a table, each with all its columns; by COPY where there is one."""
    names = [column.name for column in table.c]
    if not is_postgresql(session):
        insert_rows(session, table, names, rows)
        return
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
