"""Dead letters can be looked at without showing what is secret, sent back and dropped, and none gets lost on the way."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import kombu
import orjson
import pytest

from shared.contracts import names
from shared.contracts.accounts import CancelAccount, CancelReason, FindAccountsByCard
from shared.contracts.base import Message
from shared.messaging import dead_letters
from shared.messaging.bus import Processed, Publication, Unroutable
from shared.messaging.dead_letters import LocalDeadLetters, NoSuchLetter, RabbitDeadLetters
from shared.messaging.envelope import Envelope, encode
from shared.messaging.topology import topology_of
from shared.testing.eventually import eventually
from tests.integration.bus.conftest import Broker, OnFile, OnRabbitMQ
from tests.integration.bus.programme import ACCOUNTS, TRACKING, programme
from tests.integration.bus.recorder import Recorder, command, running

DEAD = "accounts.commands.dead"
SECRET = "signed-by-identity"


def envelope(message: Message, **more: Any) -> Envelope:
    known: dict[str, Any] = {
        "id": "m1",
        "key": message.contract.key,
        "source": "gateway",
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "data": message,
        "correlation_id": "m1",
        "actor": "ada",
        "assertion": SECRET,
        "attempt": 7,
    }
    return Envelope(**(known | more))


CANCEL = encode(envelope(CancelAccount(account_id="acc_" + "0" * 26, reason=CancelReason.OTHER)))


def letter(number: int, body: bytes = CANCEL, queue: str = DEAD, why: str = "Defect: no") -> Publication:
    headers = {"x-why": why, "x-queue": "accounts.commands", "x-died-at": "2026-01-02T00:00:00+00:00"}
    return Publication(exchange=names.QUEUES, key=queue, body=body, message_id=f"m{number}", headers=headers)


def test_dead_letters_are_counted_by_queue(broker: Broker) -> None:
    broker.publish(letter(1), letter(2), letter(3, queue="tracking.events.dead"))
    counts = broker.letters().counts()
    assert counts == {
        f"{s}.{kind}.dead": 0 for s in programme().consumers for kind in ("commands", "events")
    } | {
        DEAD: 2,
        "tracking.events.dead": 1,
    }


def test_a_dead_letter_says_what_died_why_and_when(broker: Broker) -> None:
    broker.publish(letter(1))
    for queue in (DEAD, "accounts.commands"):
        (found,) = broker.letters().lying_in(queue)
        assert (found.id, found.key, found.source) == (
            "m1",
            "accounts.cancel-account.v1",
            "accounts.commands",
        )
        assert found.describe() == {
            "queue": DEAD,
            "id": "m1",
            "why": "Defect: no",
            "died_at": "2026-01-02T00:00:00+00:00",
            "bytes": len(CANCEL),
            "message": "accounts.cancel-account.v1",
            "command_id": "m1",
            "time": "2026-01-01T00:00:00+00:00",
            "actor": "ada",
            "on_behalf_of": None,
            "channel": "system",
            "attempt": 7,
            "data": {
                "account_id": "acc_" + "0" * 26,
                "reason": "other",
                "effective_at": None,
                "comment": None,
            },
        }
        assert broker.letters().find(queue, "m1") == found
    assert broker.letters().counts()[DEAD] == 1


def test_nothing_secret_is_shown(broker: Broker) -> None:
    number = "4111111111111111"
    sensitive = encode(envelope(FindAccountsByCard(card_numbers=[number])))
    newer = orjson.loads(CANCEL)
    newer["data"]["pin_of_a_newer_version"] = "1234567"
    unknown = orjson.loads(CANCEL)
    unknown["type"] = "io.cardwork.accounts.from-the-future.v1"
    unknown["data"] = {"pin": "1234567"}
    quoted = (
        "IntegrityError: duplicate\nDETAIL: Key (number)=(1234567)\n[SQL: insert]\n[parameters: ('1234567')]"
    )
    broker.publish(
        letter(1, sensitive),
        letter(2, orjson.dumps(newer)),
        letter(3, orjson.dumps(unknown)),
        letter(4, b"not JSON, but 1234567"),
        letter(5, why=quoted),
    )
    found = broker.letters().lying_in(DEAD)
    shown = [f"{each!r}{each.describe()}" for each in found]
    assert len(shown) == 5
    for text in shown:
        assert SECRET not in text
        assert number not in text
        assert "1234567" not in text
    assert found[0].describe()["data"] == {"card_numbers": ["••••1111"]}
    assert found[2].describe()["data"] is None
    assert "message" not in found[3].describe()
    assert found[4].why == "IntegrityError: duplicate"


def test_a_letter_goes_back_to_where_it_died_with_all_its_tries(broker: Broker) -> None:
    broker.publish(letter(1), letter(2, b"\xff not ours"))
    handles = Recorder("accounts.commands")
    with running(broker.consumer(handles)):
        assert broker.letters().requeue(DEAD, "m1") == 1
        assert broker.letters().requeue(DEAD, "m2") == 1
        eventually(lambda: handles.ids == ["m1", "m2"])
    expected = orjson.loads(CANCEL)
    del expected["attempt"]
    assert orjson.loads(handles.bodies[0]) == expected
    assert handles.bodies[1] == b"\xff not ours"
    assert handles.batches[0][0].headers.get("x-why") is None
    assert broker.letters().counts()[DEAD] == 0
    assert broker.depth("tracking.commands") == 0, "nobody else gets it again"


def test_a_round_trip_through_a_consumer(broker: Broker) -> None:
    def bury(deliveries: Any) -> Processed:
        return Processed(
            [replace(letter(0, d.body), message_id=d.message_id, outbox_id=d.message_id) for d in deliveries]
        )

    broker.publish(*(replace(command(number), body=CANCEL) for number in range(3)))
    burying = Recorder("accounts.commands", process=bury)
    with running(broker.consumer(burying)):
        eventually(lambda: broker.letters().counts()[DEAD] == 3)
        eventually(lambda: len(burying.done) == 3)
    assert broker.letters().requeue(DEAD) == 3
    handles = Recorder("accounts.commands")
    with running(broker.consumer(handles)):
        eventually(lambda: handles.ids == ["c0", "c1", "c2"])


def test_one_letter_or_all_are_dropped(broker: Broker) -> None:
    broker.publish(*(letter(number) for number in (1, 2, 2, 3)))
    letters = broker.letters()
    assert letters.drop(DEAD, "m2") == 2
    assert [each.id for each in letters.lying_in(DEAD)] == ["m1", "m3"]
    assert letters.drop(DEAD) == 2
    assert letters.lying_in(DEAD) == []
    assert letters.requeue(DEAD) == 0
    assert broker.depth("accounts.commands") == 0


def test_what_is_not_there_is_named(broker: Broker) -> None:
    broker.publish(letter(1))
    letters = broker.letters()
    for act in (letters.find, letters.requeue, letters.drop):
        with pytest.raises(NoSuchLetter, match="holds no letter 'm9'"):
            act(DEAD, "m9")
        with pytest.raises(NoSuchLetter, match=r"there are: accounts\.commands\.dead"):
            act("nobody.commands", "m1")
    assert letters.counts()[DEAD] == 1


def test_looking_changes_neither_number_nor_order(broker: Broker) -> None:
    broker.publish(*(letter(number) for number in range(30)))
    letters = broker.letters()
    for _ in range(25):
        letters.lying_in(DEAD, 5)
        letters.find(DEAD, "m7")
    assert [each.id for each in letters.lying_in(DEAD)] == [f"m{number}" for number in range(30)]
    assert [each.id for each in letters.lying_in(DEAD, 2)] == ["m0", "m1"]


def test_a_letter_without_an_id_can_be_named_all_the_same(on_rabbitmq: OnRabbitMQ) -> None:
    with kombu.Connection(on_rabbitmq.address) as connection:
        kombu.Producer(connection).publish(b"anonymous", exchange=names.QUEUES, routing_key=DEAD)
    letters = on_rabbitmq.letters()
    (found,) = letters.lying_in(DEAD)
    assert len(found.id) == 32
    assert letters.drop(DEAD, found.id) == 1


def test_what_the_broker_gave_up_says_so(on_rabbitmq: OnRabbitMQ) -> None:
    on_rabbitmq.publish(command(1))
    with kombu.Connection(on_rabbitmq.address) as connection, connection.channel() as channel:
        message = eventually(lambda: channel.basic_get("accounts.commands"))
        channel.basic_reject(message.delivery_tag, requeue=False)
    (found,) = eventually(lambda: on_rabbitmq.letters().lying_in(DEAD))
    assert found.why == "given up by the broker: rejected"
    assert found.died_at
    assert on_rabbitmq.letters().requeue(DEAD, "c1") == 1
    assert on_rabbitmq.depth("accounts.commands") == 1


class Killed(BaseException):
    """What ends a tool in the middle."""


def kill(*_: Any, **__: Any) -> None:
    raise Killed


@pytest.mark.fault
@pytest.mark.parametrize("moment", ["before it is sent", "before it is taken out"])
def test_a_tool_that_dies_in_the_middle_loses_nothing(
    broker: Broker, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.publish(letter(1), letter(2))
    if isinstance(broker, OnFile):
        monkeypatch.setattr(broker.bus, "_commit", kill)
    elif moment == "before it is sent":
        monkeypatch.setattr(dead_letters, "_publish", kill)
    else:
        monkeypatch.setattr(kombu.Message, "ack", kill)
    with pytest.raises(Killed):
        broker.letters().requeue(DEAD)
    monkeypatch.undo()
    if isinstance(broker, OnFile):
        broker.bus._changes.clear()  # a killed process has no memory
    sent_twice = moment == "before it is taken out" and isinstance(broker, OnRabbitMQ)
    eventually(lambda: broker.letters().counts()[DEAD] == 2)
    assert broker.depth("accounts.commands") == (1 if sent_twice else 0)
    assert broker.letters().requeue(DEAD) == 2
    assert broker.depth("accounts.commands") == (3 if sent_twice else 2)


def test_a_letter_whose_queue_is_gone_stays(broker: Broker) -> None:
    broker.publish(letter(1))
    if isinstance(broker, OnRabbitMQ):
        with kombu.Connection(broker.address) as connection:
            connection.default_channel.queue_unbind("accounts.commands", names.QUEUES, "accounts.commands")
        letters: Any = RabbitDeadLetters(broker.address, programme())
    else:
        assert isinstance(broker, OnFile)
        routes = topology_of([ACCOUNTS, TRACKING])
        routes._routes[names.QUEUES, "accounts.commands"] = ()
        broker.bus._topology = routes
        letters = LocalDeadLetters(broker.bus, programme())
    with pytest.raises(Unroutable):
        letters.requeue(DEAD)
    assert letters.counts()[DEAD] == 1
