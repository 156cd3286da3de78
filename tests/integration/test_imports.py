"""A file of transactions from upload to the holder's account, as the issuer's operator does it in both shapes (Part 2 no. 17)."""

import csv
import io
from typing import Any

import httpx
import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal
from tests.integration.test_structure import Firm

HEAD = "transaction_id,transacted_on,amount,currency,merchant,account_id\n"


@pytest.fixture
def issuer(installation: Installation) -> Portal:
    """An operator of the issuer."""
    return installation.portal("issuer_operator")


def upload(issuer: Portal, text: str, **options: str) -> httpx.Response:
    return issuer.http.post("/imports/csv", content=text.encode(), params=options)


def summary(issuer: Portal, account: str) -> dict[str, Any] | None:
    answer = issuer.http.get(f"/accounts/{account}/summary")
    return answer.json() if answer.status_code == 200 else None


def test_a_file_from_upload_to_what_was_mended_and_matched(issuer: Portal) -> None:
    account = Firm(issuer).account()
    eventually(lambda: summary(issuer, account), describe="statements knows the account")
    text = (
        f"{HEAD}{account}-1,2026-02-01,12.50,EUR,Grand Hôtel,{account}\n"
        f"{account}-2,2026-02-30,-2.50,EUR,Grand Hôtel,{account}\n{account}-3,2026-02-01,7,EUR,Nobody's,\n"
    )
    uploaded = upload(issuer, text, file_name="march.csv")
    assert uploaded.status_code == 201, uploaded.text
    file = uploaded.json()
    assert (file["state"], file["file_name"], file["rows"], file["refused"]) == ("checked", "march.csv", 3, 1)
    post = file["links"]["post"].removeprefix("/api/v1")
    assert issuer.send(post, wait=10).json()["code"] == "has_refused_rows"

    request = issuer.outcome(issuer.send(post, {"skip_refused": True}))

    assert request["status"] == "completed"
    assert {name: request["result"][name] for name in ("posted", "suspended", "refused", "seen")} == {
        "posted": 2, "suspended": 1, "refused": 1, "seen": 0,
    }  # fmt: skip
    again = upload(issuer, text)
    assert (again.status_code, again.json()["code"]) == (422, "file_seen")

    refused = issuer.http.get(file["links"]["refused"].removeprefix("/api/v1")).raise_for_status()
    (row,) = csv.DictReader(io.StringIO(refused.text))
    assert (row["line"], row["amount"]) == ("3", "'-2.50")
    mended = issuer_file({**row, "transacted_on": "2026-02-28"})
    second = upload(issuer, mended, mended="1").json()
    issuer.outcome(issuer.send(second["links"]["post"].removeprefix("/api/v1")))

    waiting = [one for one in issuer.get("/suspense")["data"] if one["import_id"] == file["import_id"]]
    (matched,) = (one["transaction_id"] for one in waiting)
    done = issuer.outcome(issuer.send(f"/suspense/{matched}/match", {"account_id": account}))
    assert done["status"] == "completed"
    eventually(
        lambda: (summary(issuer, account) or {})["current_balance"] == 17_00,
        describe="all of it is on the account",
    )


def issuer_file(row: dict[str, str]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, row)
    writer.writeheader()
    writer.writerow(row)
    return out.getvalue()
