"""One database, PostgreSQL or SQLite, behind the same two doors: a transaction that writes, and one that reads.

`rows` hands many rows to one statement: arrays through ``unnest`` on PostgreSQL, one JSON parameter on SQLite. It is
what makes a batch cost three statements and not three for each message.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

from shared.errors import Unavailable

_LOST_RACES = {"40001", "40P01", "55P03"}  # serialization failure, deadlock, lock not available


class Database:
    """The database of one service. ``url`` is SQLAlchemy's; nothing is connected before the first use.

    Its errors name no values: they end up in logs.
    """

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        parsed = make_url(url)
        self.is_postgresql = parsed.get_backend_name() == "postgresql"
        if self.is_postgresql:
            self.engine = sa.create_engine(
                parsed,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=False,
                pool_timeout=5,
                hide_parameters=True,
                connect_args={"connect_timeout": 5, "options": "-c statement_timeout=20000 -c timezone=utc"},
            )
        else:
            self.engine = sa.create_engine(parsed, hide_parameters=True, connect_args={"timeout": 30})
            event.listen(self.engine, "connect", _prepare_sqlite)
        self._writers = self.engine
        if not self.is_postgresql:
            self._writers = self.engine.execution_options(cardwork_begin="BEGIN IMMEDIATE")
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextmanager
    def write(self) -> Iterator[orm.Session]:
        """Open a transaction that commits at the end of the block, or rolls back where the block raises.

        Raises Unavailable where a lock was lost or the server is away.
        """
        with _translated(), orm.Session(self._writers, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[orm.Session]:
        """Open a transaction that reads; raises Unavailable where the server is away."""
        with _translated(), orm.Session(self.engine) as session:
            yield session

    def answers(self) -> bool:
        """Return whether the database can be asked right now."""
        try:
            with self.read() as session:
                session.execute(sa.select(1))
        except Unavailable:
            return False
        return True

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


class DatabaseAway(Unavailable):
    """The database does not answer at all; nothing was committed."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated or _is_away(error):
            raise DatabaseAway("the database is away") from error
        if getattr(error.orig, "sqlstate", None) in _LOST_RACES or "database is locked" in str(error.orig):
            raise Unavailable("another transaction holds what this one needs") from error
        raise
    except sa.exc.TimeoutError as error:
        raise DatabaseAway("no connection to the database came free") from error


def _is_away(error: sa.exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    lost = isinstance(error, sa.exc.OperationalError) and state is None and "locked" not in str(error.orig)
    return lost or str(state or "").startswith(("08", "57P"))


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{file}"


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on", "busy_timeout=30000"):
        connection.execute(f"pragma {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that will write takes the lock at once: upgrading a reader is what deadlocks SQLite.
    connection.exec_driver_sql(connection.get_execution_options().get("cardwork_begin", "BEGIN"))


class Instant(sa.types.TypeDecorator[datetime]):
    """An instant in UTC, aware on both sides of the database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Hand UTC to the driver."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Return an aware instant whatever the driver gives."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def code_point_text(length: int) -> sa.types.TypeEngine[str]:
    """Return a text type that sorts by code point on every server, so that a prefix is a plain range of an index."""
    return sa.String(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


def rows(
    session: orm.Session, columns: Mapping[str, sa.types.TypeEngine[Any]], values: Sequence[Sequence[Any]]
) -> sa.Select[Any]:
    """Return a select of ``values`` (one sequence a row), to insert from or to join with, whatever their number."""
    names = list(columns)
    if session.get_bind().dialect.name == "postgresql":
        arrays = zip(*values, strict=True) if values else [()] * len(names)
        bound = [
            sa.bindparam(None, list(array), postgresql.ARRAY(type_), unique=True)
            for array, type_ in zip(arrays, columns.values(), strict=True)
        ]
        table = sa.func.unnest(*bound).table_valued(
            *(sa.column(n, t) for n, t in columns.items()), name="given"
        )
        return sa.select(*(table.c[name] for name in names))
    text = orjson.dumps([[_plain(value) for value in row] for row in values]).decode()
    each = sa.func.json_each(sa.bindparam(None, text, sa.Text, unique=True)).table_valued(
        "value", name="given"
    )
    picked = [
        sa.func.json_extract(each.c.value, f"$[{i}]", type_=columns[name]).label(name)
        for i, name in enumerate(names)
    ]
    # SQLite's parser reads "on conflict" after a bare FROM as a join's ON.
    return sa.select(*picked).where(sa.true())


def insert(session: orm.Session, table: sa.Table) -> Any:
    """Return the dialect's own insert, which knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_rows(
    session: orm.Session, table: sa.Table, names: Sequence[str], values: Sequence[Sequence[Any]]
) -> None:
    """Insert many rows by one statement; ``names`` are the columns in the order of each row."""
    if not values:
        return
    if session.get_bind().dialect.name == "postgresql":
        columns = {name: table.c[name].type for name in names}
        session.execute(sa.insert(table).from_select(names, rows(session, columns, values)))
    else:
        session.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in values])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        # The form in which SQLAlchemy itself stores a date and time in SQLite.
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return value
