"""One programme for all tests of a module, each with card accounts of its own."""

from collections.abc import Iterator

import pytest

from services.accounts.tests.programme import Programme, lasting


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def programme(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Programme]:
    """Two companies; a file may have 2,000 rows, and a row three tries."""
    yield from lasting(request, tmp_path_factory.mktemp("bulk"))
