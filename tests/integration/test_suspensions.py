"""Holds on a card account: who may put and lift them, and what the clock does with them (ACC-14, Part 2 no. 10)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal

PA = "principal_programme_administrator"
ISSUER = "issuer_operator"


@pytest.fixture
def pa(installation: Installation) -> Portal:
    """The principal programme administrator of the first company."""
    return installation.portal(PA)


@pytest.fixture
def issuer(installation: Installation) -> Portal:
    """An operator of the issuer."""
    return installation.portal(ISSUER)


def done(answer: Any) -> Any:
    """Return the body of a command that was carried out."""
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(portal: Portal, account: str) -> str:
    """Return the status of a card account."""
    return str(portal.get(f"/accounts/{account}")["status"])


def test_suspend_and_unsuspend_in_real_time(installation: Installation, pa: Portal) -> None:
    """ACC-14."""
    account = installation.new_account()

    done(pa.send(f"/accounts/{account}/suspend", {"comment": "on leave"}, wait=10))
    assert status(pa, account) == "suspended"
    (hold,) = pa.get(f"/accounts/{account}")["holds"]
    assert (hold["origin"], hold["comment"], hold["in_force"]) == (
        "programme_administrator",
        "on leave",
        True,
    )

    done(pa.send(f"/accounts/{account}/unsuspend", wait=10))
    assert status(pa, account) == "active"


def test_a_lower_origin_never_lifts_a_higher_ones_hold(
    installation: Installation, pa: Portal, issuer: Portal
) -> None:
    """Part 2 no. 10: usable when no hold is left."""
    account = installation.new_account()
    done(issuer.send(f"/accounts/{account}/suspend", wait=10))
    refused = pa.send(f"/accounts/{account}/unsuspend", wait=10)
    assert refused.json()["code"] == "hold_of_higher_origin"

    done(pa.send(f"/accounts/{account}/suspend", wait=10))
    done(pa.send(f"/accounts/{account}/unsuspend", wait=10))
    assert status(pa, account) == "suspended"

    done(issuer.send(f"/accounts/{account}/unsuspend", wait=10))
    assert status(pa, account) == "active"


def test_a_cancelled_card_is_not_revived_by_lifting_a_hold(installation: Installation, pa: Portal) -> None:
    """A lesson others paid for."""
    account = installation.new_account()
    done(pa.send(f"/accounts/{account}/suspend", wait=10))
    done(pa.send(f"/accounts/{account}/cancel", {"reason": "fraud"}, wait=10))

    answer = pa.send(f"/accounts/{account}/unsuspend", wait=10)

    assert answer.json()["code"] == "account_cancelled"
    assert status(pa, account) == "cancelled"


def test_a_suspension_begins_and_ends_when_it_was_told_to(installation: Installation, pa: Portal) -> None:
    """Part 2 no. 1: at a stated instant; the request waits as scheduled and is completed by the clock."""
    account, now = installation.new_account(), datetime.now(UTC)
    period = {
        "effective_at": (now + timedelta(seconds=4)).isoformat(),
        "ends_at": (now + timedelta(seconds=8)).isoformat(),
    }

    command = pa.send(f"/accounts/{account}/suspend", period).json()["command_id"]

    eventually(lambda: pa.get(f"/tracking/{command}")["status"] == "scheduled", describe="it is scheduled")
    assert status(pa, account) == "active"
    eventually(lambda: status(pa, account) == "suspended", describe="it begins")
    request = pa.settled(command)
    assert [step["status"] for step in request["timeline"]] == ["received", "scheduled", "completed"]
    eventually(lambda: status(pa, account) == "active", describe="it ends")
    changes = pa.get(f"/accounts/{account}/history")["data"]
    told = [(c["old"], c["new"]) for c in changes if c["field"] == "status" and c["command_id"] == command]
    assert told == [("suspended", "active"), ("active", "suspended")]


def test_lifting_a_hold_that_has_not_begun_takes_its_request_to_an_end(
    installation: Installation, pa: Portal
) -> None:
    """No request waits for ever."""
    account = installation.new_account()
    later = {"effective_at": (datetime.now(UTC) + timedelta(days=30)).isoformat()}
    command = pa.send(f"/accounts/{account}/suspend", later).json()["command_id"]
    eventually(lambda: pa.get(f"/tracking/{command}")["status"] == "scheduled")

    done(pa.send(f"/accounts/{account}/unsuspend", wait=10))

    request = pa.settled(command)
    assert (request["status"], request["code"]) == ("rejected", "lifted")


@pytest.mark.parametrize(
    ("begins", "ends", "code"),
    [
        (timedelta(days=-1), None, "effective_at_in_past"),
        (timedelta(days=2), timedelta(days=1), "ends_before_it_begins"),
        (timedelta(days=1), timedelta(days=400), "suspension_too_long"),
    ],
)
def test_an_impossible_period_is_refused(
    installation: Installation, pa: Portal, begins: timedelta, ends: timedelta | None, code: str
) -> None:
    """ACC-14: at most a year."""
    now = datetime.now(UTC)
    period = {"effective_at": (now + begins).isoformat()} | (
        {"ends_at": (now + ends).isoformat()} if ends else {}
    )

    answer = pa.send(f"/accounts/{installation.new_account()}/suspend", period, wait=10)

    assert answer.json()["code"] == code
