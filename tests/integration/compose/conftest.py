"""One project for all tests of docker-compose.yml, whose logs are shown where one of them fails."""

from collections.abc import Generator, Iterator

import pytest

from shared.testing.servers import NoServerError
from tests.integration.compose.stack import ComposeFailed, Stack


@pytest.fixture(scope="package")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The system as `docker compose up` starts it in a fresh clone."""
    try:
        stack = Stack()
    except NoServerError as problem:
        request.session.shouldstop = str(problem)
        pytest.fail(str(problem), pytrace=False)
    try:
        stack.up("--build")
        yield stack
    except ComposeFailed as problem:
        problem.add_note(stack.logs())
        raise
    finally:
        stack.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of all containers to the report of a test that failed."""
    report = yield
    running = getattr(item, "funcargs", {}).get("stack")
    if report.failed and report.when == "call" and running:
        report.sections.append(("docker compose logs", running.logs()))
    return report
