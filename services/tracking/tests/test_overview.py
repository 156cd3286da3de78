"""The counts sum to the total and are those of the rows, however much of them was counted before (TRK-04)."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.tracking.model import day
from services.tracking.queries import overview
from services.tracking.tests.conftest import BASIC, ELSEWHERE, ISSUER, MASTER, NOON, PATH, Tracking, user
from shared.actor import Actor
from shared.contracts.base import Message
from shared.contracts.outcomes import (
    CommandAccepted,
    CommandCompleted,
    CommandFailed,
    CommandRejected,
    RequestStatus,
)
from shared.contracts.tracking import FindRequests, GetRequestOverview
from shared.messaging.envelope import Envelope

_WAYS: list[tuple[type[Message], dict[str, object]] | None] = [
    None,
    (CommandCompleted, {}),
    (CommandCompleted, {}),
    (CommandRejected, {"code": "account_cancelled", "message": "It is."}),
    (CommandFailed, {"code": "internal_error", "message": "A fault."}),
    (CommandAccepted, {"status": RequestStatus.SCHEDULED}),
    (CommandAccepted, {"status": RequestStatus.PROCESSING}),
]
PA = user("pa", "tracking.view")
VIEWERS = {
    "issuer": ISSUER,
    "principal": PA,
    "several": user("eve", "tracking.view", over=[MASTER, BASIC, ELSEWHERE[1]]),
    "basic": user("eve", "tracking.view", over=[BASIC]),
    "nowhere": user("eve", "tracking.view", over=["400000000000000"]),
}


@pytest.fixture
def commands(tracking: Tracking) -> list[Envelope]:
    """Requests of fifty days, here and elsewhere, at every status."""
    chance = random.Random(1)
    made, said = [], []
    for _ in range(150):
        command = tracking.cancellation(
            chance.choice(["pa", "eve"]),
            time=NOON - timedelta(days=chance.uniform(0, 50)),
            scope=chance.choice([PATH, ELSEWHERE]),
            on_behalf_of=chance.choice([None, None, "eve"]),
        )
        made.append(command)
        way = chance.choice(_WAYS)
        said += [tracking.outcome(command, way[0], **way[1])] if way else []
    tracking.hear(*made)
    tracking.hear(*said)
    return made


def counts_of_rows(tracking: Tracking, actor: Actor, **criteria: Any) -> dict[str, int]:
    page = tracking.ask(FindRequests(limit=500, **criteria), actor)
    return Counter(row.status.value for row in page.data)


def counted_days(tracking: Tracking) -> int:
    with tracking.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).where(day.c.counted)) or 0


def check(tracking: Tracking) -> None:
    """Fail unless the overview says for everybody, and of every period, what the lists say."""
    periods: list[dict[str, Any]] = [
        {},
        {"received_from": NOON - timedelta(days=30, hours=3)},
        {"received_before": NOON - timedelta(days=10)},
        {"received_from": NOON - timedelta(days=20), "received_before": NOON - timedelta(days=19, hours=20)},
    ]
    for actor in VIEWERS.values():
        for period in periods:
            assert tracking.counts(GetRequestOverview(**period), actor) == counts_of_rows(
                tracking, actor, **period
            )
            seen = tracking.ask(GetRequestOverview(**period), actor)
            late = tracking.ask(FindRequests(overdue=True, limit=500, **period), actor)
            assert seen.overdue == len(late.data)


def test_the_counts_are_those_of_the_lists_for_everybody_and_every_period(
    tracking: Tracking, commands: list[Envelope]
) -> None:
    """Before and after jobs have counted days, and where some days are counted and some are not."""
    check(tracking)
    tracking.run_jobs()
    assert counted_days(tracking) == 31
    check(tracking)
    tracking.run_jobs(2)
    assert counted_days(tracking) > 45
    check(tracking)


def test_a_change_of_what_is_counted_already_counts(tracking: Tracking, commands: list[Envelope]) -> None:
    """A late outcome, a late command, and a command whose outcome came before it."""
    tracking.run_jobs(3)
    before = counted_days(tracking)
    late = tracking.cancellation(time=NOON - timedelta(days=33))
    overtaken = tracking.cancellation(time=NOON - timedelta(days=34), scope=ELSEWHERE)
    tracking.hear(late, tracking.outcome(overtaken, CommandCompleted))
    tracking.hear(overtaken, *(tracking.outcome(command, CommandCompleted) for command in commands[:5]))
    assert counted_days(tracking) < before
    check(tracking)
    tracking.run_jobs(3)
    assert counted_days(tracking) == before
    check(tracking)


def test_many_days_that_are_not_counted_are_counted_live(
    tracking: Tracking, commands: list[Envelope], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking.run_jobs(3)
    for back in range(3, 45, 4):
        tracking.hear(tracking.cancellation(time=NOON - timedelta(days=back)))
    check(tracking)
    monkeypatch.setattr(overview, "_MOST_GAPS", 2)
    check(tracking)


@pytest.mark.parametrize("viewer", VIEWERS)
def test_the_work_of_a_user_is_counted_within_what_the_viewer_sees(
    tracking: Tracking, commands: list[Envelope], viewer: str
) -> None:
    """TRK-05: an alternate opens the principal's overview."""
    actor = VIEWERS[viewer]
    for worker in ("pa", "eve", "nobody"):
        rows = counts_of_rows(tracking, actor, work_of=worker)
        assert tracking.counts(GetRequestOverview(work_of=worker), actor) == rows
