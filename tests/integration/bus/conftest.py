"""Both brokers behind one face, so that one set of cases runs on each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import kombu
import pytest

from shared.messaging import management, topology
from shared.messaging.bus import CommandSender, Consumer, Handles, Publication
from shared.messaging.dead_letters import DeadLetters, LocalDeadLetters, RabbitDeadLetters
from shared.messaging.local_bus import LocalBus
from shared.messaging.local_consumer import LocalConsumer
from shared.messaging.local_sender import LocalSender
from shared.messaging.pika_consumer import PikaConsumer
from shared.messaging.pika_sender import PikaSender
from shared.messaging.topology import Topology
from shared.settings import Settings
from shared.testing.brokers import RabbitMQ, VirtualHost
from tests.integration.bus.programme import programme


class Broker(Protocol):
    """What a case needs of a broker; ``address`` is what another process opens it by."""

    address: str

    def consumer(self, handles: Handles) -> Consumer: ...

    def sender(self) -> CommandSender: ...

    def publish(self, *publications: Publication) -> None: ...

    def depth(self, queue: str) -> int: ...

    def letters(self) -> DeadLetters: ...


class OnFile:
    def __init__(self, file: Path, wanted: Topology) -> None:
        self.address = str(file)
        self._wanted = wanted
        self._bus: LocalBus | None = None
        self._senders: list[CommandSender] = []

    @property
    def bus(self) -> LocalBus:
        self._bus = self._bus or LocalBus(Path(self.address), self._wanted)
        return self._bus

    def consumer(self, handles: Handles) -> Consumer:
        return LocalConsumer(self.bus, handles, Settings())

    def sender(self) -> CommandSender:
        self._senders.append(LocalSender(self.bus))
        return self._senders[-1]

    def publish(self, *publications: Publication) -> None:
        assert self.bus.exchange(publications) == []

    def depth(self, queue: str) -> int:
        return self.bus.count(queue)

    def letters(self) -> DeadLetters:
        return LocalDeadLetters(self.bus, self._wanted)

    def close(self) -> None:
        """End as a process would; the next use opens the file again."""
        for sender in self._senders:
            sender.close()
        if self._bus:
            self._bus.close()
        self._bus = None


class OnRabbitMQ:
    def __init__(self, url: str) -> None:
        self.address = url
        self._senders: list[CommandSender] = []

    def consumer(self, handles: Handles) -> Consumer:
        return PikaConsumer(self.address, handles, Settings())

    def sender(self) -> CommandSender:
        self._senders.append(PikaSender(self.address))
        return self._senders[-1]

    def publish(self, *publications: Publication) -> None:
        with self._connection() as connection:
            producer = kombu.Producer(connection)
            for publication in publications:
                producer.publish(
                    publication.body,
                    exchange=publication.exchange,
                    routing_key=publication.key,
                    message_id=publication.message_id,
                    headers=dict(publication.headers or {}),
                    mandatory=True,
                    content_type="application/cloudevents+json",
                    content_encoding="utf-8",
                )

    def depth(self, queue: str) -> int:
        with self._connection() as connection:
            return int(connection.default_channel.queue_declare(queue, passive=True).message_count)

    def letters(self) -> DeadLetters:
        return RabbitDeadLetters(self.address, programme())

    def close(self) -> None:
        for sender in self._senders:
            sender.close()

    def _connection(self) -> Any:
        return kombu.Connection(self.address, transport_options={"confirm_publish": True})


@pytest.fixture(params=["local", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """An empty broker that only this test uses; every case is run on each."""
    if request.param == "local":
        on_file = OnFile(tmp_path / "bus.db", programme())
        yield on_file
        on_file.close()
    else:
        yield request.getfixturevalue("on_rabbitmq")


@pytest.fixture
def on_rabbitmq(rabbitmq: RabbitMQ, declared: VirtualHost) -> Iterator[OnRabbitMQ]:
    """The same, for what only a server can do: go away."""
    topology.declare(declared.url, programme())  # what a test before this one took away
    with kombu.Connection(declared.url) as connection:
        for queue in programme().queues:
            connection.default_channel.queue_purge(queue)
    server = OnRabbitMQ(declared.url)
    yield server
    server.close()


@pytest.fixture(scope="session")
def declared(rabbitmq: RabbitMQ) -> Iterator[VirtualHost]:
    """A virtual host for all of these tests: quorum queues take long to make and are quickly emptied."""
    with rabbitmq.new_vhost() as fresh:
        topology.declare(fresh.url, programme())
        management.apply_policies(rabbitmq.management_url, programme(), fresh.name)
        yield fresh


@pytest.fixture
def on_file(tmp_path: Path) -> Iterator[OnFile]:
    """The same, for what only a file can do."""
    local = OnFile(tmp_path / "bus.db", programme())
    yield local
    local.close()
