"""A connection to RabbitMQ that comes back by itself, with one channel whose publications are confirmed.

A publication is persistent and mandatory; which of them the broker has is learnt later, many at a time, so that nobody
waits for one. A consumer and a sender each stand on such a link.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import pika
import structlog
from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError, ShortStringTooLong, UnsupportedAMQPFieldException

from shared.messaging.backoff import BackOff
from shared.messaging.bus import BrokerAway, Publication, Unroutable
from shared.messaging.envelope import CONTENT_TYPE

_HEARTBEAT_SECONDS = 60
_CONNECT_SECONDS = 10
_CLOSE_SECONDS = 3.0

# What pika raises of a message that cannot be put into frames; nothing of it was sent then.
_UNWRITABLE = (ShortStringTooLong, UnsupportedAMQPFieldException, TypeError, ValueError)

REPLY_QUEUE = "amq.rabbitmq.reply-to"
_DEFAULT_EXCHANGE = ""
_PERSISTENT = 2
_TRANSIENT = 1

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

log = structlog.get_logger()


class _Connection(pika.SelectConnection):
    """A connection that can send many frames by one system call; pika itself makes three calls a message."""

    _held: list[bytes] | None = None

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Send what is written inside the block as one piece at its end."""
        if self._held is not None:
            yield
            return
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held and not self.is_closed:
                super()._adapter_emit_data(b"".join(held))

    # The one place where pika hands bytes to its transport. If a later version no longer comes this way, nothing is
    # held, and frames go out one by one as before.
    def _adapter_emit_data(self, data: bytes) -> None:
        if self._held is None:
            super()._adapter_emit_data(data)
        else:
            self._held.append(data)


class LinkUser(Protocol[T_contra]):
    """Whoever uses a link; everything is called in the thread of the link's loop."""

    def on_open(self, channel: Any) -> None:
        """Begin: the channel is open and confirms; `Link.works` ends the beginning."""

    def on_lost(self, error: Exception, open_ones: Iterable[T_contra]) -> None:
        """Give up what was not confirmed: channel or connection are gone, and will come back."""

    def on_confirmed(self, tokens: Sequence[T_contra]) -> None:
        """Note that the broker has these."""

    def on_refused(self, token: T_contra, error: Exception) -> None:
        """Note that the broker did not take this one."""


class Link(Generic[T]):
    """A connection with one channel that confirms; each publication has a token by which its user knows it again."""

    def __init__(self, parameters: Any, name: str, user: LinkUser[T]) -> None:
        # pika tells each failed attempt in several lines and a traceback; here it is one.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        self.loop = IOLoop()
        self.is_opening = True
        self.is_blocked = False
        self._parameters = parameters
        self._user = user
        self._name = name
        self._back_off = BackOff()
        self._connection: Any = None
        self._channel: Any = None
        self._closing = False
        self._tag, self._lowest = 0, 1
        self._open_ones: dict[int, T] = {}

    def run(self) -> None:
        """Connect, and come back whenever the connection is lost, until `close` is called."""
        self._connect()
        self.loop.start()
        self.loop.close()

    @property
    def is_open(self) -> bool:
        """Whether something can be published now."""
        return self._channel is not None and not self.is_opening

    @property
    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    @property
    def open_ones(self) -> Iterable[T]:
        """The tokens of what was published and is not confirmed yet."""
        return self._open_ones.values()

    def works(self) -> None:
        """Note that whoever uses the link is set up; only now is the time of failed attempts over."""
        self.is_opening = False
        self._back_off.reset()
        log.info("broker connected", connection=self._name)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Send all that is published inside the block by one system call."""
        with self._connection.joined():
            yield

    def publish(self, publication: Publication, token: T | None, reply_to: str | None = None) -> None:
        """Publish, persistent and mandatory; without a token nobody learns whether it was confirmed.

        A message that cannot be written is refused at once.
        """
        tag = self._tag + 1
        properties = pika.BasicProperties(
            content_type=CONTENT_TYPE,
            delivery_mode=_PERSISTENT,
            message_id=publication.message_id,
            correlation_id=str(tag),  # a message that comes back says by this which one it is
            reply_to=reply_to,
            headers=dict(publication.headers) if publication.headers else None,
        )
        try:
            self._channel.basic_publish(
                publication.exchange, publication.key, publication.body, properties, mandatory=True
            )
        except _UNWRITABLE as error:
            log.exception("message cannot be written", message_id=publication.message_id)
            if token is not None:
                self._user.on_refused(token, BrokerAway(f"the message cannot be written: {error!r}"))
            return
        self._tag = tag
        if token is not None:
            self._open_ones[tag] = token

    def reply(self, to: str, body: bytes) -> None:
        """Publish answers to whoever asked; they may be lost.

        Nothing but the place where a sender listens is written to: the default exchange would lead to any queue.
        """
        if not to.startswith(f"{REPLY_QUEUE}."):
            log.warning("reply to nowhere", to=to)
            return
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=_TRANSIENT)
        self._channel.basic_publish(_DEFAULT_EXCHANGE, to, body, properties)
        self._tag += 1  # it is confirmed like the others

    def acknowledge(self, tag: int) -> None:
        """Acknowledge a delivery and all before it."""
        self._channel.basic_ack(tag, multiple=True)

    def reset(self, why: Exception) -> None:
        """Close the channel, which gives back everything that was delivered, and open another after a while."""
        channel = self._channel
        self._lose(why)
        if channel is not None and channel.is_open:
            channel.close()

    def close(self) -> None:
        """End the connection and then the loop, within a few seconds in any case."""
        if self._closing:
            return
        self._closing = True
        self.loop.call_later(_CLOSE_SECONDS, self.loop.stop)
        if self._connection is None:
            self.loop.stop()
            return
        try:
            self._connection.close()
        except AMQPError:
            self.loop.stop()

    # How it comes about

    def _connect(self) -> None:
        if self._closing:
            return
        self.is_opening = True
        self._connection = _Connection(
            self._parameters,
            on_open_callback=self._on_connected,
            on_open_error_callback=self._on_gone,
            on_close_callback=self._on_gone,
            custom_ioloop=self.loop,
        )

    def _on_connected(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._open_channel(connection)

    def _open_channel(self, connection: Any) -> None:
        if connection is self._connection and connection.is_open:
            self.is_opening = True
            connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_returned)
        channel.add_on_cancel_callback(lambda _: self.reset(BrokerAway("the broker ended the consumer")))
        # Not a moment sooner: what is published before the answer would not be counted by the broker, but by us.
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._on_confirming(channel))

    def _on_confirming(self, channel: Any) -> None:
        self._channel = channel
        self._tag, self._lowest, self._open_ones = 0, 1, {}
        self._user.on_open(channel)

    # How it goes

    def _on_channel_closed(self, channel: Any, reason: Exception) -> None:
        if channel is self._channel or self.is_opening:
            self._lose(reason)
        if self._connection is not None and self._connection.is_open:
            self.loop.call_later(self._back_off.next(), partial(self._open_channel, self._connection))

    def _on_gone(self, connection: Any, reason: Exception) -> None:
        if connection is not self._connection:
            return
        self._lose(reason)
        self._connection = None
        self.is_blocked = False
        if self._closing:
            self.loop.stop()
        else:
            self.loop.call_later(self._back_off.next(), self._connect)

    def _lose(self, reason: Exception) -> None:
        if not self._closing and (self._channel is not None or self.is_opening):
            log.warning("broker lost", connection=self._name, why=str(reason) or repr(reason))
        lost, self._open_ones = self._open_ones, {}
        self._channel = None
        self.is_opening = False
        self._user.on_lost(BrokerAway(f"the broker is away: {reason}"), lost.values())

    def _on_blocked(self, *_: Any) -> None:
        log.warning("broker takes nothing at present", connection=self._name)
        self.is_blocked = True

    def _on_unblocked(self, *_: Any) -> None:
        log.info("broker takes messages again", connection=self._name)
        self.is_blocked = False

    def _on_returned(self, _: Any, method: Any, properties: Any, __: bytes) -> None:
        # The broker confirms it all the same, right after this.
        token = self._open_ones.pop(int(properties.correlation_id), None)
        if token is not None:
            self._user.on_refused(token, Unroutable(f"no queue wants {method.routing_key}"))

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tags = range(self._lowest, method.delivery_tag + 1) if method.multiple else (method.delivery_tag,)
        if method.multiple or method.delivery_tag == self._lowest:
            self._lowest = method.delivery_tag + 1
        tokens = [token for tag in tags if (token := self._open_ones.pop(tag, None)) is not None]
        if isinstance(method, pika.spec.Basic.Ack):
            self._user.on_confirmed(tokens)
        else:
            for token in tokens:
                self._user.on_refused(token, BrokerAway("the broker refused the message"))


def link_parameters(url: str, name: str) -> Any:
    """Return pika's parameters for a URL, with heartbeat and time-outs, under a name that the broker shows."""
    parameters = pika.URLParameters(url)
    if "heartbeat=" not in url:
        parameters.heartbeat = _HEARTBEAT_SECONDS
    parameters.connection_attempts = 1
    parameters.socket_timeout = _CONNECT_SECONDS
    parameters.stack_timeout = _CONNECT_SECONDS
    parameters.client_properties = {"connection_name": name}
    return parameters
