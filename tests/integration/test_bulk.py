"""Many accounts by one request, by a file and from the screen, as an administrator does it (ACC-11, Part 2 no. 8)."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.testing.installation import Installation, Portal

PRINCIPAL = "principal_programme_administrator"
ALTERNATE = "alternate_programme_administrator"
COMPANY = 1


@pytest.fixture
def pa(installation: Installation) -> Portal:
    """The principal programme administrator of the first company."""
    return installation.portal(PRINCIPAL)


def upload(portal: Portal, kind: str, text: str, **criteria: str) -> httpx.Response:
    """Upload a CSV file."""
    return portal.http.post(
        f"/bulk/{kind}", content=text.encode(), headers={"Content-Type": "text/csv"}, params=criteria
    )


def test_a_file_from_upload_to_result(installation: Installation, pa: Portal) -> None:
    """Findings, one command with one number, progress, a result for each row; nobody else's account is touched."""
    some = [installation.new_account() for _ in range(3)]
    rows = [*some, some[0], "acc_" + "0" * 26]
    text = "account_id,reason\n" + "".join(f"{account},employment_ended\n" for account in rows)

    answer = upload(pa, "cancellations", text)

    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert (file["state"], file["rows"], file["waiting"], file["refused"]) == ("checked", 5, 3, 2)
    findings = pa.get(f"/bulk/{file['bulk_id']}/items", outcome="refused")["data"]
    assert [(row["row"], row["code"]) for row in findings] == [(5, "duplicate_row"), (6, "not_found")]
    assert {pa.get(f"/accounts/{account}")["status"] for account in some} == {"active"}

    submit = file["links"]["submit"].removeprefix("/api/v1")
    refused = pa.send(submit, wait=10)
    assert (refused.status_code, refused.json()["code"]) == (422, "has_findings")
    request = pa.outcome(pa.send(submit, {"skip_findings": True}))

    assert request["status"] == "completed"
    assert (request["result"]["carried_out"], request["result"]["refused"]) == (3, 2)
    assert request["result"]["items"] == file["links"]["items"]
    assert request["control_account"], "colleagues find it by where it lies"
    assert [step["status"] for step in request["timeline"]] == ["received", "processing", "completed"]
    (listed,) = pa.get("/bulk", command_id=request["command_id"])["data"]
    assert (listed["state"], listed["carried_out"]) == ("finished", 3)
    result = pa.http.get(f"/bulk/{file['bulk_id']}/result").raise_for_status()
    assert [row["outcome"] for row in csv.DictReader(io.StringIO(result.text))] == [
        *["carried_out"] * 3,
        *["refused"] * 2,
    ]
    assert {pa.get(f"/accounts/{account}")["status"] for account in some} == {"cancelled"}
    changes = pa.get(f"/accounts/{some[0]}/history")["data"]
    assert {change["tracking_number"] for change in changes if change["new"] == "cancelled"} == {
        request["tracking_number"]
    }
    assert some[0] not in {row["account_id"] for row in pa.get("/tracking", work_of=pa.user_id)["data"]}


def test_a_list_from_the_screen_is_cancelled_at_once(installation: Installation, pa: Portal) -> None:
    """ACC-11: up to twenty, one number, a result for each."""
    some = [installation.new_account() for _ in range(3)]
    pa.send(f"/accounts/{some[0]}/cancel", {"reason": "fraud"}, wait=10)

    done = pa.send("/accounts/bulk/cancel", {"account_ids": some, "reason": "dormant"}, wait=10)

    assert done.status_code == 200, done.text
    result = done.json()["result"]
    assert [item["code"] for item in result["items"]] == ["account_cancelled", None, None]
    detail = pa.get(f"/tracking/{done.json()['tracking_number']}")
    assert detail["result"] == result
    assert detail["control_account"]


def test_accounting_fields_of_a_list(installation: Installation, pa: Portal) -> None:
    """ACC-17: one value for all, and for some their own."""
    first, second = installation.new_account(), installation.new_account()
    body = {
        "account_ids": [first, second],
        "cost_centre": "CC-1",
        "each": [{"account_id": second, "cost_centre": "CC-2", "employee_id": "E2"}],
    }
    done = pa.send("/accounts/bulk/accounting", body, wait=10)
    assert done.status_code == 200, done.text
    assert done.json()["result"]["carried_out"] == 2
    assert [pa.get(f"/accounts/{one}")["cost_centre"] for one in (first, second)] == ["CC-1", "CC-2"]


def test_a_file_may_be_larger_than_any_other_body(pa: Portal) -> None:
    text = "account_id,reason\n" + "".join(f"acc_{number:026d},fraud\n" for number in range(3_000))
    assert len(text) > 64 * 1024
    file = upload(pa, "cancellations", text).json()
    assert (file["rows"], file["refused"]) == (3_000, 3_000)
    result = pa.http.get(f"/bulk/{file['bulk_id']}/result").raise_for_status().text
    assert len(result.splitlines()) == 3_001, "every page of it"
    refused = pa.send(file["links"]["submit"].removeprefix("/api/v1"), {"skip_findings": True}, wait=10)
    assert refused.json()["code"] == "nothing_to_do"


@pytest.mark.parametrize("ids", [[], ["acc_" + "0" * 26] * 21])
def test_a_list_from_the_screen_has_one_to_twenty_accounts(pa: Portal, ids: list[str]) -> None:
    answer = pa.send("/accounts/bulk/cancel", {"account_ids": ids, "reason": "dormant"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


def test_files_that_are_not_taken(installation: Installation, pa: Portal) -> None:
    """Each refusal has a code of its own and says what to do."""
    assert upload(pa, "openings", "x").json()["code"] == "function_not_granted"
    assert upload(pa, "holidays", "x").json()["code"] == "not_found"
    assert upload(pa, "cancellations", "account_id,reason\n").json()["code"] == "no_rows"
    large = upload(pa, "cancellations", "x" * (21 * 1024 * 1024))
    assert (large.status_code, large.json()["code"]) == (413, "file_too_large")

    def pieces() -> Any:
        yield b"account_id,reason\n"

    unmeasured = pa.http.post("/bulk/cancellations", content=pieces(), headers={"Content-Type": "text/csv"})
    assert unmeasured.status_code in (411, 422), "a server in front may have measured it"


def test_an_alternate_uploads_and_submits_for_the_principal(installation: Installation) -> None:
    """IDN-07: what a delegation lends reaches a file too, and no further."""
    lender = Portal(installation.url, installation.user(PRINCIPAL, COMPANY))
    borrower = Portal(installation.url, installation.user(ALTERNATE, COMPANY))
    account = lender.get("/accounts", status="active", limit=1)["data"][0]["account_id"]
    text = f"account_id,reason\n{account},dormant\n"
    assert upload(borrower, "cancellations", text).status_code == 403
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    lent = {"borrower": borrower.user_id, "functions": ["accounts.cancel"], "ends_at": ends_at}
    delegation = lender.send("/delegations", lent, wait=10).json()["result"]["delegation"]

    file = upload(borrower, "cancellations", text, on_behalf_of=lender.user_id).json()
    submit = file["links"]["submit"].removeprefix("/api/v1")
    request = borrower.outcome(borrower.send(submit, {"on_behalf_of": lender.user_id}))

    lender.send(f"/delegations/{delegation}/revoke", wait=10)
    assert (request["status"], request["actor"], request["on_behalf_of"]) == (
        "completed",
        borrower.user_id,
        lender.user_id,
    )
    assert lender.get(f"/accounts/{account}")["status"] == "cancelled"
