"""What cannot be read or handled is set aside, counted and shown, and comes back when an operator says so."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import sqlalchemy as sa

from shared.contracts import names
from shared.database import Database
from shared.ids import new_message_id
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation
from shared.testing.processes import cardwork
from tests.integration.faults.evidence import Verdict, dead_letters, tracked
from tests.integration.faults.figures import figure
from tests.integration.faults.load import PA, Load
from tests.integration.faults.publishing import put

_QUEUE = {service: names.commands_queue(service) for service in ("accounts", "tracking")}
_DEAD = {service: names.dead_queue(queue) for service, queue in _QUEUE.items()}
_SECRET = "374245455400126"
_NOBODY = f"acc_{'0' * 26}"
_CANCEL = "io.cardwork.accounts.cancel-account.v1"


def _event(**attributes: object) -> bytes:
    id_ = new_message_id()
    given: dict[str, object] = {
        "specversion": "1.0",
        "id": id_,
        "source": "/gateway",
        "type": _CANCEL,
        "time": "2025-01-01T00:00:00Z",
        "correlationid": id_,
        "data": {},
    }
    return orjson.dumps({name: value for name, value in (given | attributes).items() if value is not None})


def _shown(**payload: str) -> str:
    return orjson.dumps(payload).decode()


# What each dead letter must be explained by, and its bytes. Of the last, only the owner of the command is the judge.
_UNREADABLE = {
    "not JSON": b"\xff\xfe not ours",
    "unexpected character": b"\x00\x01\x02",
    "not a CloudEvents": b'{"hello": "world"}',
    "'correlationid' is missing": _event(correlationid=None),
    "is not a type of Cardwork's": _event(type="com.example.something"),
    "no-such-thing": _event(type="io.cardwork.accounts.no-such-thing.v1"),
    "has no time zone": _event(time="2025-01-01T00:00:00", data={"card_number": _SECRET}),
    "reason": _event(data={"account_id": _NOBODY, "card_number": _SECRET}),
}


def test_what_nobody_can_read_is_kept_counted_and_shown(either: Installation) -> None:
    verdict, before = Verdict(either), dead_letters(either)
    counted = {service: count_of(either, service) for service in ("accounts", "tracking")}
    with Load(either, accounts=6, clients=2) as load:
        load.wait_for(10)
        ids = {service: put(either, queue, list(_UNREADABLE.values())) for service, queue in _QUEUE.items()}
        died = {_DEAD["accounts"]: len(_UNREADABLE), _DEAD["tracking"]: len(_UNREADABLE) - 1}
        eventually(
            lambda: all(dead_letters(either)[queue] == before[queue] + n for queue, n in died.items()),
            describe="all are dead letters",
        )
        load.wait_for(10)
    # What can be told to be a command is known to have failed. What no contract describes is not kept in clear.
    verdict.find_nothing_lost_or_doubled(load, dead=died, others=1)
    for service, before_that in counted.items():
        assert count_of(either, service) == before_that + died[_DEAD[service]]
    (failed,) = tracked(either, [orjson.loads(_UNREADABLE["reason"])["id"]]).values()
    assert (failed.status, failed.payload) == ("failed", _shown(account_id=_NOBODY, card_number="••••"))
    check_what_is_shown(either, ids["accounts"])
    check_that_none_is_lost_on_the_way_back(either)
    cardwork("dead", "drop", "--yes", "--all", _QUEUE["tracking"], environment=either.environment)
    assert not any(dead_letters(either)[queue] for queue in died)


def count_of(installation: Installation, service: str) -> float:
    worker = f"{service}-worker" if isinstance(installation, DistributedInstallation) else "run"
    return figure(installation, worker, "cardwork_dead_letters_total", queue=_QUEUE[service])


def check_what_is_shown(installation: Installation, ids: list[str]) -> None:
    """Each with its reason, and nothing of what it holds but what a contract knows and does not hide."""
    listed = cardwork("dead", "list", _QUEUE["accounts"], environment=installation.environment)
    for id_, why in zip(ids, _UNREADABLE, strict=True):
        line = next(line for line in listed.splitlines() if line.startswith(id_))
        assert why in line
    shown = cardwork("dead", "show", _QUEUE["accounts"], ids[-1], environment=installation.environment)
    letter, (why, body) = json.loads(shown), list(_UNREADABLE.items())[-1]
    assert (letter["id"], letter["bytes"]) == (ids[-1], len(body))
    assert why in letter["why"]
    for told in (listed, shown, *(process.said() for process in installation.processes.values())):
        assert _SECRET not in told


def check_that_none_is_lost_on_the_way_back(installation: Installation) -> None:
    """Sent back they are no better, and die again."""
    counted, lying = count_of(installation, "accounts"), dead_letters(installation)[_DEAD["accounts"]]
    said = cardwork("dead", "requeue", "--all", _QUEUE["accounts"], environment=installation.environment)
    assert said.strip() == f"sent back: {lying}"
    eventually(
        lambda: (
            count_of(installation, "accounts") >= counted + lying
            and dead_letters(installation)[_DEAD["accounts"]] == lying
        ),
        describe="they have died again",
    )
    said = cardwork(
        "dead", "drop", "--yes", "--all", _QUEUE["accounts"], environment=installation.environment
    )
    assert said.strip() == f"dropped: {lying}"


@contextmanager
def holds_out_of_place(installation: Installation) -> Iterator[None]:
    """Take away the table that suspensions are written to: a defect that no retry mends."""
    database = Database(installation.database_url_of("accounts"))
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
        moves = [(entry["old"], entry["new"]) for entry in changes if entry["field"] == "status"]
        assert moves == [("active", "suspended")]
        assert len(changes) == 2, "the hold, and what it did"
    eventually(lambda: dead_letters(either) == before)
