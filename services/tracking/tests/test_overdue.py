"""A request past its service time is visible as overdue, and counted (TRK-06)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.tracking.model import request
from services.tracking.queries.overview import get_overview
from services.tracking.queries.requests import find_requests
from services.tracking.service import service
from shared.actor import EVERYWHERE, Actor, Party
from shared.contracts.tracking import FindRequests, GetRequestOverview
from shared.database import Database, insert_rows, sqlite_url
from shared.messaging.transaction import Reader
from shared.migrations import upgrade
from shared.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """An operator who looks at noon at three requests: one late, one in time, one late but finished."""
    url = sqlite_url(tmp_path / "tracking.sqlite")
    upgrade(service, url)
    database = Database(url)
    empty = dict.fromkeys(column.name for column in request.c)
    common = empty | {
        "type": "accounts.cancel-account",
        "rank": 0,
        "actor": "pa",
        "channel": "api",
        "payload": "{}",
    }
    rows = [
        common | {"command_id": name, "tracking_number": name, "status": status, "received_at": NOON - 2 * HOUR}
        | {"due_at": due, "finished_at": finished}
        for name, status, due, finished in (
            ("late", "received", NOON - HOUR, None),
            ("in-time", "received", NOON + HOUR, None),
            ("done", "completed", NOON - HOUR, NOON),
        )
    ]  # fmt: skip
    with database.write() as session:
        insert_rows(session, request, tuple(empty), [tuple(row.values()) for row in rows])
    actor = Actor(user_id="op", party=Party.ISSUER, grants={"tracking.view": frozenset({EVERYWHERE})})
    with database.read() as session:
        yield Reader(session, actor, "tracking.view", NOON, Settings())
    database.close()


def test_overdue_requests_are_listed_and_counted(reader: Reader) -> None:
    """Only what is not finished can be late."""
    late = find_requests(FindRequests(overdue=True), reader).data
    others = find_requests(FindRequests(overdue=False), reader).data
    assert [row.command_id for row in late] == ["late"]
    assert {row.command_id for row in others} == {"in-time", "done"}
    assert [row.overdue for row in late + others] == [True, False, False]
    assert get_overview(GetRequestOverview(), reader).overdue == 1
