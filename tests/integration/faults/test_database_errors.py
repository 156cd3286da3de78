"""Which errors of a database mean that it is away, which that a race was lost, and which that a statement is wrong.

It decides whether a message waits, is tried again, or is set aside so that others may pass.
"""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.database import Database, DatabaseAway, sqlite_url
from shared.errors import Unavailable
from shared.testing.databases import Database as Fresh
from shared.testing.databases import Postgres


def raised_by(database: Database, *statements: str) -> BaseException | None:
    """Return what comes of statements in one transaction."""
    try:
        with database.write() as session:
            for statement in statements:
                session.execute(sa.text(statement))
    except Exception as error:  # noqa: BLE001 - which one is the question
        return error
    return None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("08006", DatabaseAway),
        ("25006", DatabaseAway),
        ("53100", DatabaseAway),
        ("53300", DatabaseAway),
        ("57P01", DatabaseAway),
        ("58030", DatabaseAway),
        ("40001", Unavailable),
        ("40P01", Unavailable),
        ("55P03", Unavailable),
        ("42P01", sa.exc.ProgrammingError),
        ("22P02", sa.exc.DataError),
    ],
)
def test_postgresql(database: Fresh, state: str, expected: type[Exception]) -> None:
    ours = Database(database.url)
    raising = f"do $$ begin raise exception 'as told' using errcode = '{state}'; end $$"
    assert type(raised_by(ours, raising)) is expected
    ours.close()


def test_a_statement_that_takes_too_long_has_lost_a_race(database: Fresh) -> None:
    ours = Database(database.url)
    assert type(raised_by(ours, "set local statement_timeout = 1", "select pg_sleep(5)")) is Unavailable
    ours.close()


def test_a_connection_that_died_while_it_lay_idle_is_not_handed_out(
    postgres: Postgres, database: Fresh
) -> None:
    ours = Database(database.url)

    def use() -> None:
        for door in (ours.read, ours.write):
            with door() as session:
                assert session.scalar(sa.text("select 1")) == 1

    use()
    postgres.restart()
    use()
    ours.close()


def test_nobody_listens(database: Fresh) -> None:
    nowhere = sa.make_url(database.url).set(port=1).render_as_string(hide_password=False)
    ours = Database(nowhere)
    assert type(raised_by(ours, "select 1")) is DatabaseAway
    assert not ours.answers()
    ours.close()


def test_sqlite(tmp_path: Path) -> None:
    ours = Database(sqlite_url(tmp_path / "data.sqlite"))
    assert type(raised_by(ours, "select * from nowhere")) is sa.exc.OperationalError
    assert type(raised_by(ours, "create table t (n)", "pragma max_page_count = 1", _FILL)) is DatabaseAway
    ours.close()
    file = tmp_path / "folder-that-is-not-there" / "data.sqlite"
    gone = Database(sqlite_url(file))
    assert type(raised_by(gone, "select 1")) is DatabaseAway
    gone.close()


_FILL = (
    "insert into t with recursive many(n) as (select 1 union all select n + 1 from many where n < 10000)"
    " select zeroblob(1000) from many"
)


def test_a_locked_sqlite_has_lost_a_race(tmp_path: Path) -> None:
    file = tmp_path / "data.sqlite"
    ours = Database(sqlite_url(file))
    with ours.write() as session:
        session.execute(sa.text("create table t (n)"))
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    (engine,) = ours.engines
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("pragma busy_timeout=1"))
    engine.dispose()
    assert type(raised_by(ours, "insert into t values (1)")) is Unavailable
    other.close()
    ours.close()
