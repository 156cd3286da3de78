"""What a bus promises, proved of each: the file in the embedded shape, RabbitMQ in production."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.contracts import names
from shared.database import DatabaseAway
from shared.messaging.bus import BrokerAway, Delivery, Processed, Publication, Reply, Unroutable
from shared.testing.eventually import eventually
from tests.integration.bus.conftest import Broker
from tests.integration.bus.recorder import COMPLETED, Recorder, command, event, running

PATIENCE = 20


# Sending


def test_a_command_is_confirmed_and_reaches_its_owner_and_the_observer(broker: Broker) -> None:
    sender = broker.sender()
    sender.send(command(1)).confirmed.result(PATIENCE)
    assert broker.depth("accounts.commands") == broker.depth("tracking.commands") == 1
    assert broker.depth("notices.events") == 0


def test_a_command_that_nobody_wants_is_refused(broker: Broker) -> None:
    sender = broker.sender()
    sent = sender.send(Publication(exchange=names.QUEUES, key="nobody", body=b"x", message_id="c1"))
    for future in (sent.confirmed, sent.tracked, sent.settled):
        with pytest.raises(Unroutable, match="nobody"):
            future.result(PATIENCE)
    sender.send(command(2)).confirmed.result(PATIENCE)


def test_many_threads_may_send_at_once(broker: Broker) -> None:
    sender = broker.sender()
    with ThreadPoolExecutor(20) as threads:
        sent = list(threads.map(lambda number: sender.send(command(number)), range(500)))
    for each in sent:
        each.confirmed.result(PATIENCE)
    assert broker.depth("accounts.commands") == 500


def test_a_closed_sender_takes_nothing(broker: Broker) -> None:
    sender = broker.sender()
    waiting = sender.send(command(1))
    waiting.confirmed.result(PATIENCE)
    sender.close()
    with pytest.raises(BrokerAway):
        waiting.tracked.result(PATIENCE)
    assert not sender.is_ready()
    with pytest.raises(BrokerAway):
        sender.send(command(2)).confirmed.result(PATIENCE)


def test_a_sender_gets_ready_before_it_is_used(broker: Broker) -> None:
    sender = broker.sender()
    eventually(sender.is_ready)


# Consuming


def test_messages_are_handled_in_order_and_in_batches(broker: Broker) -> None:
    broker.publish(*(command(number) for number in range(35)))
    handles = Recorder("accounts.commands", "accounts.events", batch=10)
    with running(broker.consumer(handles)):
        eventually(lambda: len(handles.ids) == 35)
    assert handles.ids == [f"c{number}" for number in range(35)]
    assert handles.bodies[0] == b"command 0"
    assert max(len(batch) for batch in handles.batches) == 10
    assert broker.depth("accounts.commands") == 0


def test_a_delivery_says_where_it_comes_from(broker: Broker) -> None:
    broker.publish(
        Publication(
            exchange=names.COMMANDS,
            key="accounts.cancel-account.v1",
            body=b"\x00",
            message_id="c1",
            headers={"x-why": "é"},
        ),
        event(1),
    )
    handles = Recorder("accounts.commands", "notices.events")
    with running(broker.consumer(handles)):
        eventually(lambda: len(handles.ids) == 2)
    by_queue = {delivery.queue: delivery for batch in handles.batches for delivery in batch}
    assert set(by_queue) == {"accounts.commands", "notices.events"}
    letter = by_queue["accounts.commands"]
    assert (letter.body, letter.message_id, letter.reply_to, letter.headers["x-why"]) == (
        b"\x00",
        "c1",
        None,
        "é",
    )


def test_what_a_handler_publishes_is_confirmed_and_delivered(broker: Broker) -> None:
    handles = Recorder(
        "accounts.commands",
        process=lambda deliveries: Processed([event(n.message_id or "") for n in deliveries]),
    )
    other = Recorder("notices.events")
    with running(broker.consumer(handles), broker.consumer(other)):
        broker.publish(*(command(number) for number in range(25)))
        eventually(lambda: len(other.ids) == 25)
        eventually(lambda: len(handles.done) == 25)
        eventually(lambda: handles.outbox == {}, describe="tidied while nothing else is to do")
    assert sorted(handles.done) == sorted(f"oc{number}" for number in range(25))
    assert len(other.ids) == 25


def test_a_publication_that_nobody_wants_is_left_to_the_sweep(broker: Broker) -> None:
    handles = Recorder(
        "accounts.commands",
        process=lambda deliveries: Processed([event("lost", "nobody", names.QUEUES), event("found")]),
    )
    with running(broker.consumer(handles)):
        broker.publish(command(1))
        eventually(lambda: "ofound" in handles.done)
        eventually(lambda: set(handles.outbox) == {"olost"})
        eventually(lambda: handles.calls.count("sweep") > 2)
    assert "olost" not in handles.done
    assert broker.depth("notices.events") == 1
    assert broker.depth("accounts.commands") == 0


def test_an_event_that_nobody_wants_is_kept_aside(broker: Broker) -> None:
    handles = Recorder(
        "accounts.commands", process=lambda deliveries: Processed([event(1, "accounts.unheard-of.v1")])
    )
    with running(broker.consumer(handles)):
        broker.publish(command(1))
        eventually(lambda: handles.done == ["o1"])
    eventually(lambda: broker.depth(names.UNROUTED) == 1)


def test_the_outbox_is_swept_before_anything_is_taken(broker: Broker) -> None:
    broker.publish(command(1))
    handles = Recorder("accounts.commands")
    handles.outbox["o9"] = event(9)
    with running(broker.consumer(handles)):
        eventually(lambda: handles.ids == ["c1"])
        eventually(lambda: handles.done == ["o9"])
    assert handles.calls[0] == "sweep"
    assert broker.depth("notices.events") == 1


def test_what_jobs_publish_goes_out(broker: Broker) -> None:
    handles = Recorder("accounts.commands")
    handles.due.append(Processed([event(5)]))
    with running(broker.consumer(handles)):
        eventually(lambda: handles.done == ["o5"])
        eventually(lambda: handles.calls.count("run_jobs") > 1)
    assert broker.depth("notices.events") == 1


# Failing


@pytest.mark.fault
def test_a_killed_process_gives_back_what_it_took(broker: Broker) -> None:
    broker.publish(*(command(number) for number in range(5)))
    close = getattr(broker, "close", lambda: None)
    close()
    for _ in range(2):
        victim = [sys.executable, "-m", "tests.integration.bus.victim", broker.address]
        assert subprocess.run(victim, timeout=60, check=False).returncode == -9
    handles = Recorder("accounts.commands")
    with running(broker.consumer(handles)):
        eventually(lambda: len(handles.ids) == 5)
    assert set(handles.ids) == {f"c{number}" for number in range(5)}
    assert broker.depth("accounts.commands") == 0


class Killed(BaseException):
    """What ends a thread whatever it does."""


def test_a_dead_thread_gives_back_what_it_took(broker: Broker) -> None:
    broker.publish(command(1))
    dying = Recorder("accounts.commands")
    dying.troubles.append(Killed())
    with pytest.raises(Killed):
        broker.consumer(dying).run()
    handles = Recorder("accounts.commands")
    with running(broker.consumer(handles)):
        eventually(lambda: handles.ids == ["c1"])


@pytest.mark.parametrize("trouble", [DatabaseAway("gone"), ZeroDivisionError("a defect")])
def test_nothing_is_acknowledged_while_handling_fails(broker: Broker, trouble: Exception) -> None:
    handles = Recorder("accounts.commands")
    handles.troubles += [trouble, trouble]
    consumer = broker.consumer(handles)
    with running(consumer):
        broker.publish(command(1), command(2))
        eventually(lambda: len(handles.ids) == 2)
        eventually(consumer.is_ready)
    assert set(handles.ids) == {"c1", "c2"}, "RabbitMQ may deliver again in another order"
    assert handles.calls.count("sweep") >= 2, "it looks whether the database is back before it takes more"
    assert broker.depth("accounts.commands") == 0


def test_nothing_is_taken_while_the_database_is_away(broker: Broker) -> None:
    class Away(Recorder):
        away = True

        def sweep(self) -> list[Publication]:
            super().sweep()
            if self.away:
                raise DatabaseAway("gone")
            return []

    broker.publish(command(1))
    handles = Away("accounts.commands")
    consumer = broker.consumer(handles)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    eventually(lambda: handles.calls == ["sweep"])
    assert not consumer.is_ready()
    handles.away = False
    eventually(lambda: handles.ids == ["c1"])
    eventually(consumer.is_ready)
    consumer.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert handles.calls[:2] == ["sweep", "process"] or handles.calls[:3] == ["sweep", "run_jobs", "process"]


# Stopping


def test_stopping_finishes_the_batch_in_hand(broker: Broker) -> None:
    entered, leave = threading.Event(), threading.Event()

    def take_long(deliveries: Sequence[Delivery]) -> Processed:
        entered.set()
        assert leave.wait(PATIENCE)
        return Processed([event(1)])

    broker.publish(command(1))
    handles = Recorder("accounts.commands", batch=1, process=take_long)
    consumer = broker.consumer(handles)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    assert entered.wait(PATIENCE)
    broker.publish(command(2))
    consumer.stop()
    leave.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert handles.ids == ["c1"]
    assert handles.done == ["o1"], "its publications were confirmed"
    eventually(lambda: broker.depth("accounts.commands") == 1)
    assert broker.depth("notices.events") == 1


def test_a_consumer_that_is_stopped_before_it_runs_returns(broker: Broker) -> None:
    consumer = broker.consumer(Recorder("accounts.commands"))
    consumer.stop()
    thread = threading.Thread(target=consumer.run)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


# Replies


def answering(deliveries: Sequence[Delivery]) -> Processed:
    """Answer as tracking does: a number for each command, and what became of it for each outcome."""
    return Processed(
        replies=[
            Reply(
                to=delivery.reply_to,
                command_id=delivery.message_id or "",
                content={"kind": "tracked", "number": delivery.message_id},
            )
            for delivery in deliveries
            if delivery.reply_to
        ]
    )


def test_everyone_who_asked_gets_the_answers_to_its_own_commands(broker: Broker) -> None:
    tracking = Recorder("tracking.commands", "tracking.events", batch=50, process=answering)
    first, second = broker.sender(), broker.sender()
    with running(broker.consumer(tracking)):
        asked = [(sender, sender.send(command(n))) for n in range(20) for sender in (first, first, second)]
        answers = [sent.tracked.result(PATIENCE) for _, sent in asked]
    assert answers == [{"kind": "tracked", "number": f"c{n}"} for n in range(20) for _ in range(3)]
    assert not any(sent.settled.done() for _, sent in asked)


def test_an_outcome_answers_both_questions(broker: Broker) -> None:
    asked: dict[str, str] = {}

    def settle(deliveries: Sequence[Delivery]) -> Processed:
        for delivery in deliveries:
            asked[delivery.message_id or ""] = delivery.reply_to or ""
        content = {"kind": "settled", "status": "completed"}
        return Processed(replies=[Reply(to=to, command_id=id_, content=content) for id_, to in asked.items()])

    tracking = Recorder("tracking.commands", process=settle)
    sender = broker.sender()
    with running(broker.consumer(tracking)):
        sent = sender.send(command(1))
        assert sent.settled.result(PATIENCE)["status"] == "completed"
        assert sent.tracked.result(PATIENCE)["status"] == "completed"
        deaf = sender.send(command(2))
        deaf.confirmed.result(PATIENCE)
        sender.forget("c2", deaf)
        sender.forget("c2", deaf)
        sender.send(command(3)).settled.result(PATIENCE)


def test_an_answer_to_somebody_gone_hurts_nobody(broker: Broker) -> None:
    tracking = Recorder("tracking.commands", process=answering)
    gone, here = broker.sender(), broker.sender()
    gone.send(command(1)).confirmed.result(PATIENCE)
    gone.close()
    with running(broker.consumer(tracking)):
        assert here.send(command(2)).tracked.result(PATIENCE)["number"] == "c2"
    assert broker.depth("tracking.commands") == 0


def test_outcomes_reach_the_observer(broker: Broker) -> None:
    tracking = Recorder("tracking.commands", "tracking.events")
    with running(broker.consumer(tracking)):
        broker.publish(event(1, COMPLETED))
        eventually(lambda: tracking.ids == ["e1"])


def test_consumers_of_one_service_share_its_work(broker: Broker) -> None:
    seen, both = threading.Barrier(2), threading.Event()

    def meet(deliveries: Sequence[Delivery]) -> Processed:
        if not both.is_set():
            seen.wait(PATIENCE)
            both.set()
        return Processed()

    one, two = (Recorder("accounts.commands", batch=1, process=meet) for _ in range(2))
    with running(broker.consumer(one), broker.consumer(two)):
        broker.publish(*(command(number) for number in range(2)))
        eventually(lambda: len(one.ids) + len(two.ids) == 2)
        broker.publish(*(command(number) for number in range(2, 40)))
        eventually(lambda: len(one.ids) + len(two.ids) == 40)
    assert sorted(map(str, one.ids + two.ids)) == sorted(f"c{number}" for number in range(40))
    assert one.ids
    assert two.ids
    assert broker.depth("accounts.commands") == 0
