"""Other systems hear what happens: each event once, in order, and what they cannot handle is kept for them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kombu
import pytest
import time_machine

from shared.contracts import names
from shared.contracts.accounts import AccountCancelled, AccountOpened, CancelReason, Product
from shared.contracts.base import Message
from shared.messaging import management, topology
from shared.messaging.bus import Publication
from shared.messaging.dead_letters import RabbitDeadLetters
from shared.messaging.envelope import Envelope, encode
from shared.messaging.permissions import hash_password, permissions
from shared.messaging.subscriber import FileOfSeen, LastSeen, Seen, Subscriber, subscription
from shared.testing.brokers import RabbitMQ, VirtualHost
from shared.testing.eventually import eventually
from tests.integration.bus.conftest import OnRabbitMQ
from tests.integration.bus.programme import programme
from tests.integration.bus.recorder import away

PATIENCE = 20
QUEUE, DEAD = "ledger.events", "ledger.events.dead"
ACCOUNT, CONTROL = "acc_" + "0" * 26, "1" * 15


class Ledger:
    """The other system."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str]] = []
        self.events: list[Message] = []
        self.troubles: list[BaseException] = []

    def enter(self, event: Message, envelope: Envelope) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        self.events.append(event)
        self.entries.append((type(event).__name__, envelope.id))

    @property
    def ids(self) -> list[str]:
        return [id_ for _, id_ in self.entries]


@pytest.fixture
def server(on_rabbitmq: OnRabbitMQ) -> OnRabbitMQ:
    """RabbitMQ with the subscriber's queues gone."""
    with kombu.Connection(on_rabbitmq.address) as connection:
        for queue in (QUEUE, DEAD):
            connection.default_channel.queue_delete(queue)
    return on_rabbitmq


def subscriber(
    server: OnRabbitMQ,
    ledger: Ledger,
    events: Sequence[type[Message]] = (AccountCancelled, AccountOpened),
    seen: Seen | None = None,
) -> Subscriber:
    return Subscriber(server.address, "ledger", events=events, handle=ledger.enter, seen=seen, tries=3)


@contextmanager
def hearing(one: Subscriber) -> Iterator[None]:
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        eventually(one.is_ready)
        yield
    finally:
        one.stop()
        thread.join(30)
    assert not thread.is_alive(), "it did not stop"
    assert not one.is_ready()


def cancelled(number: int | str) -> Publication:
    return published(
        AccountCancelled(account_id=ACCOUNT, control_account=CONTROL, reason=CancelReason.DEATH), f"e{number}"
    )


def published(event: Message, id_: str) -> Publication:
    envelope = Envelope(
        id=id_,
        key=event.contract.key,
        source="accounts",
        time=datetime(2026, 1, 1, tzinfo=UTC),
        data=event,
        correlation_id="c1",
    )
    return Publication(exchange=names.EVENTS, key=envelope.key, body=encode(envelope), message_id=id_)


def test_events_arrive_typed_in_order_and_once(server: OnRabbitMQ) -> None:
    ledger = Ledger()
    opened = AccountOpened(account_id=ACCOUNT, control_account=CONTROL, product=Product.CORPORATE_GOLD)
    with hearing(subscriber(server, ledger)):
        server.publish(cancelled(1), published(opened, "e2"), cancelled(1), cancelled(3))
        eventually(lambda: len(ledger.entries) == 3)
    assert ledger.entries == [("AccountCancelled", "e1"), ("AccountOpened", "e2"), ("AccountCancelled", "e3")]
    assert ledger.events[1] == opened
    assert server.depth(QUEUE) == 0


def test_what_happens_while_it_is_away_is_kept(server: OnRabbitMQ) -> None:
    ledger = Ledger()
    with hearing(subscriber(server, ledger)):
        pass
    server.publish(cancelled(1))
    assert server.depth(QUEUE) == 1
    with hearing(subscriber(server, ledger)):
        eventually(lambda: ledger.ids == ["e1"])


def test_a_file_remembers_over_a_restart(server: OnRabbitMQ, tmp_path: Path) -> None:
    ledger = Ledger()
    for _ in range(2):
        seen = FileOfSeen(tmp_path / "seen.db")
        with hearing(subscriber(server, ledger, seen=seen)):
            server.publish(cancelled(1))
            eventually(lambda: server.depth(QUEUE) == 0)
            eventually(lambda: ledger.ids)
        seen.close()
    assert ledger.ids == ["e1"]


def test_it_hears_no_more_what_it_did_not_ask_for_again(server: OnRabbitMQ) -> None:
    ledger = Ledger()
    with hearing(subscriber(server, ledger)):
        pass
    server.publish(cancelled("left over"))
    with hearing(subscriber(server, ledger, [AccountOpened])):
        eventually(lambda: server.depth(QUEUE) == 0)
        server.publish(cancelled(1))
        eventually(lambda: server.depth(names.UNROUTED) or server.depth("notices.events") == 2)
    assert ledger.entries == []
    server.publish(cancelled(2))
    assert server.depth(QUEUE) == 0


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(cancelled(1), body=b"not JSON"),
        replace(cancelled(1), body=cancelled(1).body.replace(b"death", b"boredom")),
        replace(cancelled(1), headers={"compression": "of-another-world"}),
    ],
    ids=["no message", "a value unheard of", "kombu cannot read it"],
)
def test_what_cannot_be_read_is_kept_as_a_dead_letter(server: OnRabbitMQ, spoilt: Publication) -> None:
    ledger = Ledger()
    with hearing(subscriber(server, ledger)):
        server.publish(spoilt, cancelled(2))
        eventually(lambda: ledger.ids == ["e2"])
        eventually(lambda: server.depth(DEAD) == 1)
    (letter,) = RabbitDeadLetters(server.address, subscription("ledger")).lying_in(DEAD)
    assert (letter.id, letter.body) == ("e1", spoilt.body)
    assert letter.why
    assert server.depth(QUEUE) == 0


def test_an_event_is_tried_again_and_the_others_keep_their_order(server: OnRabbitMQ) -> None:
    ledger = Ledger()
    ledger.troubles += [RuntimeError("busy"), RuntimeError("busy")]
    with hearing(subscriber(server, ledger)):
        server.publish(cancelled(1), cancelled(2), cancelled(3))
        eventually(lambda: len(ledger.ids) == 3)
    assert ledger.ids == ["e1", "e2", "e3"]
    assert server.depth(DEAD) == 0


def test_what_fails_every_time_is_a_dead_letter_that_can_go_back(server: OnRabbitMQ) -> None:
    ledger = Ledger()
    ledger.troubles += [RuntimeError("no") for _ in range(3)]
    letters = RabbitDeadLetters(server.address, subscription("ledger"))
    with hearing(subscriber(server, ledger)):
        server.publish(cancelled(1), cancelled(2))
        eventually(lambda: ledger.ids == ["e2"])
        eventually(lambda: letters.counts() == {DEAD: 1})
        assert letters.find(QUEUE, "e1").why == "RuntimeError: no"
        assert letters.requeue(QUEUE, "e1") == 1
        eventually(lambda: ledger.ids == ["e2", "e1"])


def test_what_ends_its_reader_each_time_is_set_aside(server: OnRabbitMQ) -> None:
    ledger = Ledger()
    with hearing(subscriber(server, ledger)):
        pass
    server.publish(cancelled(1))
    with kombu.Connection(server.address) as connection:
        for _ in range(15):
            eventually(lambda: take_and_die(connection))
    with hearing(subscriber(server, ledger)):
        server.publish(cancelled(2))
        eventually(lambda: ledger.ids == ["e2"])
    assert server.depth(DEAD) == 1


def take_and_die(connection: kombu.Connection) -> bool:
    with connection.channel() as channel:
        return channel.basic_get(QUEUE) is not None


def test_stopping_finishes_the_event_in_hand(server: OnRabbitMQ) -> None:
    entered, leave = threading.Event(), threading.Event()
    done: list[str] = []

    def take_long(event: Any, envelope: Envelope) -> None:
        entered.set()
        assert leave.wait(PATIENCE)
        done.append(envelope.id)

    one = Subscriber(server.address, "ledger", events=[AccountCancelled], handle=take_long)
    thread = threading.Thread(target=one.run)
    thread.start()
    eventually(one.is_ready)
    server.publish(cancelled(1), cancelled(2))
    assert entered.wait(PATIENCE)
    one.stop()
    leave.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert done == ["e1"]
    eventually(lambda: server.depth(QUEUE) == 1)


def test_it_can_be_stopped_between_two_tries(server: OnRabbitMQ) -> None:
    ledger = Ledger()
    ledger.troubles += [RuntimeError("busy") for _ in range(1000)]
    one = Subscriber(server.address, "ledger", events=[AccountCancelled], handle=ledger.enter, tries=1000)
    with hearing(one):
        server.publish(cancelled(1))
        eventually(lambda: len(ledger.troubles) < 1000)
    assert server.depth(QUEUE) == 1
    assert server.depth(DEAD) == 0


@pytest.mark.fault
def test_it_comes_back_with_the_broker(rabbitmq: RabbitMQ, server: OnRabbitMQ) -> None:
    ledger = Ledger()
    one = subscriber(server, ledger)
    with hearing(one):
        server.publish(cancelled(1))
        eventually(lambda: ledger.ids == ["e1"])
        with away(rabbitmq):
            eventually(lambda: not one.is_ready())
        eventually(one.is_ready, timeout=60)
        server.publish(cancelled(2))
        eventually(lambda: ledger.ids == ["e1", "e2"])


@pytest.mark.fault
def test_it_can_be_stopped_while_the_broker_is_away(rabbitmq: RabbitMQ, server: OnRabbitMQ) -> None:
    one = subscriber(server, Ledger())
    with ExitStack() as until_stopped:
        until_stopped.enter_context(hearing(one))
        with away(rabbitmq):
            eventually(lambda: not one.is_ready())
            until_stopped.close()


def test_it_needs_no_more_than_a_subscribers_permissions(rabbitmq: RabbitMQ, vhost: VirtualHost) -> None:
    hashes = {user: hash_password("x") for user in (*(p.user for p in permissions(programme())), "ledger")}
    content = management.definitions(programme(), hashes, subscribers=["ledger"], vhost=vhost.name)
    rabbitmq.call("POST", "/api/definitions", json=content)
    parts = urlsplit(vhost.url)
    own = parts._replace(netloc=f"ledger:x@{parts.hostname}:{parts.port}").geturl()
    ledger = Ledger()
    everything = OnRabbitMQ(vhost.url)
    with hearing(subscriber(OnRabbitMQ(own), ledger)):
        everything.publish(cancelled(1), replace(cancelled(2), body=b"spoilt"))
        eventually(lambda: ledger.ids == ["e1"])
        eventually(lambda: everything.depth(DEAD) == 1)
    assert topology.check(own, subscription("ledger", [AccountCancelled])) == []


def test_memory_is_bounded() -> None:
    seen = LastSeen(2)
    for id_ in "abc":
        seen.remember(id_)
    assert [seen.knows(id_) for id_ in "abc"] == [False, True, True]


def test_a_file_forgets_what_is_old(tmp_path: Path) -> None:
    seen = FileOfSeen(tmp_path / "seen.db", days=1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False):
        seen.remember("a")
        assert seen.knows("a")
    with time_machine.travel(start + timedelta(days=2), tick=False):
        seen.remember("b")
    assert not seen.knows("a")
    assert seen.knows("b")
    seen.close()
