"""Cards over the portal API: replaced, activated, reinstated; what is pending, and what waits for the issuer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal

PA = "principal_programme_administrator"
CONTACT = {"contact_name": "Ann", "contact_phone": "+44 1632 960001"}
LOSS = {
    "reason": "lost",
    "last_seen_at": "2026-01-05T18:00:00Z",
    "last_seen_where": "Leeds station",
    "circumstances": "Left in a taxi.",
    **CONTACT,
}


@pytest.fixture
def pa(installation: Installation) -> Portal:
    """The principal programme administrator of the first company."""
    return installation.portal(PA)


@pytest.fixture
def issuer_away(installation: Installation) -> Iterator[None]:
    """The issuer's processor does not answer, until the test says that it does."""
    installation.issuer_away.touch()
    yield
    installation.issuer_away.unlink(missing_ok=True)


def done(answer: Any) -> Any:
    """Return the body of a command that was carried out."""
    assert answer.status_code == 200, answer.text
    return answer.json()


def states(portal: Portal, account: str) -> list[str]:
    """Return the states of an account's cards, the newest first."""
    return [card["state"] for card in portal.get(f"/accounts/{account}/cards")["data"]]


def test_a_lost_card_is_replaced_while_one_waits_and_the_new_one_activated(
    installation: Installation, pa: Portal
) -> None:
    """ACC-09, Part 2 no. 12: with a processor that answers at once, so does Cardwork."""
    account = installation.new_account()
    before = pa.get(f"/accounts/{account}")["card_number"]
    refused = pa.send(f"/accounts/{account}/replace", {"reason": "lost", **CONTACT}, wait=10)
    assert (refused.status_code, refused.json()["code"]) == (422, "facts_required")

    card = done(pa.send(f"/accounts/{account}/replace", LOSS, wait=10))["result"]["card_id"]
    eventually(lambda: states(pa, account) == ["shipped", "closed"], describe="the new card is on its way")
    assert pa.get(f"/accounts/{account}/cards")["data"][0]["card_id"] == card
    done(pa.send(f"/accounts/{account}/activate", wait=10))

    assert states(pa, account) == ["active", "closed"]
    profile = pa.get(f"/accounts/{account}")
    assert (profile["card_state"], profile["card_number"] == before) == ("active", False)


def test_while_the_issuer_is_away_the_lost_card_is_closed_and_the_request_waits(
    installation: Installation, pa: Portal, issuer_away: None
) -> None:
    account = installation.new_account()
    answer = pa.send(f"/accounts/{account}/replace", LOSS)
    number, command = answer.json()["tracking_number"], answer.json()["command_id"]
    eventually(lambda: pa.get(f"/tracking/{number}")["status"] == "processing", describe="it is accepted")
    assert states(pa, account) == ["closed"]
    (pending,) = pa.get(f"/accounts/{account}/pending")["data"]
    assert (pending["kind"], pending["tracking_number"]) == ("replacement", number)

    installation.issuer_away.unlink()

    request = pa.settled(command)
    assert [step["status"] for step in request["timeline"]] == ["received", "processing", "completed"]
    eventually(lambda: states(pa, account) == ["shipped", "closed"], describe="the new card is on its way")


def test_a_cancellation_ahead_is_seen_and_taken_back(installation: Installation, pa: Portal) -> None:
    """ACC-12, Part 2 no. 1."""
    account = installation.new_account()
    at = (datetime.now(UTC) + timedelta(days=90)).isoformat()
    answer = pa.send(
        f"/accounts/{account}/cancel", {"reason": "employment_ended", "effective_at": at}, wait=10
    )
    number = answer.json()["tracking_number"]
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
    (pending,) = pa.get(f"/accounts/{account}/pending")["data"]
    assert (pending["kind"], pending["tracking_number"], pending["withdrawable"]) == (
        "cancellation",
        number,
        True,
    )

    done(pa.send(f"/tracking/{number}/withdraw", wait=10))

    assert pa.get(f"/accounts/{account}/pending")["data"] == []
    changes = pa.get(f"/accounts/{account}/history")["data"]
    assert [(change["field"], change["new"] is None) for change in changes] == [
        ("scheduled_cancellation", True),
        ("scheduled_cancellation", False),
    ]
    assert (changes[1]["actor"], changes[1]["tracking_number"]) == (pa.user_id, number)
    assert changes[0]["actor"] == pa.user_id
    assert changes[0]["tracking_number"] not in (None, number), "that of the withdrawal"
    assert pa.get(f"/accounts/{account}")["status"] == "active"


def test_a_cancelled_account_comes_back_with_another_card(installation: Installation, pa: Portal) -> None:
    """ACC-13: by the issuer alone."""
    account, issuer = installation.new_account(), installation.portal("issuer_operator")
    number = pa.get(f"/accounts/{account}")["card_number"]
    done(pa.send(f"/accounts/{account}/cancel", {"reason": "not_needed"}, wait=10))
    why = {"comment": "It was a namesake's."}
    assert pa.send(f"/accounts/{account}/reinstate", why).status_code == 403

    done(issuer.send(f"/accounts/{account}/reinstate", why, wait=10))

    profile = pa.get(f"/accounts/{account}")
    assert (profile["status"], profile["card_number"] == number) == ("active", False)
    assert states(pa, account)[1:] == ["closed"]
