"""Whoever goes through a file is killed in the middle of it, again and again: every row is done, and none twice."""

import random
from collections import Counter

from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation

PA = "principal_programme_administrator"
ROWS = 40


def test_killed_in_the_middle_of_a_file(either: Installation) -> None:
    portal = either.portal(PA)
    some = [either.new_account() for _ in range(ROWS)]
    text = "account_id,reason\n" + "".join(f"{account},not_needed\n" for account in some)
    headers = {"Content-Type": "text/csv"}
    file = portal.http.post("/bulk/cancellations", content=text.encode(), headers=headers).json()
    assert file["waiting"] == ROWS, file
    request = portal.send(file["links"]["submit"].removeprefix("/api/v1")).json()
    worker = either.processes["accounts-worker" if isinstance(either, DistributedInstallation) else "run"]

    kills = 0
    while (done := progress(either, file["bulk_id"])) < ROWS:
        reached = min(ROWS, done + random.randrange(4, 15))
        eventually(lambda: progress(either, file["bulk_id"]) >= reached, timeout=60)  # noqa: B023
        worker.kill()
        kills += 1
        worker.start()
        either.wait_until_ready()

    assert kills > 1
    settled = portal.settled(request["command_id"])
    assert (settled["status"], settled["result"]["carried_out"]) == ("completed", ROWS)
    for account in some:
        changes = portal.get(f"/accounts/{account}/history")["data"]
        assert Counter(change["field"] for change in changes)["status"] == 1, account
        assert {change["command_id"] for change in changes} == {request["command_id"]}


def progress(either: Installation, bulk_id: str) -> int:
    """Return how many rows have been carried out."""
    done: int = either.portal(PA).get(f"/bulk/{bulk_id}")["carried_out"]
    return done
