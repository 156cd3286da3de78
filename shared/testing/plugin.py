"""The pytest plugin of this repository: servers, a fresh place on them for each test, and the order of the run.

Each process of a parallel run (pytest-xdist) has servers of its own, started when its first test asks for them. One
set for all would start faster, but a test that restarts RabbitMQ in one process would break those of another.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from shared.database import sqlite_url
from shared.migrations import upgrade
from shared.service import Service
from shared.testing.brokers import RabbitMQ, VirtualHost, start_rabbitmq
from shared.testing.databases import Database, Postgres, start_postgres
from shared.testing.servers import NoServerError

S = TypeVar("S")

_MARKED_BY_FIXTURE = ("rabbitmq", "postgres")


@pytest.fixture(scope="session")
def rabbitmq(request: pytest.FixtureRequest) -> Iterator[RabbitMQ]:
    """RabbitMQ, real and restartable (`shared.testing.brokers`)."""
    broker = _or_stop_the_session(start_rabbitmq, request.session)
    yield broker
    broker.close()


@pytest.fixture
def vhost(rabbitmq: RabbitMQ) -> Iterator[VirtualHost]:
    """A virtual host that only this test uses."""
    with rabbitmq.new_vhost() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """PostgreSQL, real and restartable (`shared.testing.databases`)."""
    server = _or_stop_the_session(start_postgres, request.session)
    yield server
    server.close()


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Database]:
    """An empty PostgreSQL database that only this test uses."""
    with postgres.new_database() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    """The declaration whose tables `tables` makes; the conftest of each service says which."""
    raise LookupError("a conftest has to say which service is under test")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "empty 100%.sqlite")
    else:
        yield request.getfixturevalue("database").url


@pytest.fixture(scope="session")
def template_of(postgres: Postgres) -> Iterator[Callable[[Service], str]]:
    """Return the name of a PostgreSQL database with a service's tables, to copy from; made at the first asking."""
    names: dict[str, str] = {}
    with ExitStack() as stack:

        def template(service: Service) -> str:
            if service.name not in names:
                migrated = stack.enter_context(postgres.new_database())
                upgrade(service, migrated.url)
                names[service.name] = migrated.name
            return names[service.name]

        yield template


@pytest.fixture(scope="session")
def template_file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Service], Path]:
    """Return the SQLite file with a service's tables, to copy; made at the first asking."""
    folder = tmp_path_factory.mktemp("templates")

    def template(service: Service) -> Path:
        file = folder / f"{service.name}.sqlite"
        if not file.exists():
            upgrade(service, sqlite_url(file))
        return file

    return template


@pytest.fixture(params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest, service_under_test: Service, tmp_path: Path) -> Iterator[str]:
    """A database of each kind with the service's empty tables."""
    if request.param == "sqlite":
        template_file = request.getfixturevalue("template_file_of")(service_under_test)
        yield sqlite_url(Path(shutil.copy(template_file, tmp_path)))
    else:
        template = request.getfixturevalue("template_of")(service_under_test)
        with request.getfixturevalue("postgres").new_database(template) as copy:
            yield copy.url


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs a server, so that ``-m "not rabbitmq"`` leaves it out."""
    for fixture in _MARKED_BY_FIXTURE:
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(fixture)


@pytest.hookimpl(trylast=True)  # after pytest-randomly has shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs docker compose last."""
    items.sort(key=lambda item: item.get_closest_marker("compose") is not None)


def _or_stop_the_session(start: Callable[[], S], session: pytest.Session) -> S:
    """A missing server is no reason to skip: nothing that it would have proved is proved."""
    try:
        return start()
    except NoServerError as problem:
        session.shouldstop = str(
            problem
        )  # not pytest.exit, which pytest-xdist takes for a crash of its process
        pytest.fail(str(problem), pytrace=False)
