"""Whoever posts a file of transactions is killed in the middle of it, again and again: every row is posted, and none twice."""

import secrets
from functools import partial
from typing import Any

from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation, Portal
from shared.testing.processes import cardwork
from tests.integration.test_structure import Firm

ROWS = 45_000  # some batches


def test_killed_in_the_middle_of_an_import(either: Installation) -> None:
    """P2-17: a row that was posted twice would be owed twice."""
    issuer = either.portal("issuer_operator")
    account = Firm(issuer).account()
    eventually(lambda: is_known(issuer, account), describe="statements knows the account")
    run = secrets.token_hex(4)
    rows = (f"{run}-{number},2026-02-01,0.01,EUR,{account}" for number in range(ROWS))
    text = "\n".join(["transaction_id,transacted_on,amount,currency,account_id", *rows])
    uploaded = issuer.http.post("/imports/csv", content=text.encode(), timeout=120)
    assert uploaded.status_code == 201, uploaded.text
    file = uploaded.json()
    asked = issuer.send(file["links"]["post"].removeprefix("/api/v1")).json()
    worker = either.processes["statements-worker" if isinstance(either, DistributedInstallation) else "run"]

    interrupted, done = 0, -1
    while done < ROWS:
        eventually(partial(got_on, issuer, file, done), timeout=120, describe="the file gets on")
        worker.kill()
        worker.start()
        either.wait_until_ready()
        done = look(issuer, file)["posted"]
        interrupted += done < ROWS

    assert interrupted, "nobody was killed in the middle"
    settled = issuer.settled(asked["command_id"])
    assert (settled["status"], settled["result"]["posted"], settled["result"]["seen"]) == (
        "completed",
        ROWS,
        0,
    )
    assert issuer.get(f"/accounts/{account}/summary")["current_balance"] == ROWS
    assert "The books balance." in cardwork("ledger", "check", environment=either.environment)


def is_known(issuer: Portal, account: str) -> bool:
    return issuer.http.get(f"/accounts/{account}/summary").status_code == 200


def got_on(issuer: Portal, file: dict[str, Any], before: int) -> bool:
    return bool(look(issuer, file)["posted"] > before)


def look(issuer: Portal, file: dict[str, Any]) -> Any:
    """Return how far a file has come."""
    return issuer.get(file["links"]["self"].removeprefix("/api/v1"))
