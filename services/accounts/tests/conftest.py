"""Accounts under test, on SQLite and on PostgreSQL."""

import pytest

from services.accounts.service import service
from shared.service import Service


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    return service
