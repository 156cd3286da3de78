"""Whatever happens to a worker or to a row, each row is done once or not at all (Part 2 no. 8)."""

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from services.accounts.bulk import jobs
from services.accounts.bulk.item import carry_out
from services.accounts.service import service
from services.accounts.tests.bulk.files import PA, cancellations, finish, items, upload
from services.accounts.tests.programme import Programme
from shared.contracts.accounts import AccountStatus
from shared.contracts.bulk import SubmitCancellations
from shared.errors import Unavailable
from shared.messaging.bus import Processed
from shared.messaging.envelope import decode


class Killed(BaseException):
    """The end of a worker, in the middle of what it does."""


def go_round(programme: Programme) -> None:
    for _ in range(100):
        programme.tick()


@pytest.mark.parametrize("commits", range(1, 16, 3))
def test_whoever_is_killed_leaves_every_row_done_once_or_not_at_all(
    programme: Programme, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    """The worker dies just before its n-th commit; the next one goes on."""
    some = [programme.insert_account() for _ in range(5)]
    bulk_id = upload(programme, "cancellations", cancellations(*some))["bulk_id"]
    asked = programme.send(SubmitCancellations(bulk_id=bulk_id), PA)
    left = commits
    keep = programme.worker._keep

    def dying(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        keep(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(programme.worker, "_keep", dying)
        with pytest.raises(Killed):
            go_round(programme)
    finish(programme)

    found = programme.get(f"/bulk/{bulk_id}", PA)
    assert (found["state"], found["carried_out"]) == ("finished", 5)
    for account in some:
        assert len([change for change in programme.changes(account) if change.field == "status"]) == 1
    with programme.database.read() as session:
        outbox = service.metadata.tables["outbox"]
        sent = [decode(body) for body in session.scalars(sa.select(outbox.c.body))]
    own = Counter(envelope.key for envelope in sent if envelope.correlation_id == asked)
    assert own["accounts.account-cancelled.v1"] == 5
    assert own["outcomes.command-completed.v1"] == 1


def test_two_workers_do_no_row_twice(programme: Programme) -> None:
    """The second looks at the same rows, and finds them dealt with."""
    some = [programme.insert_account() for _ in range(5)]
    bulk_id = upload(programme, "cancellations", cancellations(*some))["bulk_id"]
    programme.send(SubmitCancellations(bulk_id=bulk_id), PA)
    finish(programme)
    before = [item["row"] for item in items(programme, bulk_id)]  # what the second saw before the first began

    def transact() -> Any:
        return programme.worker._by_the_clock(Processed())

    assert [jobs._deal_with(bulk_id, number, transact) for number in before] == [False] * 5


def test_a_row_that_is_kept_from_its_lock_comes_again_and_fails_in_the_end(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row that cannot be carried out stops no other; one that is lucky at the next try is done."""
    unlucky, late, other = (programme.insert_account() for _ in range(3))
    bulk_id = upload(programme, "cancellations", cancellations(unlucky, late, other))["bulk_id"]
    asked = programme.send(SubmitCancellations(bulk_id=bulk_id), PA)
    tries: Counter[str] = Counter()

    def sometimes(message: Any, *arguments: Any) -> Any:
        tries[message.account_id] += 1
        if message.account_id == unlucky or (message.account_id == late and tries[late] == 1):
            raise Unavailable("another transaction holds what this one needs")
        return carry_out(message, *arguments)

    monkeypatch.setattr("services.accounts.bulk.jobs.carry_out", sometimes)
    programme.tick()
    assert [item["outcome"] for item in items(programme, bulk_id)] == ["waiting", "waiting", "carried_out"]
    for _ in range(8):
        programme.tick()
    assert [(item["outcome"], item["code"]) for item in items(programme, bulk_id)] == [
        ("failed", "unavailable"),
        ("carried_out", None),
        ("carried_out", None),
    ]
    assert tries[unlucky] == 3
    assert programme.answers(asked)[-1][0] == "completed"


def test_a_defect_in_one_row_stops_no_other(programme: Programme, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = programme.insert_account(), programme.insert_account()
    bulk_id = upload(programme, "cancellations", cancellations(broken, other))["bulk_id"]
    programme.send(SubmitCancellations(bulk_id=bulk_id), PA)

    def defective(message: Any, *arguments: Any) -> Any:
        became = carry_out(message, *arguments)
        if message.account_id == broken:
            raise LookupError("after it was changed")
        return became

    monkeypatch.setattr("services.accounts.bulk.jobs.carry_out", defective)
    finish(programme)
    assert [item["outcome"] for item in items(programme, bulk_id)] == ["failed", "carried_out"]
    assert programme.status(broken) is AccountStatus.ACTIVE
    assert programme.changes(broken) == []
