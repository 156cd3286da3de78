"""What only a server can do to its clients: go away, refuse, lose a queue. Nothing is lost, and all come back."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import kombu
import pytest
from pika.adapters.base_connection import BaseConnection

from shared.messaging import topology
from shared.messaging.bus import BrokerAway, Delivery, Processed, Reply
from shared.messaging.pika_consumer import PikaConsumer
from shared.messaging.pika_link import Link
from shared.messaging.pika_sender import PikaSender
from shared.settings import Settings
from shared.testing.brokers import RabbitMQ
from shared.testing.eventually import eventually
from shared.testing.servers import free_port
from tests.integration.bus.conftest import OnRabbitMQ
from tests.integration.bus.programme import programme
from tests.integration.bus.recorder import Recorder, away, command, event, running

PATIENCE = 20


def relaying(deliveries: Sequence[Delivery]) -> Processed:
    return Processed([event(delivery.message_id or "") for delivery in deliveries])


@pytest.mark.fault
@pytest.mark.parametrize("end", [RabbitMQ.stop, RabbitMQ.kill])
def test_all_come_back_after_the_broker_was_away(
    rabbitmq: RabbitMQ, on_rabbitmq: OnRabbitMQ, end: Callable[[RabbitMQ], None]
) -> None:
    if end is RabbitMQ.kill:
        rabbitmq.restart()  # queues may have been declared a moment ago; see `RabbitMQ.kill`
    accounts, notices = Recorder("accounts.commands", process=relaying), Recorder("notices.events")
    consumers = on_rabbitmq.consumer(accounts), on_rabbitmq.consumer(notices)
    sender = on_rabbitmq.sender()
    with running(*consumers):
        sender.send(command(0)).confirmed.result(PATIENCE)
        eventually(lambda: set(notices.ids) == {"ec0"})
        with away(rabbitmq, end):
            eventually(lambda: not any(consumer.is_ready() for consumer in consumers))
            eventually(lambda: not sender.is_ready())
            with pytest.raises(BrokerAway):
                sender.send(command(1)).confirmed.result(PATIENCE)
        eventually(sender.is_ready, timeout=60)
        eventually(lambda: all(consumer.is_ready() for consumer in consumers), timeout=60)
        sender.send(command(2)).confirmed.result(PATIENCE)
        eventually(lambda: "ec2" in notices.ids)
        eventually(lambda: "oc2" in accounts.done)


@pytest.mark.fault
def test_nothing_is_lost_while_the_broker_restarts_under_load(
    rabbitmq: RabbitMQ, on_rabbitmq: OnRabbitMQ
) -> None:
    accounts = Recorder("accounts.commands", batch=64, process=relaying)
    notices = Recorder("notices.events", batch=64)
    sender = on_rabbitmq.sender()
    taken: set[int] = set()
    over = threading.Event()

    def send_all() -> None:
        """Send each command until it is confirmed, as a gateway's client does."""
        number = 0
        while not over.is_set():
            try:
                sender.send(command(number)).confirmed.result(PATIENCE)
            except BrokerAway:
                time.sleep(0.01)
                continue
            taken.add(number)
            number += 1

    with running(on_rabbitmq.consumer(accounts), on_rabbitmq.consumer(notices)):
        thread = threading.Thread(target=send_all)
        thread.start()
        eventually(lambda: len(taken) > 100)
        rabbitmq.restart()
        before = len(taken)
        eventually(lambda: len(taken) > before + 100, timeout=60)
        over.set()
        thread.join(PATIENCE)
        eventually(lambda: {f"ec{number}" for number in taken} <= set(notices.ids), timeout=60)
        eventually(lambda: accounts.outbox == {}, timeout=60)


def test_a_sender_without_a_broker_fails_at_once() -> None:
    sender = PikaSender(f"amqp://nobody:x@127.0.0.1:{free_port()}/")
    assert not sender.is_ready()
    sent = sender.send(command(1))
    for future in (sent.confirmed, sent.tracked, sent.settled):
        with pytest.raises(BrokerAway):
            future.result(PATIENCE)
    sender.close()


def test_a_consumer_without_a_broker_stops_when_told() -> None:
    consumer = PikaConsumer(
        f"amqp://nobody:x@127.0.0.1:{free_port()}/", Recorder("accounts.commands"), Settings()
    )
    thread = threading.Thread(target=consumer.run)
    thread.start()
    assert not consumer.is_ready()
    consumer.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_consumer_waits_for_its_queue(on_rabbitmq: OnRabbitMQ) -> None:
    with kombu.Connection(on_rabbitmq.address) as connection:
        connection.default_channel.queue_delete("accounts.commands")
    handles = Recorder("accounts.commands", "accounts.events")
    consumer = on_rabbitmq.consumer(handles)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    eventually(lambda: handles.calls == ["sweep"])
    assert not consumer.is_ready()
    topology.declare(on_rabbitmq.address, programme())
    eventually(consumer.is_ready)
    with kombu.Connection(on_rabbitmq.address) as connection:
        connection.default_channel.queue_delete("accounts.commands")
    eventually(lambda: not consumer.is_ready())
    topology.declare(on_rabbitmq.address, programme())
    on_rabbitmq.publish(command(1))
    eventually(lambda: handles.ids == ["c1"])
    consumer.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_what_is_on_its_way_is_not_swept_again(
    on_rabbitmq: OnRabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear_nothing(link: Link[Any], frame: object) -> None:
        """The broker is slow to confirm."""

    monkeypatch.setattr(Link, "_on_confirm", hear_nothing)
    handles = Recorder("accounts.commands")
    handles.outbox["o1"] = event(1)
    with running(on_rabbitmq.consumer(handles)):
        eventually(lambda: handles.calls.count("sweep") > 3)
    assert on_rabbitmq.depth("notices.events") == 1


def test_what_was_not_confirmed_when_the_connection_broke_is_swept(
    rabbitmq: RabbitMQ, on_rabbitmq: OnRabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear, deaf = Link._on_confirm, threading.Event()
    deaf.set()

    def hear_once_connected_again(link: Link[Any], frame: object) -> None:
        if not deaf.is_set():
            hear(link, frame)

    monkeypatch.setattr(Link, "_on_confirm", hear_once_connected_again)
    handles = Recorder("accounts.commands", process=relaying)
    consumer = on_rabbitmq.consumer(handles)
    with running(consumer):
        on_rabbitmq.publish(command(1))
        eventually(lambda: on_rabbitmq.depth("notices.events") == 1)
        deaf.clear()
        close_connections(rabbitmq, "consumer of accounts.commands")
        eventually(lambda: handles.done == ["oc1"])
        eventually(consumer.is_ready)
    assert on_rabbitmq.depth("notices.events") == 2, "at least once"
    assert on_rabbitmq.depth("accounts.commands") == 0


def close_connections(rabbitmq: RabbitMQ, name: str) -> None:
    def named() -> list[str]:
        found = rabbitmq.call("GET", "/api/connections").json()
        return [c["name"] for c in found if c.get("client_properties", {}).get("connection_name") == name]

    for connection in eventually(named, describe=f"the connection {name}"):
        rabbitmq.call("DELETE", f"/api/connections/{connection.replace(' ', '%20').replace('>', '%3E')}")


def test_a_message_that_cannot_be_written_hurts_no_other(on_rabbitmq: OnRabbitMQ) -> None:
    sender = on_rabbitmq.sender()
    eventually(sender.is_ready)
    long_key = sender.send(command(1, key="x" * 300))
    fine = sender.send(command(2))
    with pytest.raises(BrokerAway, match="cannot be written"):
        long_key.confirmed.result(PATIENCE)
    fine.confirmed.result(PATIENCE)


def test_a_row_that_cannot_be_written_keeps_no_other_back(on_rabbitmq: OnRabbitMQ) -> None:
    handles = Recorder("accounts.commands")
    handles.outbox = {"o1": event(1, key="x" * 300), "o2": event(2)}
    with running(on_rabbitmq.consumer(handles)):
        on_rabbitmq.publish(command(1))
        eventually(lambda: handles.ids == ["c1"])
        eventually(lambda: "o2" in handles.done)
    assert "o1" not in handles.done


def test_an_answer_goes_nowhere_but_to_a_sender(on_rabbitmq: OnRabbitMQ) -> None:
    forged = Reply(to="accounts.commands", command_id="c1", content={"kind": "tracked"})
    handles = Recorder("tracking.commands", process=lambda deliveries: Processed(replies=[forged]))
    with running(on_rabbitmq.consumer(handles)):
        on_rabbitmq.publish(command(1))
        eventually(lambda: handles.ids == ["c1"])
    assert on_rabbitmq.depth("accounts.commands") == 1


def say(link: Any, notice: str) -> None:
    """Let a link hear what RabbitMQ says when it runs out of memory or disk, and when that is over."""
    link.loop.add_callback_threadsafe(getattr(link, notice))


def test_nothing_is_sent_while_the_broker_is_full(on_rabbitmq: OnRabbitMQ) -> None:
    sender = PikaSender(on_rabbitmq.address)
    eventually(sender.is_ready)
    say(sender._link, "_on_blocked")
    eventually(lambda: not sender.is_ready())
    with pytest.raises(BrokerAway, match="full"):
        sender.send(command(1)).confirmed.result(PATIENCE)
    say(sender._link, "_on_unblocked")
    eventually(sender.is_ready)
    sender.send(command(2)).confirmed.result(PATIENCE)
    sender.close()
    assert on_rabbitmq.depth("accounts.commands") == 1


def test_nothing_is_taken_up_while_the_broker_is_full(on_rabbitmq: OnRabbitMQ) -> None:
    handles = Recorder("accounts.commands")
    consumer = PikaConsumer(on_rabbitmq.address, handles, Settings())
    with running(consumer):
        say(consumer._link, "_on_blocked")
        eventually(lambda: not consumer.is_ready())
        swept = handles.calls.count("sweep")
        on_rabbitmq.publish(command(1))
        eventually(lambda: consumer._waiting)
        assert handles.ids == []
        assert handles.calls.count("sweep") == swept
        say(consumer._link, "_on_unblocked")
        eventually(lambda: handles.ids == ["c1"])
    assert on_rabbitmq.depth("accounts.commands") == 0


def test_a_batch_goes_out_in_one_piece(on_rabbitmq: OnRabbitMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails after an upgrade, pika hands its bytes over elsewhere: all still works, but half as fast."""
    written: list[int] = []
    write = BaseConnection._adapter_emit_data

    def note(connection: Any, data: bytes) -> None:
        written.append(len(data))
        write(connection, data)

    monkeypatch.setattr(BaseConnection, "_adapter_emit_data", note)

    def relay(deliveries: Sequence[Delivery]) -> Processed:
        written.clear()
        return Processed([event(number) for number in range(20)])

    handles = Recorder("accounts.commands", process=relay)
    with running(on_rabbitmq.consumer(handles)):
        on_rabbitmq.publish(command(1))
        eventually(lambda: len(handles.done) == 20)
        assert written[0] > 20 * len(event(1).body), "twenty publications and the acknowledgement"
    assert on_rabbitmq.depth("notices.events") == 20
