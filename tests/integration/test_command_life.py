"""The life of a command, from the portal API to its outcome, in both shapes."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from services.tracking.rules import read_tracking_number
from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal

PA = "principal_programme_administrator"


@pytest.fixture
def pa(installation: Installation) -> Portal:
    """The principal programme administrator of the first company."""
    return installation.portal(PA)


def test_a_cancellation_gets_a_tracking_number_at_once_and_is_carried_out(
    installation: Installation, pa: Portal
) -> None:
    """ACC-10, TRK-01, TRK-03."""
    account = installation.new_account()

    answer = pa.send(f"/accounts/{account}/cancel", {"reason": "employment_ended"})

    accepted = answer.json()
    assert answer.status_code == 202
    assert accepted["status"] == "received"
    assert read_tracking_number(accepted["tracking_number"])
    assert answer.headers["Location"] == f"/api/v1/tracking/{accepted['tracking_number']}"
    request = pa.outcome(answer)
    assert request["status"] == "completed"
    assert request["tracking_number"] == accepted["tracking_number"]
    assert [step["status"] for step in request["timeline"]] == ["received", "completed"]
    assert request["payload"] == {
        "account_id": account,
        "reason": "employment_ended",
        "effective_at": None,
        "comment": None,
    }
    assert request["actor"] == pa.user_id
    assert pa.get(f"/accounts/{account}")["status"] == "cancelled"


def test_the_history_tells_old_and_new_who_and_by_which_request(
    installation: Installation, pa: Portal
) -> None:
    """ACC-18, Part 2 no. 9."""
    account = installation.new_account()

    number = pa.outcome(pa.send(f"/accounts/{account}/cancel", {"reason": "death"}))["tracking_number"]

    changes = pa.get(f"/accounts/{account}/history")["data"]
    mine = {change["field"]: change for change in changes if change["tracking_number"] == number}
    assert set(mine) == {"status", "cancel_reason", "cancelled_at"}
    assert (mine["status"]["old"], mine["status"]["new"]) == ("active", "cancelled")
    assert mine["cancel_reason"]["new"] == "death"
    assert {change["actor"] for change in mine.values()} == {pa.user_id}
    assert {change["command"] for change in mine.values()} == {"accounts.cancel-account"}


def test_prefer_wait_answers_with_the_outcome(installation: Installation, pa: Portal) -> None:
    """API, *Commands*."""
    account = installation.new_account()

    answer = pa.send(f"/accounts/{account}/cancel", {"reason": "not_needed"}, wait=10)

    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"
    assert pa.get(f"/tracking/{answer.json()['tracking_number']}")["status"] == "completed"


def test_what_the_domain_refuses_is_tracked_with_a_stable_code(
    installation: Installation, pa: Portal
) -> None:
    """Part 2 no. 2: cancelling a cancelled card."""
    account = installation.new_account()
    pa.send(f"/accounts/{account}/cancel", {"reason": "not_needed"}, wait=10)

    answer = pa.send(f"/accounts/{account}/cancel", {"reason": "fraud"}, wait=10)

    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["code"] == "account_cancelled"
    assert problem["errors"][0]["pointer"] == "/account_id"
    request = pa.get(f"/tracking/{problem['tracking_number']}")
    assert (request["status"], request["code"]) == ("rejected", "account_cancelled")
    assert pa.get(f"/accounts/{account}")["cancel_reason"] == "not_needed"


def test_another_reason_needs_words(installation: Installation, pa: Portal) -> None:
    """ACC-10."""
    account = installation.new_account()

    answer = pa.send(f"/accounts/{account}/cancel", {"reason": "other"}, wait=10)

    assert answer.json()["code"] == "comment_required"
    assert pa.get(f"/accounts/{account}")["status"] == "active"


def test_a_repeated_command_gets_the_same_answer_and_happens_once(
    installation: Installation, pa: Portal
) -> None:
    """Part 2 no. 13."""
    account, key = installation.new_account(), str(uuid.uuid4())

    first = pa.send(f"/accounts/{account}/cancel", {"reason": "fraud"}, key=key)
    pa.outcome(first)
    again = pa.send(f"/accounts/{account}/cancel", {"reason": "fraud"}, key=key)

    assert again.status_code == 202
    assert again.json() == first.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    changes = pa.get(f"/accounts/{account}/history")["data"]
    assert [change["new"] for change in changes if change["field"] == "status"].count("cancelled") == 1


def test_a_key_with_another_body_is_refused_and_nothing_is_done(
    installation: Installation, pa: Portal
) -> None:
    """Part 2 no. 13: never the old answer."""
    account, other, key = installation.new_account(), installation.new_account(), str(uuid.uuid4())
    pa.outcome(pa.send(f"/accounts/{account}/cancel", {"reason": "fraud"}, key=key))

    for path, reason in ((account, "death"), (other, "fraud")):
        answer = pa.send(f"/accounts/{path}/cancel", {"reason": reason}, key=key)
        assert answer.status_code == 422
        assert answer.json()["code"] == "idempotency_key_reused"

    assert pa.get(f"/accounts/{other}")["status"] == "active"
    assert pa.get(f"/accounts/{account}")["cancel_reason"] == "fraud"


def test_a_key_is_made_where_none_was_sent(installation: Installation, pa: Portal) -> None:
    """API, *Commands*."""
    answer = pa.send(f"/accounts/{installation.new_account()}/suspend")

    again = pa.http.post(
        answer.request.url.path.removeprefix("/api/v1"),
        json={},
        headers={"Idempotency-Key": answer.headers["Idempotency-Key"]},
    )

    assert again.json() == answer.json()


def test_progress_is_told_live(installation: Installation, pa: Portal) -> None:
    """Server-sent events end with the settled state."""
    account = installation.new_account()
    accepted = pa.send(f"/accounts/{account}/cancel", {"reason": "dormant"}).json()

    with pa.http.stream("GET", accepted["links"]["events"].removeprefix("/api/v1")) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        states = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]

    assert states[-1]["status"] == "completed"
    assert states[-1]["tracking_number"] == accepted["tracking_number"]


def test_a_request_is_found_by_every_criterion(installation: Installation, pa: Portal) -> None:
    """TRK-02 in this slice: number, type, status, account, date."""
    account = installation.new_account()
    before = datetime.now(UTC) - timedelta(seconds=5)
    number = pa.outcome(pa.send(f"/accounts/{account}/cancel", {"reason": "fraud"}))["tracking_number"]
    control_account = pa.get(f"/accounts/{account}")["control_account"]
    fitting = {
        "tracking_number": number.lower().replace("-", " "),
        "type": "accounts.cancel-account",
        "status": "completed",
        "account_id": account,
        "control_account": control_account,
        "received_from": before.isoformat(),
        "received_before": (before + timedelta(minutes=5)).isoformat(),
    }

    assert [row["tracking_number"] for row in pa.get("/tracking", **fitting)["data"]] == [number]
    for name, value in (
        ("type", "accounts.suspend-account"),
        ("status", "rejected"),
        ("account_id", installation.new_account()),
        ("received_before", before.isoformat()),
    ):
        assert pa.get("/tracking", **{**fitting, name: value})["data"] == [], name


def test_a_mistyped_tracking_number_is_noticed(installation: Installation, pa: Portal) -> None:
    """One wrong and two swapped characters, by the check character."""
    number = pa.send(f"/accounts/{installation.new_account()}/suspend").json()["tracking_number"]
    wrong = ("1" if number[0] != "1" else "2") + number[1:]

    answer = pa.http.get("/tracking", params={"tracking_number": wrong})

    assert answer.status_code == 422
    assert answer.json()["code"] == "mistyped_tracking_number"
    assert pa.http.get(f"/tracking/{wrong}").status_code == 404


def test_the_overview_counts_sum_to_the_total(installation: Installation, pa: Portal) -> None:
    """TRK-04 and a lesson others paid for."""
    pa.outcome(pa.send(f"/accounts/{installation.new_account()}/cancel", {"reason": "fraud"}))

    overview = pa.get("/tracking/overview")

    assert overview["total"] == sum(status["count"] for status in overview["counts"]) > 0
    completed = next(s["count"] for s in overview["counts"] if s["status"] == "completed")
    found, cursor = 0, None
    while True:
        page = pa.get("/tracking", status="completed", limit=100, **({"cursor": cursor} if cursor else {}))
        found, cursor = found + len(page["data"]), page["next_cursor"]
        if not cursor:
            break
    assert found == completed


def test_the_profile_shows_the_latest_requests(installation: Installation, pa: Portal) -> None:
    """Aggregated by the gateway from accounts and tracking."""
    account = installation.new_account()
    number = pa.outcome(pa.send(f"/accounts/{account}/suspend"))["tracking_number"]

    profile = pa.get(f"/accounts/{account}")

    assert profile["last_requests"][0]["tracking_number"] == number


def test_every_log_line_of_a_command_bears_its_ids(installation: Installation, pa: Portal) -> None:
    """Request, command and tracking ids, to follow one command through every process."""
    answer = pa.send(f"/accounts/{installation.new_account()}/cancel", {"reason": "fraud"})
    request = pa.outcome(answer)

    def lines() -> list[dict[str, str]]:
        said = "\n".join(process.said() for process in installation.processes.values())
        logged = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        return [line for line in logged if line.get("command_id") == request["command_id"]]

    def events() -> bool:
        return {"answered", "tracked", "handled", "moved"} <= {line["event"] for line in lines()}

    eventually(events, describe="each process has written its line")
    answered = next(line for line in lines() if line["event"] == "answered")
    assert answered["request_id"] == answer.headers["X-Request-Id"]
    assert answered["tracking_number"] == request["tracking_number"]
