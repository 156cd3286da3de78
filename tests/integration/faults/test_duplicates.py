"""Every message is delivered again and again, to one worker and to several: it takes effect once."""

import threading
from types import TracebackType
from typing import Self

import pika
import pytest

from shared.contracts import names
from shared.testing.installation import DistributedInstallation, EmbeddedInstallation
from tests.integration.faults.altered import AlteredProcess
from tests.integration.faults.evidence import Verdict, topology
from tests.integration.faults.figures import figure
from tests.integration.faults.load import Load

_COPIES = 3


class Echo:
    """Hears every command and every outcome on RabbitMQ, and publishes the same bytes again to the queues they went to."""

    def __init__(self, url: str) -> None:
        self.heard = 0
        self._topology = topology()
        self._ending = threading.Event()
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        for exchange in (names.COMMANDS, names.EVENTS):
            self._channel.queue_bind(self._queue, exchange, "#")
        self._thread = threading.Thread(target=self._run, name="echo")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        for method, _, body in self._channel.consume(self._queue, auto_ack=True, inactivity_timeout=0.5):
            if method is None:
                if self._ending.is_set():
                    return
                continue
            self.heard += 1
            for queue in self._topology.destinations(method.exchange, method.routing_key):
                for _ in range(_COPIES if queue != names.UNROUTED else 0):
                    lasting = pika.BasicProperties(delivery_mode=2)
                    self._channel.basic_publish(names.QUEUES, queue, body, lasting, mandatory=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_bytes_many_times_over_rabbitmq(many: DistributedInstallation, workers: int) -> None:
    verdict = Verdict(many)
    names_of_workers = [f"{service}-worker" for service in ("accounts", "tracking")]
    for n in range(1, workers):
        for service in ("accounts", "tracking"):
            many.add_worker(service, f"{service}-worker-{n}").start()
            names_of_workers.append(f"{service}-worker-{n}")
    many.wait_until_ready()
    before = sum(figure(many, name, "cardwork_inbox_duplicates_total") for name in names_of_workers)
    with Echo(many.environment["CARDWORK_BROKER_URL"]) as echo, Load(many) as load:
        load.wait_for(120)
    verdict.find_nothing_lost_or_doubled(load)
    dropped = sum(figure(many, name, "cardwork_inbox_duplicates_total") for name in names_of_workers) - before
    assert echo.heard >= 2 * len(load.accepted)
    assert dropped == _COPIES * len(load.accepted)


def test_the_same_bytes_many_times_within_one_process(one: EmbeddedInstallation) -> None:
    verdict, usual = Verdict(one), one.processes["run"]
    usual.stop()
    doubling = one.processes["run"] = AlteredProcess(usual, "deliver-thrice")
    doubling.start()
    one.wait_until_ready()
    with Load(one) as load:
        load.wait_for(120)
    verdict.find_nothing_lost_or_doubled(load)
    assert figure(one, "run", "cardwork_inbox_duplicates_total") == 2 * len(load.accepted)
