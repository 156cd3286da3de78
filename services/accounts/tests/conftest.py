"""Accounts by itself, on SQLite and on PostgreSQL, without a broker: commands in, events and answers out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.accounts.service import service
from services.accounts.tests.programme import Programme, running
from shared.service import Service


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    return service


@pytest.fixture(autouse=True)
def enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an errand take as long as it needs, on however slow a machine; how it is cut short has a test of its own."""
    monkeypatch.setattr("services.accounts.jobs.orders.LONGEST_RUN_SECONDS", 60)


@pytest.fixture
def programme(tables: str, tmp_path: Path) -> Iterator[Programme]:
    """Two companies and no card account, whose cards are made by an issuer that can be away."""
    yield from running(tables, tmp_path)
