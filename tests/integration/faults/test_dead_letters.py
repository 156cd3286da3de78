"""What cannot be read or handled is set aside, counted and shown, and comes back when an operator says so."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest
import sqlalchemy as sa

from shared.contracts import names
from shared.database import Database, sqlite_url
from shared.ids import new_message_id
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation
from shared.testing.processes import cardwork
from tests.integration.faults.evidence import Verdict, dead_letters, tracked
from tests.integration.faults.figures import figure
from tests.integration.faults.load import PA, Load
from tests.integration.faults.publishing import put

_SECRET = "374245455400126"
_CANCEL = "io.cardwork.accounts.cancel-account.v1"


def _event(**attributes: object) -> bytes:
    given: dict[str, object] = {
        "specversion": "1.0",
        "id": new_message_id(),
        "source": "/gateway",
        "type": _CANCEL,
        "time": "2025-01-01T00:00:00Z",
        "correlationid": new_message_id(),
        "data": {},
    }
    return orjson.dumps({name: value for name, value in (given | attributes).items() if value is not None})


# What each dead letter must be explained by, and its bytes.
_UNREADABLE = {
    "not JSON": b"\xff\xfe not ours",
    "unexpected character": b"\x00\x01\x02",
    "not a CloudEvents": b'{"hello": "world"}',
    "'correlationid' is missing": _event(correlationid=None),
    "is not a type of Cardwork's": _event(type="com.example.something"),
    "no-such-thing": _event(type="io.cardwork.accounts.no-such-thing.v1"),
    "has no time zone": _event(time="2025-01-01T00:00:00", data={"card_number": _SECRET}),
    "reason": _event(data={"account_id": f"acc_{'0' * 26}", "card_number": _SECRET}),
}


def worker_of(installation: Installation, service: str) -> str:
    return f"{service}-worker" if isinstance(installation, DistributedInstallation) else "run"


@pytest.mark.parametrize("service", ["accounts", "tracking"])
def test_what_nobody_can_read_is_kept_counted_and_shown(either: Installation, service: str) -> None:
    verdict, before = Verdict(either), dead_letters(either)
    queue, worker = names.commands_queue(service), worker_of(either, service)
    dead = names.dead_queue(queue)
    # Tracking stores what any command holds, so that only the owner judges its fields.
    unreadable = {why: body for why, body in _UNREADABLE.items() if (service, why) != ("tracking", "reason")}
    counted = figure(either, worker, "cardwork_dead_letters_total", queue=queue)
    with Load(either, accounts=6, clients=2) as load:
        load.wait_for(10)
        ids = put(either, queue, list(unreadable.values()))
        eventually(
            lambda: dead_letters(either)[dead] == before[dead] + len(ids), describe="all are dead letters"
        )
        load.wait_for(10)
    # What can be told to be a command is known to have failed.
    failed = int("reason" in unreadable)
    verdict.find_nothing_lost_or_doubled(load, dead={dead: len(ids)}, others=failed)
    assert figure(either, worker, "cardwork_dead_letters_total", queue=queue) == counted + len(ids)

    listed = cardwork("dead", "list", queue, environment=either.environment)
    for id_, why in zip(ids, unreadable, strict=True):
        line = next(line for line in listed.splitlines() if line.startswith(id_))
        assert why in line
    shown = cardwork("dead", "show", queue, ids[-1], environment=either.environment)
    letter, (why, body) = json.loads(shown), list(unreadable.items())[-1]
    assert (letter["id"], letter["bytes"]) == (ids[-1], len(body))
    assert why in letter["why"]
    for told in (listed, shown, either.processes[worker].said()):
        assert _SECRET not in told
    assert f"{before[dead] + len(ids)}  {dead}" in cardwork("dead", "list", environment=either.environment)

    # Sent back they are no better: they die again, and none is lost on the way.
    said = cardwork("dead", "requeue", "--all", queue, environment=either.environment)
    again = before[dead] + len(ids)
    assert said.strip() == f"sent back: {again}"
    eventually(
        lambda: (
            figure(either, worker, "cardwork_dead_letters_total", queue=queue) >= counted + len(ids) + again
            and dead_letters(either)[dead] == again
        ),
        describe="they have died again",
    )
    cardwork("dead", "drop", "--yes", "--all", queue, environment=either.environment)
    assert not dead_letters(either)[dead]


@contextmanager
def holds_out_of_place(installation: Installation) -> Iterator[None]:
    """Take away the table that suspensions are written to: a defect that no retry mends."""
    if isinstance(installation, DistributedInstallation):
        url = installation.database_url.format(service="accounts")
    else:
        url = sqlite_url(installation.folder / "data" / "accounts.sqlite")
    database = Database(url)
    try:
        _rename(database, "hold", "hold_elsewhere")
        try:
            yield
        finally:
            _rename(database, "hold_elsewhere", "hold")
    finally:
        database.close()


def _rename(database: Database, old: str, new: str) -> None:
    with database.write() as session:
        session.execute(sa.text(f"alter table {old} rename to {new}"))


def test_what_a_defect_struck_fails_and_completes_when_it_is_sent_back(either: Installation) -> None:
    before, portal, queue = dead_letters(either), either.portal(PA), names.commands_queue("accounts")
    accounts = [either.new_account() for _ in range(5)]
    with holds_out_of_place(either):
        answers = {
            account: portal.send(f"/accounts/{account}/suspend", key=secrets.token_hex(16))
            for account in accounts
        }
        ids = [answer.json()["command_id"] for answer in answers.values()]
        for id_ in ids:
            request = portal.settled(id_)
            assert (request["status"], request["code"]) == ("failed", "internal_error")
        eventually(
            lambda: dead_letters(either)[names.dead_queue(queue)] == before[names.dead_queue(queue)] + 5
        )
    assert {portal.get(f"/accounts/{account}")["status"] for account in accounts} == {"active"}

    said = cardwork("dead", "requeue", "--all", queue, environment=either.environment)

    assert said.strip() == f"sent back: {5 + before[names.dead_queue(queue)]}"
    eventually(lambda: {one.status for one in tracked(either, ids).values()} == {"completed"}, timeout=30)
    assert {one.steps for one in tracked(either, ids).values()} == {("received", "failed", "completed")}
    for account in accounts:
        changes = portal.get(f"/accounts/{account}/history")["data"]
        assert [(entry["old"], entry["new"]) for entry in changes] == [("active", "suspended")]
    eventually(lambda: dead_letters(either) == before)
