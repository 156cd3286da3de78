"""Accounts by itself, on SQLite and on PostgreSQL, without a broker: commands in, events and answers out."""

from collections.abc import Iterator

import pytest

from services.accounts.service import service
from services.accounts.tests.company import Companies
from shared.database import Database
from shared.service import Service


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    return service


@pytest.fixture
def companies(tables: str) -> Iterator[Companies]:
    """The service with two companies and no card account."""
    database = Database(tables, pool_size=10)
    made = Companies(database)
    made.build()
    yield made
    database.close()
