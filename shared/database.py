"""One database, PostgreSQL or SQLite, behind the same two doors: a transaction that writes, and one that reads.

`given_rows` hands many rows to one statement. It is what makes a batch cost three statements and not three for each message.
"""

import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy import event, orm
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

from shared.errors import Unavailable

# Serialization failure, deadlock, lock not available, statement timeout, and a unique value that another was quicker to
# take: whoever tries again sees it taken, or draws another.
_LOST_RACES = {"40001", "40P01", "55P03", "57014", "23505"}
_SQLITE_LOST_RACES = ("database is locked", "UNIQUE constraint failed")
# Connection lost, read-only as a standby is, no memory, disk or connections left, shutting down, I/O error.
_AWAY = ("08", "25006", "53", "57P", "58")
_SQLITE_AWAY = {
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
# A connection that was used this short a time ago is taken to be alive.
_TRUSTED_SECONDS = 0.5


# No statement of ours runs so long that compiling it would pay; PostgreSQL, which guesses, now and then takes half a
# second to compile what runs for a millisecond.
_SESSION = "-c statement_timeout=20000 -c timezone=utc -c jit=off"

# What is planned for any values is thought to read so much that several processes would pay.
_PLANNED_ONCE = "-c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0"


class Database:
    """The database of one service. ``url`` is SQLAlchemy's; nothing is connected before the first use.

    ``plans_once`` has PostgreSQL plan each statement of a read once for a connection, whatever the values. Its errors name
    no values: they end up in logs.
    """

    def __init__(self, url: str, *, pool_size: int = 5, plans_once: bool = False) -> None:
        parsed = make_url(url)
        self.is_postgresql = parsed.get_backend_name() == "postgresql"
        if self.is_postgresql:
            self._writers: sa.Engine = _postgresql(parsed, pool_size)
            # A read is a statement or two; BEGIN and ROLLBACK round it would cost more than the read.
            self._readers = _postgresql(
                parsed,
                pool_size,
                plans_once=plans_once,
                isolation_level="AUTOCOMMIT",
                pool_reset_on_return=None,
            )
            self.engines: tuple[sa.Engine, ...] = (self._writers, self._readers)
        else:
            self._readers = sa.create_engine(parsed, hide_parameters=True, connect_args={"timeout": 30})
            self._writers = self._readers.execution_options(cardwork_begin="BEGIN IMMEDIATE")
            event.listen(self._readers, "connect", _prepare_sqlite)
            event.listen(self._readers, "begin", _begin_sqlite)
            self.engines = (self._readers,)

    @contextmanager
    def write(self) -> Iterator[orm.Session]:
        """Open a transaction that commits at the end of the block, or rolls back where the block raises.

        Raises Unavailable where a lock was lost or the server is away.
        """
        with _translated(), orm.Session(self._writers, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[orm.Session]:
        """Open a session that reads; each statement sees what is committed. Raises Unavailable where the server is away."""
        with _translated(), orm.Session(self._readers) as session:
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
        for engine in self.engines:
            engine.dispose()


def _postgresql(url: sa.URL, pool_size: int, *, plans_once: bool = False, **options: Any) -> sa.Engine:
    session = {"connect_timeout": 5, "options": _SESSION}
    if plans_once:
        session |= {"options": f"{_SESSION} {_PLANNED_ONCE}", "prepare_threshold": 0}
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        hide_parameters=True,
        connect_args=session,
        **options,
    )

    def note(_: Any, record: Any) -> None:
        record.info["last_used"] = time.monotonic()

    def try_out(connection: Any, record: Any, _: Any) -> None:
        """Ask one that lay idle whether it still lives; asking each time would make two round trips of a read."""
        if time.monotonic() - record.info.get("last_used", math.inf) > _TRUSTED_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error as error:
                raise sa.exc.InvalidatePoolError from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", try_out)
    return engine


class DatabaseAway(Unavailable):
    """The database does not answer at all; nothing was committed."""


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated or _is_away(error):
            raise DatabaseAway("the database is away") from error
        if _is_lost_race(error):
            raise Unavailable("another transaction holds what this one needs") from error
        raise
    except sa.exc.TimeoutError as error:
        raise DatabaseAway("no connection to the database came free") from error


def _is_lost_race(error: sa.exc.DBAPIError) -> bool:
    words = str(error.orig)
    return getattr(error.orig, "sqlstate", None) in _LOST_RACES or any(
        text in words for text in _SQLITE_LOST_RACES
    )


def _is_away(error: sa.exc.DBAPIError) -> bool:
    """Return whether no statement at all would succeed right now; one that is wrong in itself is a defect."""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY
    state = getattr(error.orig, "sqlstate", None)
    unanswered = isinstance(error, sa.exc.OperationalError) and state is None
    return unanswered or str(state or "").startswith(_AWAY)


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


HIGHEST = "\U0010ffff"
"""The character behind all others: what begins with a text lies between it and the text with this behind it."""


def begins(column: sa.ColumnElement[str], beginning: str) -> sa.ColumnElement[bool]:
    """Return the condition that a `code_point_text` begins so, as a range that an index knows."""
    return sa.and_(column >= beginning, column < beginning + HIGHEST)


def begins_as_given(column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """Return the same condition for a statement that is kept; its text is handed over by `beginning_parameters`."""
    return sa.and_(column >= sa.bindparam(name), column < sa.bindparam(f"{name}_end"))


def beginning_parameters(name: str, beginning: str) -> dict[str, str]:
    """Return the parameters of a statement with `begins_as_given`."""
    return {name: beginning, f"{name}_end": beginning + HIGHEST}


def written(name: str) -> sa.BindParameter[int]:
    """Return a number that is written into the statement: PostgreSQL plans by how many rows are wanted."""
    return sa.bindparam(name, type_=sa.Integer, literal_execute=True)


def literally(number: int) -> sa.ColumnElement[int]:
    """Return a number that is always the same, written into the statement as `written` does with a parameter."""
    return sa.literal_column(str(number), sa.Integer)


GIVEN = "given"


def given_rows(columns: Mapping[str, sa.types.TypeEngine[Any]], *, postgresql_: bool) -> sa.Select[Any]:
    """Return a select of many rows that are handed over by `rows_parameter`, to insert from or to join with.

    They travel as one JSON parameter: a driver writes an array per column several times slower (ADR 0006). Keep a
    statement that is made with this; building it costs more than running it.
    """
    bound = sa.bindparam(GIVEN, type_=sa.Text)
    if postgresql_:
        each = sa.func.jsonb_array_elements(sa.cast(bound, postgresql.JSONB)).table_valued(
            "value", name=GIVEN
        )
        picked = [_from_postgresql(each.c.value, i, type_) for i, type_ in enumerate(columns.values())]
    else:
        each = sa.func.json_each(bound).table_valued("value", name=GIVEN)
        picked = [_from_sqlite(each.c.value, i, type_) for i, type_ in enumerate(columns.values())]
    named = (value.label(name) for name, value in zip(columns, picked, strict=True))
    # SQLite's parser reads "on conflict" after a bare FROM as a join's ON.
    return sa.select(*named).where(sa.true())


def rows_parameter(session: orm.Session, values: Sequence[Sequence[Any]]) -> dict[str, str]:
    """Return the parameter of a statement with `given_rows`; each row has its values in the order of the columns.

    Raises UnicodeDecodeError where bytes among them are no text.
    """
    plainly, option = (
        (_text_of, None) if is_postgresql(session) else (_sqlite_text_of, orjson.OPT_PASSTHROUGH_DATETIME)
    )
    try:
        return {GIVEN: orjson.dumps(values, default=plainly, option=option).decode()}
    except orjson.JSONEncodeError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise error.__cause__ from None
        raise


def is_postgresql(session: orm.Session) -> bool:
    """Return whether the session speaks to PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


def _from_postgresql(row: sa.ColumnElement[Any], place: int, type_: sa.types.TypeEngine[Any]) -> Any:
    text = row.op("->>", return_type=sa.Text())(sa.literal_column(str(place)))
    if isinstance(type_, sa.LargeBinary):
        return sa.func.convert_to(text, sa.literal_column("'UTF8'"), type_=type_)
    return text if isinstance(type_, sa.String) else sa.cast(text, type_)


def _from_sqlite(row: sa.ColumnElement[Any], place: int, type_: sa.types.TypeEngine[Any]) -> Any:
    value = sa.func.json_extract(row, sa.literal_column(f"'$[{place}]'"), type_=type_)
    return sa.cast(value, type_) if isinstance(type_, sa.LargeBinary) else value


def given_values(name: str = GIVEN, *, postgresql_: bool) -> sa.Select[str]:
    """Return a select of many texts that are handed over by `values_parameter` under this name, for ``column.in_``.

    A list of parameters would make another statement for each length, which the server could not keep prepared.
    """
    bound = sa.bindparam(name, type_=sa.Text)
    if postgresql_:
        each = sa.func.jsonb_array_elements_text(sa.cast(bound, postgresql.JSONB)).table_valued(
            "value", name=name
        )
    else:
        each = sa.func.json_each(bound).table_valued("value", name=name)
    return sa.select(sa.type_coerce(each.c.value, sa.Text))


def values_parameter(values: Iterable[str], name: str = GIVEN) -> dict[str, str]:
    """Return the parameter of a statement with `given_values`."""
    return {name: orjson.dumps(list(values)).decode()}


def insert(table: sa.Table, *, postgresql_: bool) -> postgresql.Insert:
    """Return the dialect's own insert, which knows ``on_conflict_do_nothing`` and ``on_conflict_do_update``.

    Both dialects say it alike, so it is typed as PostgreSQL's.
    """
    return cast(postgresql.Insert, (postgresql if postgresql_ else sqlite).insert(table))


def insert_rows(
    session: orm.Session, table: sa.Table, names: Sequence[str], values: Sequence[Sequence[Any]]
) -> None:
    """Insert many rows by one statement; ``names`` are the columns in the order of each row."""
    if not values:
        return
    try:
        given = rows_parameter(session, values)
    except (
        UnicodeDecodeError
    ):  # bytes that are no text do not fit into JSON; they are rare, so they may be slow
        session.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in values])
    else:
        session.execute(_insertion(table, tuple(names), postgresql_=is_postgresql(session)), given)


def update_rows(
    session: orm.Session, table: sa.Table, names: Sequence[str], values: Sequence[Sequence[Any]]
) -> None:
    """Update many rows by one statement; the first of ``names`` is the key, the others are what changes."""
    statement = _updating(table, tuple(names), postgresql_=is_postgresql(session))
    session.execute(statement, rows_parameter(session, values))


@cache
def _updating(table: sa.Table, names: tuple[str, ...], *, postgresql_: bool) -> sa.Update:
    columns = {name: table.c[name].type for name in names}
    given = given_rows(columns, postgresql_=postgresql_).subquery("changed")
    key, *changing = names
    changes = {name: given.c[name] for name in changing}
    return sa.update(table).where(table.c[key] == given.c[key]).values(changes)


@cache
def _insertion(table: sa.Table, names: tuple[str, ...], *, postgresql_: bool) -> sa.Insert:
    columns = {name: table.c[name].type for name in names}
    return sa.insert(table).from_select(names, given_rows(columns, postgresql_=postgresql_))


def _text_of(value: Any) -> str:
    if isinstance(value, bytes):
        if b"\0" in value:  # neither database takes it within a text
            place = value.index(b"\0")
            raise UnicodeDecodeError("utf-8", value, place, place + 1, "no text holds a zero")
        return value.decode()
    raise TypeError(f"{type(value).__name__} does not travel in JSON")


def _sqlite_text_of(value: Any) -> str:
    if isinstance(value, datetime):
        # The form in which SQLAlchemy itself stores a date and time in SQLite.
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return value.isoformat() if isinstance(value, date) else _text_of(value)
