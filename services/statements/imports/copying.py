"""Many rows into a table: PostgreSQL has COPY for it, which is quicker than an insert (docs/benchmarks-imports.md)."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import orm

from shared.database import insert_rows, is_postgresql


def copy_rows(
    session: orm.Session, table: sa.Table, names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Add rows to a table; ``names`` are the columns in the order of each row."""
    if not is_postgresql(session):
        insert_rows(session, table, names, rows)
        return
    connection: Any = session.connection().connection.driver_connection
    command = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            copy.write_row(row)
