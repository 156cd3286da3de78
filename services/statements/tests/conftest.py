"""Statements by itself, on SQLite and on PostgreSQL, without a broker."""

from collections.abc import Iterator

import pytest

from services.statements.service import service
from services.statements.tests.files import Files
from services.statements.tests.programme import KEYS, Programme
from shared.contracts import load_all
from shared.database import Database
from shared.service import Service
from shared.settings import Settings


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    return service


@pytest.fixture
def programme(tables: str) -> Iterator[Programme]:
    """A company with control accounts in three currencies, one of them billed centrally."""
    load_all()
    database = Database(tables, pool_size=10)
    made = Programme(database, Settings(**KEYS))
    made.build()
    yield made
    database.close()


@pytest.fixture
def files(tables: str) -> Iterator[Files]:
    """A company with a few control accounts, whose transactions come in files."""
    database = Database(tables)
    made = Files(database, Settings(**KEYS))
    made.build()
    yield made
    database.close()
