"""How long commands may take is configuration, published, and decides what is overdue (TRK-06)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.tracking.tests.conftest import NOON, Tracking
from shared.contracts.outcomes import CommandAccepted, CommandCompleted, RequestStatus
from shared.contracts.service_times import read_service_times
from shared.contracts.tracking import FindRequests, GetRequest, GetRequestOverview, ListServiceTimes
from shared.settings import BadSettings, read_settings

TIMES = "accounts.cancel-account=30m, accounts.open-account=2d"


def test_times_are_read_in_every_unit() -> None:
    assert read_service_times(f" {TIMES},accounts.suspend-account = 45s,, identity.enrol-user=6h ") == {
        "accounts.cancel-account": timedelta(minutes=30),
        "accounts.open-account": timedelta(days=2),
        "accounts.suspend-account": timedelta(seconds=45),
        "identity.enrol-user": timedelta(hours=6),
    }
    assert read_service_times(None) == read_service_times("") == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("accounts.cancel-account", "'accounts.cancel-account' is not of the form"),
        ("accounts.cancel-account=0m", "is not of the form"),
        ("accounts.cancel-account=5", "is not of the form"),
        ("accounts.cancel-account=5m, accounts.cancel-account=6m", "accounts.cancel-account is named twice"),
        ("accounts.fly=5m", "there is no command accounts.fly"),
    ],
)
def test_a_fault_is_told_when_the_process_starts(
    monkeypatch: pytest.MonkeyPatch, text: str, fault: str
) -> None:
    monkeypatch.setenv("CARDWORK_SERVICE_TIMES", text)
    with pytest.raises(BadSettings, match=fault) as told:
        read_settings()
    assert "CARDWORK_SERVICE_TIMES" in str(told.value)


def test_a_configured_time_decides_what_is_overdue(tracking: Tracking) -> None:
    tracking.settings = replace(tracking.settings, service_times=TIMES)
    tracking.hear(command := tracking.cancellation(time=NOON - timedelta(minutes=20)))
    late = FindRequests(overdue=True)
    assert tracking.ask(late).data == []
    tracking.now += timedelta(minutes=11)
    (row,) = tracking.ask(late).data
    assert (row.due_at, row.overdue) == (NOON + timedelta(minutes=10), True)
    assert tracking.ask(GetRequestOverview()).overdue == 1
    tracking.hear(tracking.outcome(command, CommandCompleted))
    assert tracking.ask(GetRequestOverview()).overdue == 0
    assert not tracking.ask(GetRequest(tracking_number=command.id)).overdue


def test_what_waits_for_its_own_time_is_never_overdue(tracking: Tracking) -> None:
    command = tracking.cancellation(time=NOON - timedelta(days=3))
    tracking.hear(command, tracking.outcome(command, CommandAccepted, status=RequestStatus.SCHEDULED))
    assert tracking.ask(FindRequests(overdue=True)).data == []
    assert not tracking.ask(FindRequests()).data[0].overdue


def test_the_times_in_force_are_published(tracking: Tracking) -> None:
    tracking.settings = replace(tracking.settings, service_times=TIMES)
    times = {
        time.type: (time.seconds, time.default_seconds) for time in tracking.ask(ListServiceTimes()).data
    }
    assert times["accounts.cancel-account"] == (1800, 60)
    assert times["accounts.suspend-account"] == (60, 60)
    assert times["tracking.approve-request"] == (60, 60)
