"""A second person approves what a company wants a second person for; the asker never can (Part 2 nos. 1 and 6)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal

PRINCIPAL = "principal_programme_administrator"
ADMINISTRATOR = "programme_administrator"
OPERATOR = "issuer_operator"
COMPANY = 2  # the third one: nobody else's tests should wait for approval
SUSPEND = "accounts.suspend-account"


@pytest.fixture
def principal(installation: Installation) -> Iterator[Portal]:
    """The principal of a company that wants a second person for every suspension, while the test runs."""
    portal = Portal(installation.url, installation.user(PRINCIPAL, COMPANY))
    company = portal.get("/me")["company"]

    def want(approvals: list[str]) -> None:
        answer = portal.send(f"/companies/{company}/settings", {"approvals": approvals}, wait=10)
        assert answer.status_code == 200, answer.text

    want([SUSPEND])
    yield portal
    want([])


@pytest.fixture
def administrator(installation: Installation, principal: Portal) -> Portal:
    """Another administrator of that company, for one branch."""
    return Portal(installation.url, installation.user(ADMINISTRATOR, COMPANY))


@pytest.fixture
def account(administrator: Portal) -> str:
    """An active card account of the branch."""
    found: str = administrator.get("/accounts", status="active", limit=1)["data"][0]["account_id"]
    return found


def asked(portal: Portal, account: str) -> str:
    """Ask for a suspension and return its tracking number once it waits."""
    answer = portal.send(f"/accounts/{account}/suspend")
    assert answer.status_code == 202, answer.text
    number: str = answer.json()["tracking_number"]
    waits = lambda: portal.get(f"/tracking/{number}")["status"] == "awaiting_approval"  # noqa: E731
    eventually(waits, describe=f"{number} waits for approval")
    return number


def decide(portal: Portal, number: str, verb: str, **body: Any) -> httpx.Response:
    return portal.send(f"/tracking/{number}/{verb}", body, wait=10)


def test_a_second_person_approves_and_then_it_happens(
    principal: Portal, administrator: Portal, account: str
) -> None:
    """Until then nothing has changed; the timeline names the approver."""
    number = asked(administrator, account)
    assert administrator.get(f"/accounts/{account}")["status"] == "active"
    waiting = principal.get("/tracking", status="awaiting_approval")["data"]
    assert number in {row["tracking_number"] for row in waiting}

    assert decide(principal, number, "approve", comment="Fine.").status_code == 200

    request = administrator.settled(administrator.get(f"/tracking/{number}")["command_id"])
    assert (request["status"], request["actor"]) == ("completed", administrator.user_id)
    assert administrator.get(f"/accounts/{account}")["status"] == "suspended"
    assert principal.user_id in {step["by"] for step in request["timeline"]}


def test_the_asker_never_approves(principal: Portal, administrator: Portal, account: str) -> None:
    """Nor does anybody approve what is approved already."""
    number = asked(principal, account)
    own = decide(principal, number, "approve")
    assert (own.status_code, own.json()["code"]) == (422, "own_request")
    assert decide(administrator, number, "approve").status_code == 200
    again = decide(administrator, number, "approve")
    assert again.status_code == 422
    assert again.json()["code"] in ("not_awaiting_approval", "nothing_waits", "already_settled")


def test_a_second_person_refuses_with_a_reason(
    principal: Portal, administrator: Portal, account: str
) -> None:
    """The request is rejected, says by whom and why, and nothing happened."""
    number = asked(administrator, account)
    assert decide(principal, number, "refuse", comment="Ask me first.").status_code == 200
    request = administrator.settled(administrator.get(f"/tracking/{number}")["command_id"])
    assert (request["status"], request["code"]) == ("rejected", "approval_refused")
    assert "Ask me first." in request["message"]
    assert principal.user_id in request["message"]
    assert administrator.get(f"/accounts/{account}")["status"] == "active"


def test_the_asker_withdraws(principal: Portal, administrator: Portal, account: str) -> None:
    """What waits can be taken back, and then cannot be approved."""
    number = asked(administrator, account)
    assert decide(administrator, number, "withdraw").status_code == 200
    request = administrator.settled(administrator.get(f"/tracking/{number}")["command_id"])
    assert request["status"] == "withdrawn"
    assert decide(principal, number, "approve").status_code == 422
    assert administrator.get(f"/accounts/{account}")["status"] == "active"


def test_what_is_scheduled_can_be_withdrawn(installation: Installation) -> None:
    """A suspension that has not begun is taken back by its tracking number."""
    portal = installation.portal(PRINCIPAL)
    account = installation.new_account()
    answer = portal.send(f"/accounts/{account}/suspend", {"effective_at": "2026-12-24T08:00:00Z"})
    number = answer.json()["tracking_number"]
    eventually(lambda: portal.get(f"/tracking/{number}")["status"] == "scheduled", describe="it is scheduled")
    assert portal.get(f"/accounts/{account}")["holds"]

    assert decide(portal, number, "withdraw").status_code == 200

    assert portal.settled(answer.json()["command_id"])["status"] == "withdrawn"
    assert portal.get(f"/accounts/{account}")["holds"] == []
    again = decide(portal, number, "withdraw")
    assert (again.status_code, again.json()["code"]) == (422, "already_settled")


def test_nobody_decides_about_what_they_cannot_see(
    installation: Installation, administrator: Portal, account: str
) -> None:
    """To a stranger the request does not exist."""
    number = asked(administrator, account)
    stranger = installation.portal(PRINCIPAL)
    for verb in ("approve", "refuse", "withdraw"):
        answer = decide(stranger, number, verb)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert decide(administrator, number, "withdraw").status_code == 200


def test_only_what_a_company_may_do_can_be_put_under_approval(principal: Portal) -> None:
    """A setting that could do nothing is refused."""
    company = principal.get("/me")["company"]
    for name in ("accounts.open-account", "accounts.no-such-thing", "tracking.approve-request"):
        answer = principal.send(f"/companies/{company}/settings", {"approvals": [name]}, wait=10)
        assert (answer.status_code, answer.json()["code"]) == (422, "cannot_be_approved")
    assert principal.get(f"/companies/{company}")["approvals"] == [SUSPEND]
