"""Nobody learns of, or touches, what lies outside the own control accounts (IDN-05), in both shapes."""

import uuid

import httpx
import pytest

from shared.testing.installation import DistributedInstallation, Installation, Portal

PA = "principal_programme_administrator"
ISSUER = "issuer_operator"


@pytest.fixture
def pa(installation: Installation) -> Portal:
    """The principal programme administrator of the first company."""
    return installation.portal(PA)


@pytest.fixture
def stranger(installation: Installation) -> Portal:
    """The principal programme administrator of another company."""
    return Portal(installation.url, installation.user(PA, 1))


def test_reads_outside_the_own_control_accounts_find_nothing(
    installation: Installation, pa: Portal, stranger: Portal
) -> None:
    """404, and in the same words as for what does not exist."""
    account = installation.new_account()
    number = pa.outcome(pa.send(f"/accounts/{account}/suspend"))["tracking_number"]
    control_account = pa.get(f"/accounts/{account}")["control_account"]

    for path in (
        f"/accounts/{account}",
        f"/accounts/{account}/history",
        f"/control-accounts/{control_account}",
        f"/tracking/{number}",
        f"/tracking/{number}/events",
    ):
        answer = stranger.http.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["code"] == "not_found"
    for path, criteria in (
        ("/tracking", {"account_id": account}),
        ("/accounts", {"control_account": control_account}),
    ):
        assert stranger.http.get(path, params=criteria).status_code == 404
    nowhere = stranger.http.get(f"/accounts/{account[:-4]}zzzz").json()
    outside = stranger.http.get(f"/accounts/{account}").json()
    assert (nowhere["title"], nowhere["detail"]) == (outside["title"], outside["detail"])


def test_lists_hold_only_what_lies_below_the_own_control_accounts(pa: Portal, stranger: Portal) -> None:
    """Structure, accounts and requests of two companies have nothing in common."""
    for path, name in (
        ("/control-accounts", "number"),
        ("/accounts", "account_id"),
        ("/tracking", "command_id"),
    ):
        mine = {row[name] for row in pa.get(path, limit=500)["data"]}
        theirs = {row[name] for row in stranger.get(path, limit=500)["data"]}
        assert not mine & theirs, path


def test_a_command_outside_the_own_control_accounts_is_never_published(
    installation: Installation, stranger: Portal
) -> None:
    """404, and tracking, which hears of every command, has not heard of it."""
    issuer = installation.portal(ISSUER)
    account = installation.new_account()
    before = issuer.get("/tracking/overview")["total"]

    answer = stranger.send(f"/accounts/{account}/cancel", {"reason": "fraud"})

    assert answer.status_code == 404
    marker = issuer.send(f"/accounts/{installation.new_account()}/suspend", wait=10)
    assert marker.status_code == 200
    assert issuer.get("/tracking/overview")["total"] == before + 1
    assert issuer.get("/tracking", account_id=account)["data"] == []
    assert issuer.get(f"/accounts/{account}")["status"] == "active"


def test_a_function_that_is_not_granted_is_refused(installation: Installation, pa: Portal) -> None:
    """403 with the function's name: only the issuer opens accounts."""
    control_account = pa.get("/control-accounts", level="basic")["data"][0]["number"]
    body = {
        "control_account": control_account,
        "product": "corporate_gold",
        "first_name": "A",
        "last_name": "B",
    }

    answer = pa.send("/accounts", body)

    assert answer.status_code == 403
    assert answer.json()["code"] == "function_not_granted"
    assert "accounts.open" in answer.json()["detail"]


@pytest.mark.parametrize("token", [None, "Bearer", "Bearer wrong", f"Bearer {'x' * 43}", "Basic dTpw"])
def test_nothing_is_answered_without_a_session(installation: Installation, token: str | None) -> None:
    """401, before anything else is said of the request."""
    headers = {"Authorization": token} if token else {}
    with httpx.Client(base_url=f"{installation.url}/api/v1", headers=headers, trust_env=False) as http:
        for method, path in (
            ("GET", "/me"),
            ("GET", "/accounts"),
            ("GET", "/tracking/overview"),
            ("POST", "/accounts/nonsense/cancel"),
            ("DELETE", "/sessions/current"),
        ):
            answer = http.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code == 401, path
            assert answer.json()["code"] == "not_signed_in"


def test_a_session_ends_at_once(installation: Installation) -> None:
    """Revoked means revoked for the very next request."""
    portal = Portal(installation.url, installation.user(PA))
    assert portal.get("/me")["user_id"] == portal.user_id

    assert portal.http.delete("/sessions/current").status_code == 204

    assert portal.http.get("/me").status_code == 401
    answer = portal.send(f"/accounts/{installation.new_account()}/cancel", {"reason": "fraud"})
    assert answer.status_code == 401


def test_unknown_user_and_wrong_password_look_the_same(installation: Installation) -> None:
    """IDN-03: no telling who exists."""
    known = installation.user(PA)["user_id"]
    bodies = []
    for user_id in (known, f"nobody-{uuid.uuid4().hex[:8]}"):
        credentials = {"user_id": user_id, "password": "certainly not this one"}
        answer = httpx.post(
            f"{installation.url}/api/v1/sessions", json=credentials, trust_env=False, timeout=30
        )
        assert answer.status_code == 401
        bodies.append({k: v for k, v in answer.json().items() if k != "request_id"})
    assert bodies[0] == bodies[1]


def test_a_service_accepts_nothing_without_an_assertion_made_for_it(
    distributed: DistributedInstallation,
) -> None:
    """Behind the gateway, too, nobody is believed unsigned."""
    account = distributed.new_account()
    for service, path in (
        ("accounts", f"/accounts/{account}"),
        ("tracking", "/tracking"),
        ("identity", "/sessions/x"),
    ):
        url = distributed.environment[f"CARDWORK_{service.upper()}_URL"]
        for headers in ({}, {"Authorization": "Bearer e30.e30.e30"}):
            method = "DELETE" if service == "identity" else "GET"
            answer = httpx.request(method, f"{url}{path}", headers=headers, trust_env=False)
            assert answer.status_code == 401, path
