"""The installations of the whole run, handed to a test that may kill any part of them, and set right after it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.testing.installation import DistributedInstallation, EmbeddedInstallation, Installation

_PATIENCE_SECONDS = 300  # processes and servers start again and again, perhaps on a busy machine


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.fault)
    item.add_marker(pytest.mark.timeout(_PATIENCE_SECONDS))


@contextmanager
def set_right_afterwards(installation: Installation) -> Iterator[None]:
    """Let the block do what it wants to processes; afterwards those of before run again."""
    installation.wait_until_ready()  # another test may just have restarted the servers
    before = dict(installation.processes)
    workers = dict(installation._workers) if isinstance(installation, DistributedInstallation) else {}
    try:
        yield
    finally:
        installation.issuer_away.unlink(missing_ok=True)
        for process in installation.processes.values():
            if process not in before.values() and process.is_running():
                process.kill()
        installation.processes.clear()
        installation.processes.update(before)
        if isinstance(installation, DistributedInstallation):
            installation._workers = workers
        for process in before.values():
            if not process.is_running():
                process.start()
        installation.wait_until_ready()


@pytest.fixture
def many(distributed: DistributedInstallation) -> Iterator[DistributedInstallation]:
    """The many-processes shape, running; what the test does to it is undone."""
    with set_right_afterwards(distributed):
        yield distributed


@pytest.fixture
def one(embedded: EmbeddedInstallation) -> Iterator[EmbeddedInstallation]:
    """The one-process shape, running; what the test does to it is undone."""
    with set_right_afterwards(embedded):
        yield embedded


@pytest.fixture(params=["one", "many"])
def either(request: pytest.FixtureRequest) -> Installation:
    """A running Cardwork, in each shape in turn; what the test does to it is undone."""
    shape: Installation = request.getfixturevalue(request.param)
    return shape
