"""The way for other systems to hear what happens in Cardwork: typed events, each handled once, none lost.

    def enter(event: AccountCancelled, envelope: Envelope) -> None: ...

    subscriber = Subscriber(url, "ledger", events=[AccountCancelled], handle=enter, seen=FileOfSeen(Path("seen.db")))
    signal.signal(signal.SIGTERM, lambda *_: subscriber.stop())
    subscriber.run()

A subscriber has a durable queue of its own, so that it may be away for a while, and a dead queue for what it cannot
handle. An event is acknowledged after it was handled and remembered; between those two a crash makes it come again, so
whoever must never handle one twice remembers it in the same transaction, by a `Seen` of its own.
"""

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog
from kombu import Connection, Exchange, Producer, Queue, binding
from kombu.mixins import ConsumerMixin

from shared.contracts import names
from shared.contracts.base import Message, catalogue
from shared.messaging.bus import Delivery
from shared.messaging.dead_letter import dead_letter
from shared.messaging.envelope import CONTENT_TYPE, Envelope, Undecodable, decode
from shared.messaging.topology import Topology

_HEARTBEAT_SECONDS = 60
_CONFIRM_SECONDS = 30
_SHORTEST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_TICK_SECONDS = 0.05
# Well below 20, at which RabbitMQ itself would drop a message that ends its reader again and again.
_DELIVERIES = 15

Handle = Callable[[Any, Envelope], None]

log = structlog.get_logger()


class Seen(Protocol):
    """Which events were handled before."""

    def knows(self, message_id: str) -> bool:
        """Return whether this was handled."""

    def remember(self, message_id: str) -> None:
        """Note that this was handled."""


class LastSeen:
    """The latest ``most`` events, forgotten at the end of the process: enough where handling twice does no harm."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def knows(self, message_id: str) -> bool:
        """Return whether this was handled."""
        return message_id in self._ids

    def remember(self, message_id: str) -> None:
        """Note that this was handled."""
        self._ids[message_id] = None
        while len(self._ids) > self._most:
            self._ids.popitem(last=False)


class FileOfSeen:
    """The events of the last ``days``, kept in a SQLite file and so over a restart."""

    def __init__(self, file: Path, *, days: int = 30) -> None:
        self._age = timedelta(days=days)
        self._file = sqlite3.connect(file, isolation_level=None, timeout=30, check_same_thread=False)
        self._file.execute("pragma journal_mode=wal")
        self._file.execute("pragma synchronous=full")
        self._file.execute(
            "create table if not exists seen (message_id text primary key, at text not null) without rowid"
        )
        self._file.execute("create index if not exists seen_at on seen (at)")

    def knows(self, message_id: str) -> bool:
        """Return whether this was handled."""
        found = self._file.execute("select 1 from seen where message_id = ?", (message_id,)).fetchone()
        return found is not None

    def remember(self, message_id: str) -> None:
        """Note that this was handled, and forget what is too old."""
        now = datetime.now(UTC)
        self._file.execute("insert or ignore into seen values (?, ?)", (message_id, now.isoformat()))
        self._file.execute("delete from seen where at < ?", ((now - self._age).isoformat(),))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Stopped(Exception):
    """It was told to stop while it waited for the broker."""


class Subscriber(ConsumerMixin):
    """Hears events for the system ``name``, in the thread that calls `run`.

    An event whose handling raises is tried ``tries`` times, with growing pauses in which the others wait, so that they
    keep their order; then it is a dead letter.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        events: Sequence[type[Message]],
        handle: Handle,
        seen: Seen | None = None,
        tries: int = 5,
        prefetch: int = 20,
    ) -> None:
        self.connection = Connection(
            url,
            heartbeat=_HEARTBEAT_SECONDS,
            connect_timeout=10,
            transport_options={"confirm_publish": True, "client_properties": {"connection_name": name}},
        )
        self.topology = subscription(name, events)
        self._queue = self.topology.queues[names.events_queue(name)]
        self._classes = {cls.contract.key: cls for cls in events}
        self._handle = handle
        self._seen = seen or LastSeen()
        self._tries = tries
        self._prefetch = prefetch
        self._ready = False

    def run(self, *_: Any, **__: Any) -> None:
        """Hear events until `stop` is called, reconnecting whenever the broker comes back."""
        try:
            super().run()
        except _Stopped:
            pass

    def stop(self) -> None:
        """Finish the event in hand and make `run` return; may be called from any thread or a signal handler."""
        self.should_stop = True

    def is_ready(self) -> bool:
        """Return whether events are being heard right now."""
        return self._ready

    # How kombu sets it up

    @contextmanager
    def establish_connection(self) -> Iterator[Any]:
        """Connect, trying until it works or `stop` is called."""
        with self.create_connection() as connection:
            connection.ensure_connection(
                self.on_connection_error,
                interval_start=1,
                interval_step=1,
                interval_max=10,
                callback=self._give_up_if_stopped,
            )
            yield connection

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: N803 - kombu's name
        """Set up the queues, hear no more what is not asked for any more, and consume."""
        for queue in self.topology.queues.values():
            queue(channel).declare()
        for contract in catalogue.events():
            if contract.key not in self._classes:
                self._queue(channel).unbind_from(self.topology.exchanges[names.EVENTS], contract.key)
        return [
            Consumer(
                queues=[self._queue],
                on_message=self._on_message,
                auto_declare=False,
                prefetch_count=self._prefetch,
            )
        ]

    @contextmanager
    def extra_context(self, connection: Any, channel: Any) -> Iterator[None]:
        """Be ready as long as it consumes."""
        del connection, channel
        self._ready = True
        try:
            yield
        finally:
            self._ready = False

    def on_connection_error(self, error: Exception, interval: float) -> None:
        """Say that it will try again."""
        log.warning("broker lost", subscriber=self._queue.name, why=str(error), seconds=interval)

    def on_decode_error(self, message: Any, error: Exception) -> None:
        """Bury what kombu itself cannot read; its own way would be to acknowledge it."""
        self._bury(message, error)

    def _give_up_if_stopped(self) -> None:
        if self.should_stop:
            raise _Stopped

    # One event

    def _on_message(self, message: Any) -> None:
        if self.should_stop:
            return  # it goes back when the connection is closed
        if _deliveries(message) >= _DELIVERIES:
            self._bury(message, RuntimeError("its reader ended each time without finishing it"))
            return
        try:
            envelope = decode(_bytes(message.body))
            cls = self._classes.get(envelope.key)
            event = envelope.message() if cls else None
        except Undecodable as error:
            self._bury(message, error)
            return
        if event is not None:
            self._take_up(message, event, envelope)
        else:
            message.ack()  # a left-over of what it asked for before

    def _take_up(self, message: Any, event: Message, envelope: Envelope) -> None:
        """Handle an event, a few times if need be; told to stop meanwhile, leave it to be delivered again."""
        for attempt in range(1, self._tries + 1):
            try:
                if not self._seen.knows(envelope.id):
                    self._handle(event, envelope)
                    self._seen.remember(envelope.id)
            except Exception as error:
                log.exception("event not handled", subscriber=self._queue.name, message_id=envelope.id)
                if attempt == self._tries:
                    self._bury(message, error)
                elif not self._pause(attempt):
                    return
            else:
                message.ack()
                return

    def _pause(self, attempt: int) -> bool:
        """Wait a while, and return whether to go on."""
        until = time.perf_counter() + min(_SHORTEST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
        while not self.should_stop and time.perf_counter() < until:
            time.sleep(_TICK_SECONDS)
        return not self.should_stop

    def _bury(self, message: Any, why: Exception) -> None:
        """Put a message into the dead queue and, when that is certain, acknowledge it."""
        delivery = Delivery(
            queue=self._queue.name,
            body=_bytes(message.body),
            tag=message.delivery_tag,
            message_id=message.properties.get("message_id"),
        )
        letter = dead_letter(delivery, why, datetime.now(UTC))
        # A connection of its own: waiting for the confirm on this one would read, and handle, further messages.
        with self.create_connection() as connection:
            Producer(connection).publish(
                letter.body,
                exchange=letter.exchange,
                routing_key=letter.key,
                message_id=letter.message_id,
                content_type=CONTENT_TYPE,
                content_encoding="binary",
                headers=dict(letter.headers or {}),
                mandatory=True,
                confirm_timeout=_CONFIRM_SECONDS,
            )
        message.ack()
        log.error("event is a dead letter", subscriber=self._queue.name, why=repr(why))


def subscription(name: str, events: Sequence[type[Message]] = ()) -> Topology:
    """Return the two queues of a subscriber, as `RabbitDeadLetters` also wants them to look after its dead letters.

    The exchanges are there already, and a subscriber may not declare them.
    """
    heard, queues = (Exchange(each, "topic", no_declare=True) for each in (names.EVENTS, names.QUEUES))
    queue = names.events_queue(name)
    dead = names.dead_queue(queue)
    keys = [binding(heard, routing_key=cls.contract.key) for cls in events]
    quorum = {"x-queue-type": "quorum"}
    return Topology(
        exchanges={names.EVENTS: heard, names.QUEUES: queues},
        queues={
            queue: Queue(queue, bindings=[*keys, binding(queues, routing_key=queue)], queue_arguments=quorum),
            dead: Queue(dead, bindings=[binding(queues, routing_key=dead)], queue_arguments=quorum),
        },
        consumers=(name,),
    )


def _deliveries(message: Any) -> int:
    """Return how often the message was delivered before, as RabbitMQ counts."""
    return int((message.headers or {}).get("x-delivery-count", 0))


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)
