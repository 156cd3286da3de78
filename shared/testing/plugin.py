"""The pytest plugin of this repository: servers, a fresh place on them for each test, and the order of the run.

Each process of a parallel run (pytest-xdist) has servers of its own, started when its first test asks for them. One
set for all would start faster, but a test that restarts RabbitMQ in one process would break those of another.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

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
