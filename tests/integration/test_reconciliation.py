"""Coded by the client, exported for its books, locked, and fetched as it was, in both shapes (STM-06, Part 2 nos. 15 and 17)."""

import csv
import io
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal
from tests.integration.test_statements import done, eur

PRINCIPAL = "principal_programme_administrator"
ADMINISTRATOR = "programme_administrator"
COMPANY = 2  # the third one: nobody else's tests should wait for approval
EXPORT = "statements.export-transactions"
PURCHASES = 3


@pytest.fixture
def administrator(installation: Installation) -> Portal:
    """The principal of a company."""
    return Portal(installation.url, installation.user(PRINCIPAL, COMPANY))


def test_what_is_coded_is_exported_once_and_locked(installation: Installation, administrator: Portal) -> None:
    account = active_account(administrator)
    bought = spend(installation.portal("issuer_operator"), account["account_id"])
    coding = {"transaction_ids": bought[:2], "cost_centre": "CC-9", "ledger_code": "6640", "note": "=Fair"}
    assert done(administrator.send("/transactions/code", coding, wait=10)) == {"transactions": 2}
    rows = transactions(administrator, account, coded="true")
    assert {rows[id_]["ledger_code"] for id_ in bought[:2]} == {"6640"}
    history = administrator.get(f"/transactions/{bought[0]}/history")["data"]
    assert {line["field"] for line in history} == {"cost_centre", "ledger_code", "note"}
    assert all(line["tracking_number"] for line in history)

    export_id = export(administrator, account)

    made = administrator.get(f"/exports/{export_id}")
    file = fetch(administrator, export_id)
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert len(file.content) == made["bytes"] == int(file.headers["Content-Length"])
    lines = {row["transaction_id"]: row for row in csv.DictReader(io.StringIO(file.text, newline=""))}
    assert len(lines) == made["transactions"] == sum(total["transactions"] for total in made["totals"])
    assert [lines[id_]["ledger_code"] for id_ in bought] == ["6640", "6640", ""]
    assert lines[bought[0]]["note"] == "'=Fair", "a spreadsheet would run it"
    assert {transactions(administrator, account)[id_]["export_id"] for id_ in bought} == {export_id}
    again = administrator.send("/exports", wanted(account), wait=10)
    assert (again.status_code, again.json()["code"]) == (422, "nothing_to_export")
    locked = administrator.send("/transactions/code", coding, wait=10)
    assert (locked.status_code, locked.json()["code"]) == (422, "transaction_exported")
    assert export_id in locked.text

    cancelled = administrator.send(f"/exports/{export_id}/cancel", {"comment": "Wrong period."}, wait=10)
    assert cancelled.status_code == 200, cancelled.text
    assert done(administrator.send("/transactions/code", {**coding, "note": "x"}, wait=10))
    assert fetch(administrator, export_id).content == file.content
    later = export(administrator, account, layout="journal")
    assert b";6640;" in fetch(administrator, later).content


def test_nobody_fetches_another_companys_export(installation: Installation, administrator: Portal) -> None:
    account = active_account(administrator)
    spend(installation.portal("issuer_operator"), account["account_id"], "again")
    export_id = export(administrator, account)
    other = Portal(installation.url, installation.user(PRINCIPAL, 1))
    assert other.http.get(f"/exports/{export_id}/file").status_code == 404
    assert other.http.get(f"/exports/{export_id}").status_code == 404
    assert export_id not in [one["export_id"] for one in other.get("/exports")["data"]]
    assert export_id in [one["export_id"] for one in administrator.get("/exports")["data"]]
    assert other.send(f"/exports/{export_id}/cancel", {"comment": "?"}).status_code == 404


def test_a_second_person_approves_an_export_where_the_company_wants_that(
    installation: Installation, administrator: Portal
) -> None:
    """Part 2 no. 6: maker and checker, switched on per command."""
    account = active_account(administrator)
    spend(installation.portal("issuer_operator"), account["account_id"], "approved")
    company = administrator.get("/me")["company"]
    asker = Portal(installation.url, installation.user(ADMINISTRATOR, COMPANY))
    done_or_none(administrator.send(f"/companies/{company}/settings", {"approvals": [EXPORT]}, wait=10))
    try:
        answer = asker.send("/exports", wanted(account))
        assert answer.status_code == 202, answer.text
        asked = answer.json()
        waiting = partial(awaiting_approval, asker, asked["command_id"])
        number = eventually(waiting, describe="the export waits for approval")
        assert account_exports(asker, asked["command_id"]) == []
        done_or_none(administrator.send(f"/tracking/{number}/approve", wait=10))
        assert asker.settled(asked["command_id"])["status"] == "completed"
        (made,) = account_exports(asker, asked["command_id"])
        assert made["state"] == "ready"
    finally:
        done_or_none(administrator.send(f"/companies/{company}/settings", {"approvals": []}, wait=10))


def awaiting_approval(portal: Portal, command_id: str) -> Any:
    """Return the tracking number of a request that waits for approval; None while it does not."""
    request = portal.get(f"/tracking/{command_id}")
    return request["tracking_number"] if request["status"] == "awaiting_approval" else None


def active_account(portal: Portal) -> Any:
    """Return an active card account below the control account of the company's other administrator."""
    return portal.get("/accounts", status="active", limit=1)["data"][0]


def spend(issuer: Portal, account: str, run: str = "first") -> list[str]:
    """Post some purchases of today, and return their ids."""
    today = datetime.now(UTC).date().isoformat()
    eventually(
        lambda: issuer.http.get(f"/accounts/{account}/summary").status_code == 200,
        describe="statements knows the account",
    )
    bought = [
        {
            "account_id": account, "kind": "purchase", "amount": eur(10_00 + place), "transacted_on": today,
            "source_key": f"{run} {place} of {account}", "merchant": "Grand Hôtel",
        }
        for place in range(PURCHASES)
    ]  # fmt: skip
    posted = done(issuer.send("/transactions", {"transactions": bought}, wait=10))
    return [item["transaction_id"] for item in posted["items"]]


def transactions(portal: Portal, account: Any, **criteria: Any) -> dict[str, Any]:
    found = portal.get("/transactions", control_account=account["control_account"], limit=500, **criteria)[
        "data"
    ]
    return {row["transaction_id"]: row for row in found}


def wanted(account: Any, layout: str = "csv") -> dict[str, Any]:
    today = datetime.now(UTC).date().isoformat()
    period = {"posted_from": today, "posted_to": today}
    return {"control_account": account["control_account"], "layout": layout, **period}


def export(portal: Portal, account: Any, layout: str = "csv") -> str:
    """Have an export made of today, and return its id."""
    settled = portal.settled(portal.send("/exports", wanted(account, layout)).json()["command_id"])
    assert settled["status"] == "completed", settled
    return str(settled["result"]["export_id"])


def fetch(portal: Portal, export_id: str) -> httpx.Response:
    return portal.http.get(f"/exports/{export_id}/file").raise_for_status()


def account_exports(portal: Portal, command_id: str) -> list[Any]:
    return [one for one in portal.get("/exports")["data"] if one["command_id"] == command_id]


def done_or_none(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
