"""Whoever goes through a file is killed in the middle of it, again and again: every row is done, and none twice."""

import random
import secrets
from collections import Counter

from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation, Portal

ISSUER = "issuer_operator"
ROWS = 200  # more than are done before anybody can look


def test_killed_in_the_middle_of_a_file(either: Installation) -> None:
    """Accounts are opened by it: one that was opened twice would be there twice."""
    issuer, name = either.portal(ISSUER), f"Killed{secrets.token_hex(4)}"
    basic = undemanding(issuer)
    rows = [f"{basic},corporate_green,Number {number},{name}" for number in range(ROWS)]
    text = "\n".join(["control_account,product,first_name,last_name", *rows])
    headers = {"Content-Type": "text/csv"}
    file = issuer.http.post("/bulk/openings", content=text.encode(), headers=headers).json()
    assert file["waiting"] == ROWS, file
    request = issuer.send(file["links"]["submit"].removeprefix("/api/v1")).json()
    worker = either.processes["accounts-worker" if isinstance(either, DistributedInstallation) else "run"]

    interrupted = 0
    while (done := begun(issuer, file["bulk_id"])) < ROWS:
        reached = min(ROWS, done + random.randrange(20, 100))
        eventually(lambda: begun(issuer, file["bulk_id"]) >= reached, timeout=60)  # noqa: B023
        worker.kill()
        worker.start()
        either.wait_until_ready()
        interrupted += begun(issuer, file["bulk_id"]) < ROWS

    assert interrupted, "nobody was killed in the middle"
    settled = issuer.settled(request["command_id"])
    result = settled["result"]
    assert (settled["status"], result["carried_out"] + result["accepted"]) == ("completed", ROWS)
    eventually(lambda: len(opened(issuer, name)) == ROWS, timeout=60, describe="every account is there")
    assert set(Counter(opened(issuer, name)).values()) == {1}


def undemanding(issuer: Portal) -> str:
    """Return a basic control account on which no other test has set anything."""
    for node in issuer.get("/control-accounts", level="basic", limit=500)["data"]:
        if not any(issuer.get(f"/control-accounts/{node['number']}")["set_at"].values()):
            return str(node["number"])
    raise AssertionError("other tests have set something on every control account")


def begun(issuer: Portal, bulk_id: str) -> int:
    """Return how many rows wait no more."""
    file = issuer.get(f"/bulk/{bulk_id}")
    return int(file["rows"]) - int(file["waiting"])


def opened(issuer: Portal, name: str) -> list[str]:
    """Return the first names of the holders of this last name."""
    page = issuer.get("/accounts", name=name, limit=500)
    return [row["first_name"] for row in page["data"]]
