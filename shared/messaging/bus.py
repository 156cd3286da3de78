"""What crosses the line between the dispatcher and a broker, whichever broker it is."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.errors import Unavailable


class BrokerAway(Unavailable):
    """The broker is away or did not confirm in time; what was sent may or may not have arrived."""


class Unroutable(Unavailable):
    """No queue wants the message: its owner was never set up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as the broker hands it over; ``tag`` is the broker's own and acknowledges it."""

    queue: str
    body: bytes
    tag: int
    message_id: str | None = None
    reply_to: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A message on its way out, persistent and mandatory; ``outbox_id`` is the row that keeps it until it is confirmed."""

    exchange: str
    key: str
    body: bytes
    message_id: str
    outbox_id: str | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer to whoever waits for one; it may be lost, as the asker can always ask again."""

    to: str
    command_id: str
    content: Mapping[str, Any]


@dataclass(slots=True)
class Processed:
    """What is to be sent after a batch was committed; only then are its deliveries acknowledged.

    ``urgent`` says that a job waits for the commit: `Handles.run_jobs` is to be called soon.
    """

    publications: list[Publication] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    urgent: bool = False

    def add(self, other: "Processed") -> None:
        """Take in what another batch wants sent."""
        self.publications += other.publications
        self.replies += other.replies
        self.urgent |= other.urgent


class Handles(Protocol):
    """What a consumer needs of a dispatcher."""

    queues: tuple[str, ...]
    batch: int

    def process(self, deliveries: Sequence[Delivery]) -> Processed:
        """Handle a batch in one transaction; raises DatabaseAway, with nothing done, where there is no database."""

    def confirmed(self, outbox_ids: Sequence[str]) -> None:
        """Note that the broker has these rows, so that the next transaction removes them."""

    def sweep(self) -> list[Publication]:
        """Return what lies in the outbox and is due: delayed retries, and what a crash left behind.

        A consumer asks at its start, before it takes a message, and from then on every few moments. Raises
        DatabaseAway where there is no database: it is also how a consumer learns that the database is back.
        """

    def run_jobs(self) -> Processed:
        """Do what the clock has made due."""

    def tidy(self) -> None:
        """Remove confirmed rows while there is nothing else to do."""


class Consumer(Protocol):
    """A running consumer of one service's queues."""

    def run(self) -> None:
        """Consume until `stop` is called, reconnecting whenever the broker or the database comes back."""

    def stop(self) -> None:
        """Finish the batch in hand, flush, and make `run` return; may be called from any thread or a signal handler."""

    def is_ready(self) -> bool:
        """Return whether messages are being consumed right now."""


class CommandSender(Protocol):
    """The gateway's way to the broker: publish a command, know that it is confirmed, hear the replies."""

    def send(self, publication: Publication) -> "Sent":
        """Publish a command, whose id is the ``message_id``; never raises.

        Where the command was not taken, all three futures of the result raise BrokerAway or Unroutable. ``tracked``
        and ``settled`` also raise BrokerAway where the connection is lost that the replies would have come by.
        """

    def forget(self, command_id: str, sent: "Sent") -> None:
        """Stop listening for replies to a command."""

    def is_ready(self) -> bool:
        """Return whether a command could be sent right now."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A command on its way: the broker's confirm, tracking's first answer, and the outcome where one was asked for.

    ``tracked`` and ``settled`` hold the content of the reply; whoever hears ``settled`` first has both.
    """

    confirmed: Future[None] = field(default_factory=Future)
    tracked: Future[Mapping[str, Any]] = field(default_factory=Future)
    settled: Future[Mapping[str, Any]] = field(default_factory=Future)
