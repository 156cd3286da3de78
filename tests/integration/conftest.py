"""The installations that scenarios run against: one of each shape for a whole run, fresh ones for fault tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.keys import make_keys
from shared.testing.brokers import RabbitMQ
from shared.testing.databases import Postgres
from shared.testing.installation import (
    DistributedInstallation,
    EmbeddedInstallation,
    Installation,
    running,
)

ACCOUNTS = 600


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The one-process shape, running."""
    installation = EmbeddedInstallation(tmp_path_factory.mktemp("embedded"))
    installation.prepare(ACCOUNTS)
    with running(installation):
        yield installation


@pytest.fixture(scope="session")
def keys() -> dict[str, str]:
    """The keys of every distributed installation of this run."""
    return {f"CARDWORK_{name.upper()}": value for name, value in make_keys().items()}


@pytest.fixture(scope="session")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str], rabbitmq: RabbitMQ, postgres: Postgres
) -> Iterator[DistributedInstallation]:
    """A distributed installation with a demonstration programme that never runs: others copy its databases."""
    with rabbitmq.new_vhost() as vhost:
        folder = tmp_path_factory.mktemp("prepared")
        installation = DistributedInstallation(folder, keys, vhost, rabbitmq, postgres)
        installation.prepare(ACCOUNTS)
        yield installation
        installation.discard()


@pytest.fixture(scope="session")
def distributed(
    tmp_path_factory: pytest.TempPathFactory,
    keys: dict[str, str],
    prepared: DistributedInstallation,
    rabbitmq: RabbitMQ,
    postgres: Postgres,
) -> Iterator[Installation]:
    """The many-processes shape, running."""
    with rabbitmq.new_vhost() as vhost:
        folder = tmp_path_factory.mktemp("distributed")
        installation = DistributedInstallation(folder, keys, vhost, rabbitmq, postgres)
        installation.prepare_like(prepared)
        with running(installation):
            yield installation
        installation.discard()


@pytest.fixture(params=["embedded", "distributed"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """A running Cardwork, in each shape in turn.

    A fault test may just have restarted the servers that it shares with others; what is not back yet is waited for.
    """
    shape: Installation = request.getfixturevalue(request.param)
    shape.wait_until_ready()
    return shape


NewDistributed = Callable[..., DistributedInstallation]


@pytest.fixture
def new_distributed(
    tmp_path: Path,
    keys: dict[str, str],
    prepared: DistributedInstallation,
    rabbitmq: RabbitMQ,
    postgres: Postgres,
) -> Iterator[NewDistributed]:
    """Make a distributed installation of a test's own, prepared but not started; settings by keyword."""
    with ExitStack() as stack:

        def make(**settings: str) -> DistributedInstallation:
            vhost = stack.enter_context(rabbitmq.new_vhost())
            installation = DistributedInstallation(tmp_path, keys, vhost, rabbitmq, postgres, settings)
            stack.callback(installation.discard)
            stack.callback(installation.stop)
            installation.prepare_like(prepared)
            return installation

        yield make
