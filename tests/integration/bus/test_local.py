"""What only the file promises: one process at a time, ids that never come back, all or nothing."""

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from shared.messaging import local_bus
from shared.messaging.bus import BrokerAway, Delivery, Processed, Publication, Unroutable
from shared.messaging.local_bus import LocalBus, Occupied
from shared.messaging.local_consumer import LocalConsumer
from shared.settings import Settings
from shared.testing.eventually import eventually
from tests.integration.bus.conftest import OnFile
from tests.integration.bus.programme import programme
from tests.integration.bus.recorder import Recorder, command, event, running


def test_a_second_process_is_refused(on_file: OnFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_bus, "_OWNER_SECONDS", 0)
    other = LocalBus(Path(on_file.address), programme())
    with running(on_file.consumer(Recorder("accounts.commands"))):
        with pytest.raises(Occupied, match="stop it first"):
            LocalConsumer(other, Recorder("accounts.commands"), Settings()).run()
        assert other.count("accounts.commands") == 0, "tools may look all the same"
    on_file.close()
    with running(LocalConsumer(other, Recorder("accounts.commands"), Settings())):
        pass
    other.close()


def test_what_another_process_puts_in_is_found(on_file: OnFile) -> None:
    handles = Recorder("accounts.commands")
    with running(on_file.consumer(handles)):
        tool = LocalBus(Path(on_file.address), programme())
        tool.publish(command(1))
        eventually(lambda: handles.ids == ["c1"])
        tool.close()


def test_an_id_is_never_used_twice(on_file: OnFile) -> None:
    handles = Recorder("notices.events", batch=1)
    with running(on_file.consumer(handles)):
        for number in range(5):
            on_file.publish(event(number))
            eventually(lambda: on_file.depth("notices.events") == 0)
    tags = [delivery.tag for batch in handles.batches for delivery in batch]
    assert tags == sorted(set(tags))
    assert len(tags) == 5


def test_a_batch_is_sent_and_acknowledged_as_a_whole_or_not_at_all(on_file: OnFile) -> None:
    unwritable: Any = object()

    def spoil_once(deliveries: Sequence[Delivery]) -> Processed:
        fine = replace(event(1), outbox_id=None)
        return Processed([fine, replace(fine, body=unwritable)] if len(handles.batches) == 1 else [event(3)])

    handles = Recorder("accounts.commands", process=spoil_once)
    with running(on_file.consumer(handles)):
        on_file.publish(command(1))
        eventually(lambda: handles.ids == ["c1", "c1"])
        eventually(lambda: handles.done == ["o3"])
    assert on_file.depth("notices.events") == 1
    assert on_file.depth("accounts.commands") == 0


def test_what_was_published_is_on_the_disk(on_file: OnFile) -> None:
    on_file.publish(command(1))
    settings = [
        on_file.bus._writer.execute(f"pragma {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    ]
    assert settings == ["wal", 2]
    with sqlite3.connect(on_file.address) as other:
        assert other.execute("select queue, message_id from message order by queue").fetchall() == [
            ("accounts.commands", "c1"),
            ("tracking.commands", "c1"),
        ]


def test_a_tool_is_told_what_cannot_be_routed(on_file: OnFile) -> None:
    with pytest.raises(Unroutable):
        on_file.bus.publish(event(1, "nobody", "cardwork.queues"))
    with pytest.raises(Unroutable):
        on_file.bus.publish(event(1, "nobody", "no.such.exchange"))


def test_a_full_disk_is_a_broker_that_is_away(on_file: OnFile) -> None:
    sender = on_file.sender()
    on_file.publish(command(0))
    pages = on_file.bus._writer.execute("pragma page_count").fetchone()[0]
    on_file.bus._writer.execute(f"pragma max_page_count={pages}")
    big = Publication(exchange=command(1).exchange, key=command(1).key, body=b"x" * 100_000, message_id="c1")
    with pytest.raises(BrokerAway, match="cannot be written"):
        sender.send(big).confirmed.result(20)
    on_file.bus._writer.execute("pragma max_page_count=1000000")
    sender.send(big).confirmed.result(20)
    assert on_file.depth("accounts.commands") == 2


def test_a_backlog_is_taken_across_queues_in_the_order_in_which_it_came(on_file: OnFile) -> None:
    for number in range(6):
        on_file.publish(event(number) if number % 2 else command(number))
    handles = Recorder("accounts.commands", "notices.events", batch=4)
    with running(on_file.consumer(handles)):
        eventually(lambda: len(handles.ids) == 6)
    assert handles.ids == ["c0", "e1", "c2", "e3", "c4", "e5"]
    assert [len(batch) for batch in handles.batches] == [4, 2]


def test_a_sleeping_consumer_is_woken_by_another_thread(
    on_file: OnFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = Recorder("accounts.commands")
    consumer = on_file.consumer(handles)
    with running(consumer):
        # Only the bell can wake it now: the next sweep and the next jobs are far away.
        asked: list[float] = []

        def until_due() -> float:
            asked.append(3600.0)
            return 3600.0

        monkeypatch.setattr(consumer, "_until_due", until_due)
        eventually(lambda: asked and handles.calls[-1] == "tidy", describe="the consumer sleeps")
        threads = [threading.Thread(target=on_file.publish, args=(command(n),)) for n in range(5)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(handles.ids) == 5)


def test_a_message_that_cannot_be_written_hurts_no_other(on_file: OnFile) -> None:
    sender, unwritable = on_file.sender(), cast(bytes, object())
    sender.send(command(0)).confirmed.result(20)
    with on_file.bus._writing:  # until both wait, so that they share a transaction
        bad = sender.send(replace(command(1), body=unwritable))
        good = sender.send(command(2))
    with pytest.raises(BrokerAway, match="cannot be written"):
        bad.confirmed.result(20)
    good.confirmed.result(20)
    assert on_file.depth("accounts.commands") == 2


def test_what_waits_at_the_end_is_written(on_file: OnFile, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = on_file.sender()
    sender.send(command(0)).confirmed.result(20)
    closing = threading.Thread(target=on_file.bus.close)
    with on_file.bus._writing:
        sent = sender.send(command(1))
        closing.start()
        eventually(lambda: on_file.bus._closed)
    closing.join(20)
    sent.confirmed.result(20)
    with pytest.raises(BrokerAway, match="closed"):
        sender.send(command(2)).confirmed.result(20)
    monkeypatch.setattr(on_file.bus, "_start_writing", lambda: None)  # it had begun before the end
    with pytest.raises(BrokerAway, match="closed"):
        sender.send(command(3)).confirmed.result(20)
    with sqlite3.connect(on_file.address) as other:
        assert other.execute("select count(*) from message").fetchone() == (4,)
