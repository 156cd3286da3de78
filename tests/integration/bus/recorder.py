"""A stand-in for the dispatcher that writes down what a consumer asks of it, and does what a case tells it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from shared.contracts import names
from shared.messaging.bus import Consumer, Delivery, Processed, Publication
from shared.testing.brokers import RabbitMQ
from shared.testing.eventually import eventually

CANCEL = "accounts.cancel-account.v1"
CANCELLED = "accounts.account-cancelled.v1"
COMPLETED = "outcomes.command-completed.v1"

Process = Callable[[Sequence[Delivery]], Processed]


class Recorder:
    """``outbox`` holds what a sweep finds, by row; what the broker confirms is removed by the next call."""

    def __init__(
        self, *queues: str, batch: int = 10, process: Process = lambda deliveries: Processed()
    ) -> None:
        self.queues = queues
        self.batch = batch
        self.batches: list[list[Delivery]] = []
        self.outbox: dict[str, Publication] = {}
        self.done: list[str] = []
        self.calls: list[str] = []
        self.troubles: list[BaseException] = []
        self.due: list[Processed] = []
        self._process = process

    @property
    def ids(self) -> list[str | None]:
        return [delivery.message_id for batch in self.batches for delivery in batch]

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.body for batch in self.batches for delivery in batch]

    def process(self, deliveries: Sequence[Delivery]) -> Processed:
        self._note("process")
        if self.troubles:
            raise self.troubles.pop(0)
        self.batches.append(list(deliveries))
        processed = self._process(deliveries)
        self.outbox |= {p.outbox_id: p for p in processed.publications if p.outbox_id}
        return processed

    def confirmed(self, outbox_ids: Sequence[str]) -> None:
        self.done += outbox_ids

    def sweep(self) -> list[Publication]:
        self._note("sweep")
        self._remove_confirmed()
        return list(self.outbox.values())

    def run_jobs(self) -> Processed:
        self._note("run_jobs")
        return self.due.pop(0) if self.due else Processed()

    def tidy(self) -> None:
        self._note("tidy")
        self._remove_confirmed()

    def _remove_confirmed(self) -> None:
        for outbox_id in self.done:
            self.outbox.pop(outbox_id, None)

    def _note(self, call: str) -> None:
        if call not in self.calls[-1:]:
            self.calls.append(call)


@contextmanager
def running(*consumers: Consumer) -> Iterator[None]:
    """Let consumers run, each in a thread; at the end they must stop by themselves."""
    threads = [threading.Thread(target=consumer.run) for consumer in consumers]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: all(consumer.is_ready() for consumer in consumers), describe="consumers are ready")
        yield
    finally:
        for consumer in consumers:
            consumer.stop()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "a consumer did not stop"


@contextmanager
def away(rabbitmq: RabbitMQ, end: Callable[[RabbitMQ], None] = RabbitMQ.stop) -> Iterator[None]:
    """Let the broker be away for a while; the tests after this one need it back whatever happens."""
    end(rabbitmq)
    try:
        yield
    finally:
        rabbitmq.start()


def command(number: int | str, key: str = CANCEL) -> Publication:
    return Publication(
        exchange=names.COMMANDS, key=key, body=f"command {number}".encode(), message_id=f"c{number}"
    )


def event(number: int | str, key: str = CANCELLED, exchange: str = names.EVENTS) -> Publication:
    return Publication(
        exchange=exchange,
        key=key,
        body=f"event {number}".encode(),
        message_id=f"e{number}",
        outbox_id=f"o{number}",
    )
