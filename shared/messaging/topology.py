"""Where messages go: exchanges, queues and bindings as values, derived from the declared services.

Both brokers route by the same value. On RabbitMQ an operator declares it; services may not configure anything.

    cardwork.commands   topic; a command that no queue wants comes back to its sender
    cardwork.events     topic; what no queue wants goes on to cardwork.unrouted
    cardwork.queues     topic; every queue by its own name: delayed retries and dead letters
    cardwork.unrouted   fanout to one queue, limited in length and age, to look at

Code fixes only what can never change, the type of a queue and the alternate exchange. Every limit is a policy
(`shared.messaging.management`), which can be changed while messages flow; a queue argument could not.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from amqp.exceptions import NotFound, PreconditionFailed
from kombu import Connection, Exchange, Queue, binding

from shared.contracts import names
from shared.contracts.outcomes import OUTCOMES
from shared.contracts.tracking import RequestDecided
from shared.service import Service

_QUORUM = {"x-queue-type": "quorum"}
_CLASSIC = {"x-queue-type": "classic"}


class Binding(NamedTuple):
    """One way for a message into a queue."""

    exchange: str
    key: str
    queue: str


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The exchanges and queues of a programme.

    ``consumers`` are the services that have queues, ``observers`` those of them that see every command.
    """

    exchanges: Mapping[str, Exchange]
    queues: Mapping[str, Queue]
    consumers: tuple[str, ...]
    observers: frozenset[str] = frozenset()
    _routes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def bindings(self) -> list[Binding]:
        """Every binding of every queue."""
        return sorted(
            Binding(bound.exchange.name, bound.routing_key, queue.name)
            for queue in self.queues.values()
            for bound in queue.bindings
        )

    @property
    def dead_queues(self) -> list[str]:
        """The queues that keep what could not be handled."""
        return [names.dead_queue(queue) for queue in self.queues if names.dead_queue(queue) in self.queues]

    def destinations(self, exchange: str, key: str) -> tuple[str, ...]:
        """Return the queues that get a message, by name; none: it cannot be routed."""
        route = (exchange, key)
        if route not in self._routes:
            self._routes[route] = self._resolve(exchange, key)
        return self._routes[route]

    def _resolve(self, exchange: str, key: str) -> tuple[str, ...]:
        if exchange not in self.exchanges:
            return ()
        entity = self.exchanges[exchange]
        bound = (b for b in self.bindings if b.exchange == exchange)
        found = {b.queue for b in bound if entity.type == "fanout" or matches(b.key, key)}
        alternate = (entity.arguments or {}).get("alternate-exchange")
        if not found and alternate:
            return self._resolve(alternate, key)
        return tuple(sorted(found))


def topology_of(services: Iterable[Service]) -> Topology:
    """Return what these services need: a pair of queues and their dead letters for each that consumes."""
    exchanges = {
        exchange.name: exchange
        for exchange in (
            Exchange(names.COMMANDS, "topic", durable=True),
            Exchange(names.EVENTS, "topic", durable=True, arguments={"alternate-exchange": names.UNROUTED}),
            Exchange(names.QUEUES, "topic", durable=True),
            Exchange(names.UNROUTED, "fanout", durable=True),
        )
    }
    consuming = sorted((s for s in services if s.consumes), key=lambda s: s.name)
    queues = [
        Queue(names.UNROUTED, bindings=[_bound(exchanges, names.UNROUTED, "")], queue_arguments=_CLASSIC)
    ]
    for service in consuming:
        commands, events = _keys(service)
        queues += _with_dead(exchanges, names.commands_queue(service.name), names.COMMANDS, commands)
        queues += _with_dead(exchanges, names.events_queue(service.name), names.EVENTS, events)
    return Topology(
        exchanges=exchanges,
        queues={queue.name: queue for queue in queues},
        consumers=tuple(service.name for service in consuming),
        observers=frozenset(service.name for service in consuming if service.observe),
    )


def _keys(service: Service) -> tuple[list[str], list[str]]:
    """Return the binding keys of a service's two queues."""
    reactions = {cls.contract.key for cls in service.reactions}
    if service.holds:
        reactions.add(RequestDecided.contract.key)
    if not service.observe:
        return [names.everything_of(service.name)], sorted(reactions)
    return ["#"], sorted(reactions | {outcome.contract.key for outcome in OUTCOMES})


def _with_dead(
    exchanges: Mapping[str, Exchange], queue: str, exchange: str, keys: Iterable[str]
) -> list[Queue]:
    dead = names.dead_queue(queue)
    wanted = [_bound(exchanges, exchange, key) for key in keys]
    return [
        Queue(queue, bindings=[*wanted, _bound(exchanges, names.QUEUES, queue)], queue_arguments=_QUORUM),
        Queue(dead, bindings=[_bound(exchanges, names.QUEUES, dead)], queue_arguments=_QUORUM),
    ]


def _bound(exchanges: Mapping[str, Exchange], exchange: str, key: str) -> Any:
    return binding(exchanges[exchange], routing_key=key)


@lru_cache(maxsize=4096)
def matches(pattern: str, key: str) -> bool:
    """Return whether a topic pattern takes a routing key: ``*`` is exactly one word, ``#`` any number, also none."""
    return _match(_words(pattern), _words(key))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")) if text else ()


def _match(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_match(rest, words[i:]) for i in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _match(rest, words[1:])


# On RabbitMQ


def declare(url: str, topology: Topology) -> None:
    """Create on RabbitMQ what is not there yet; the user of ``url`` must be allowed to.

    Raises `amqp.exceptions.PreconditionFailed` where something of that name is of another kind.
    """
    with Connection(url, connect_timeout=10) as connection, connection.channel() as channel:
        for exchange in topology.exchanges.values():
            exchange(channel).declare()
        for queue in topology.queues.values():
            queue(channel).declare()


def check(url: str, topology: Topology) -> list[str]:
    """Return in words which exchanges and queues are missing or different; nothing is changed."""
    with Connection(url, connect_timeout=10) as connection:
        entities = [*topology.exchanges.values(), *topology.queues.values()]
        return [fault for entity in entities if (fault := _fault(connection, entity))]


def _fault(connection: Connection, entity: Exchange | Queue) -> str | None:
    """Say what is wrong with an exchange or a queue; a refusal closes the channel, so each has its own."""
    kind = "exchange" if isinstance(entity, Exchange) else "queue"
    try:
        with _channel(connection) as channel:
            bound = entity(channel)
            bound.declare(passive=True) if kind == "exchange" else bound.queue_declare(passive=True)
            # It exists, so declaring it creates nothing: it only compares.
            bound.declare(passive=False) if kind == "exchange" else bound.queue_declare()
    except NotFound:
        return f"the {kind} {entity.name} is missing"
    except PreconditionFailed as error:
        return f"the {kind} {entity.name} is different: {error.reply_text}"
    return None


@contextmanager
def _channel(connection: Connection) -> Iterator[Any]:
    channel = connection.channel()
    try:
        yield channel
    finally:
        channel.close()
