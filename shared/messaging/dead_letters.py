"""Dead letters: what could not be handled, for an operator to look at, send back or drop.

Every tool does its work in an order that loses nothing if it is killed in the middle: a letter is first published to
the queue that it came from, and only when that is certain taken out of the dead queue. At worst it is then in both,
and the inbox drops one of them.

What is shown is masked: never an assertion, never a sensitive field, nothing of a message that no contract describes.
"""

import hashlib
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import orjson
from kombu import Connection, Producer, Queue

from shared.contracts import names
from shared.contracts.base import UnknownMessage
from shared.contracts.schema import masked
from shared.errors import CardworkError
from shared.messaging.bus import Delivery, Publication, Unroutable
from shared.messaging.dead_letter import DIED_AT, WHY
from shared.messaging.envelope import CONTENT_TYPE, Envelope, Undecodable, decode
from shared.messaging.local_bus import LocalBus
from shared.messaging.topology import Topology

_PAGE = 100
_CONFIRM_SECONDS = 30
_VALUES = re.compile(r"\s*(\[SQL:|\[parameters:|DETAIL:).*", re.DOTALL)


class NoSuchLetter(CardworkError):
    """There is no such dead queue, or no such letter in it; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead letter; ``id`` is its message id or, where it came without one, the beginning of its body's SHA-256."""

    queue: str
    id: str
    body: bytes = field(repr=False)
    why: str | None
    died_at: str | None

    @property
    def source(self) -> str:
        """The queue in which it died."""
        return self.queue.removesuffix(names.dead_queue(""))

    @property
    def key(self) -> str | None:
        """The routing key of the message, where that can be read."""
        envelope = self._envelope()
        return envelope.key if envelope else None

    def describe(self) -> dict[str, Any]:
        """Return what may be shown of it."""
        facts: dict[str, Any] = {
            "queue": self.queue,
            "id": self.id,
            "why": self.why,
            "died_at": self.died_at,
            "bytes": len(self.body),
        }
        envelope = self._envelope()
        if envelope:
            facts |= {
                "message": envelope.key,
                "command_id": envelope.correlation_id,
                "time": envelope.time.isoformat(),
                "actor": envelope.actor,
                "on_behalf_of": envelope.on_behalf_of,
                "channel": str(envelope.channel),
                "attempt": envelope.attempt,
                "data": _masked_data(envelope),
            }
        return facts

    def again(self) -> Publication:
        """Return the message as it is sent back: to its queue alone, and with all its tries before it."""
        body = self.body
        try:
            content = orjson.loads(body)
            if content.pop("attempt", None) is not None:
                body = orjson.dumps(content)
        except (ValueError, AttributeError):
            pass  # not a message of ours: it goes back as it is
        return Publication(exchange=names.QUEUES, key=self.source, body=body, message_id=self.id)

    def _envelope(self) -> Envelope | None:
        try:
            return decode(self.body)
        except Undecodable:
            return None


def _masked_data(envelope: Envelope) -> dict[str, Any] | None:
    """Return the fields that the contract knows, masked; nobody knows what the others are."""
    try:
        cls = envelope.contract.cls
    except UnknownMessage:
        return None
    assert isinstance(envelope.data, Mapping)
    known = {each.name for each in fields(cls)}  # type: ignore[arg-type]
    return masked(cls, {name: value for name, value in envelope.data.items() if name in known})


class DeadLetters(Protocol):
    """The dead letters of a whole programme; a queue may be named as ``accounts.commands`` or with its ``.dead``."""

    def counts(self) -> dict[str, int]:
        """Return the number of letters in each dead queue."""

    def lying_in(self, queue: str, most: int = _PAGE) -> list[DeadLetter]:
        """Return letters of a queue, the oldest first; raises NoSuchLetter where there is no such queue."""

    def find(self, queue: str, id_: str) -> DeadLetter:
        """Return one letter; raises NoSuchLetter."""

    def requeue(self, queue: str, id_: str | None = None) -> int:
        """Send the letters with this id, or all there are now, back to where they died; return how many.

        Raises NoSuchLetter where there is none with this id.
        """

    def drop(self, queue: str, id_: str | None = None) -> int:
        """Remove the letters with this id, or all there are now, for good; return how many. Raises as `requeue`."""


def _letter(queue: str, body: bytes, message_id: str | None, headers: Mapping[str, Any]) -> DeadLetter:
    why, died_at = headers.get(WHY), headers.get(DIED_AT)
    if why is None and headers.get("x-last-death-reason"):
        why = f"given up by the broker: {headers['x-last-death-reason']}"
        deaths = headers.get("x-death") or [{}]
        died_at = str(deaths[0].get("time") or "") or None
    return DeadLetter(
        queue=queue,
        id=message_id or hashlib.sha256(body).hexdigest()[:32],
        body=body,
        # A database's own words may quote the values that it refused.
        why=_VALUES.sub("", why) if why else None,
        died_at=died_at,
    )


def _dead_queue(topology: Topology, queue: str) -> str:
    found = queue if queue in topology.dead_queues else names.dead_queue(queue)
    if found not in topology.dead_queues:
        raise NoSuchLetter(f"no queue is named {queue!r}; there are: {', '.join(topology.dead_queues)}")
    return found


class LocalDeadLetters:
    """The dead letters of the embedded shape; sending one back is one transaction."""

    def __init__(self, bus: LocalBus, topology: Topology) -> None:
        self._bus = bus
        self._topology = topology

    def counts(self) -> dict[str, int]:
        """Return the number of letters in each dead queue."""
        return {queue: self._bus.count(queue) for queue in self._topology.dead_queues}

    def lying_in(self, queue: str, most: int = _PAGE) -> list[DeadLetter]:
        """Return letters of a queue, the oldest first."""
        found = self._bus.lying_in(_dead_queue(self._topology, queue), most=most)
        return [_letter_of(delivery) for delivery in found]

    def find(self, queue: str, id_: str) -> DeadLetter:
        """Return one letter; raises NoSuchLetter."""
        return _letter_of(next(self._each(queue, id_)))

    def requeue(self, queue: str, id_: str | None = None) -> int:
        """Send letters back to where they died; return how many."""
        return self._each_out(
            queue, id_, lambda delivery: self._bus.replace(delivery, _letter_of(delivery).again())
        )

    def drop(self, queue: str, id_: str | None = None) -> int:
        """Remove letters for good; return how many."""
        return self._each_out(queue, id_, lambda delivery: self._bus.exchange([], [delivery]))

    def _each_out(self, queue: str, id_: str | None, take_out: Callable[[Delivery], object]) -> int:
        count = 0
        for delivery in self._each(queue, id_):
            take_out(delivery)
            count += 1
        return count

    def _each(self, queue: str, id_: str | None) -> Iterator[Delivery]:
        """Yield the letters with this id, or all; those that die meanwhile are left for another time."""
        dead = _dead_queue(self._topology, queue)
        left, seen, found = self._bus.count(dead), 0, False
        while left > 0 and (page := self._bus.lying_in(dead, after=seen, most=min(left, _PAGE))):
            left, seen = left - len(page), page[-1].tag
            for delivery in page:
                if id_ in (None, _letter_of(delivery).id):
                    found = True
                    yield delivery
        if id_ is not None and not found:
            raise NoSuchLetter(f"{dead} holds no letter {id_!r}")


def _letter_of(delivery: Delivery) -> DeadLetter:
    return _letter(delivery.queue, delivery.body, delivery.message_id, delivery.headers)


class RabbitDeadLetters:
    """The dead letters on RabbitMQ; ``url`` is an operator's."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._url = url
        self._topology = topology

    def counts(self) -> dict[str, int]:
        """Return the number of letters in each dead queue."""
        with self._connection() as connection, connection.channel() as channel:
            return {queue: _count(channel, queue) for queue in self._topology.dead_queues}

    def lying_in(self, queue: str, most: int = _PAGE) -> list[DeadLetter]:
        """Return letters of a queue, the oldest first."""
        with self._connection() as connection:
            return [letter for letter, _ in self._each(connection, queue, None, most)]

    def find(self, queue: str, id_: str) -> DeadLetter:
        """Return one letter; raises NoSuchLetter."""
        with self._connection() as connection, closing(self._each(connection, queue, id_)) as each:
            letter, _ = next(each)
            return letter

    def requeue(self, queue: str, id_: str | None = None) -> int:
        """Send letters back to where they died; return how many. Raises Unroutable where that queue is gone."""
        count = 0
        with self._connection() as connection, connection.channel() as channel:
            producer = Producer(channel, on_return=_refuse)
            for letter, message in self._each(connection, queue, id_):
                _publish(producer, letter.again())
                message.ack()
                count += 1
        return count

    def drop(self, queue: str, id_: str | None = None) -> int:
        """Remove letters for good; return how many."""
        count = 0
        with self._connection() as connection:
            for _, message in self._each(connection, queue, id_):
                message.ack()
                count += 1
        return count

    def _connection(self) -> Any:
        return Connection(self._url, connect_timeout=10, transport_options={"confirm_publish": True})

    def _each(
        self, connection: Any, queue: str, id_: str | None, most: int | None = None
    ) -> Generator[tuple[DeadLetter, Any], None, None]:
        """Yield the letters with this id, or all; what is not acknowledged goes back at the end."""
        dead, found = _dead_queue(self._topology, queue), False
        with _taking(connection, dead, most) as messages:
            for message in messages:
                letter = _letter(
                    dead, _bytes(message.body), message.properties.get("message_id"), message.headers or {}
                )
                if id_ in (None, letter.id):
                    found = True
                    yield letter, message
        if id_ is not None and not found:
            raise NoSuchLetter(f"{dead} holds no letter {id_!r}")


@contextmanager
def _taking(connection: Any, queue: str, most: int | None) -> Iterator[Iterator[Any]]:
    """Take what the queue holds now; at the end give back, in the old order, what was not acknowledged."""
    channel = connection.channel()
    taken: list[Any] = []

    def each() -> Iterator[Any]:
        count = _count(channel, queue)
        for _ in range(count if most is None else min(count, most)):
            message = Queue(queue, no_declare=True)(channel).get()
            if message is None:
                return  # another tool was faster
            taken.append(message)
            yield message

    try:
        yield each()
    finally:
        # Without this the broker gives them back as well, but in any order.
        for message in taken:
            if not message.acknowledged:
                message.requeue()
        channel.close()


def _count(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).message_count)


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)


def _publish(producer: Any, publication: Publication) -> None:
    """Publish and wait for the confirm."""
    producer.publish(
        publication.body,
        exchange=publication.exchange,
        routing_key=publication.key,
        message_id=publication.message_id,
        content_type=CONTENT_TYPE,
        content_encoding="binary",
        delivery_mode=2,
        mandatory=True,
        confirm_timeout=_CONFIRM_SECONDS,
    )


def _refuse(_: Any, __: Any, routing_key: str, ___: Any) -> None:
    raise Unroutable(f"no queue wants {routing_key}")
