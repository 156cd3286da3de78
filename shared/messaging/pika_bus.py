"""RabbitMQ where messages run hot: a worker's consumer and the gateway's sender, each one connection in one thread.

Both stand on a `Link`: a connection that comes back by itself, with one channel whose publications are confirmed. A
publication is persistent and mandatory; which of them the broker has is learnt later, many at a time, so that nobody
waits for one. What is not confirmed stays in the outbox, and the next sweep publishes it again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import pika
import structlog
from pika.adapters.select_connection import IOLoop
from pika.exceptions import AMQPError

from shared.database import DatabaseAway
from shared.messaging import replies
from shared.messaging.backoff import BackOff
from shared.messaging.bus import BrokerAway, Delivery, Handles, Processed, Publication, Sent, Unroutable
from shared.messaging.envelope import CONTENT_TYPE
from shared.settings import Settings

_HEARTBEAT_SECONDS = 60
_CONNECT_SECONDS = 10
_CLOSE_SECONDS = 3.0
_CONFIRM_SECONDS = 2.0
_TICK_SECONDS = 0.1
_JOBS_SECONDS = 1.0

_SENDER = "sender of commands"
_DEFAULT_EXCHANGE = ""
_REPLY_QUEUE = "amq.rabbitmq.reply-to"
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
        """Publish, persistent and mandatory; without a token nobody learns whether it was confirmed."""
        tag = self._tag + 1
        properties = pika.BasicProperties(
            content_type=CONTENT_TYPE,
            delivery_mode=_PERSISTENT,
            message_id=publication.message_id,
            correlation_id=str(tag),  # a message that comes back says by this which one it is
            reply_to=reply_to,
            headers=dict(publication.headers) if publication.headers else None,
        )
        self._channel.basic_publish(
            publication.exchange, publication.key, publication.body, properties, mandatory=True
        )
        self._tag = tag
        if token is not None:
            self._open_ones[tag] = token

    def reply(self, to: str, body: bytes) -> None:
        """Publish answers to whoever asked; they may be lost."""
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


def _parameters(url: str, name: str) -> Any:
    parameters = pika.URLParameters(url)
    if "heartbeat=" not in url:
        parameters.heartbeat = _HEARTBEAT_SECONDS
    parameters.connection_attempts = 1
    parameters.socket_timeout = _CONNECT_SECONDS
    parameters.stack_timeout = _CONNECT_SECONDS
    parameters.client_properties = {"connection_name": name}
    return parameters


class PikaConsumer:
    """Consumes one service's queues, in the thread that calls `run`; implements `Consumer`."""

    def __init__(self, url: str, handles: Handles, settings: Settings) -> None:
        self._handles = handles
        self._prefetch = settings.prefetch
        self._linger = settings.linger_milliseconds / 1000
        self._sweep_seconds = settings.sweep_seconds
        self._name = f"consumer of {' and '.join(handles.queues)}"
        self._parameters = _parameters(url, self._name)
        self._link: Link[str]
        self._waiting: list[Delivery] = []
        self._flush_due = False
        self._last_batch = 0
        self._busy = False
        self._consuming = False
        self._stopping = False
        self._stop_by: float | None = None
        self._sweep_at = self._jobs_at = 0.0
        self._fatal: BaseException | None = None

    def run(self) -> None:
        """Consume until `stop` is called, reconnecting whenever the broker or the database comes back."""
        self._link = Link(self._parameters, self._name, self)
        self._link.loop.call_later(_TICK_SECONDS, self._tick)
        self._link.run()
        self._consuming = False
        if self._fatal:
            raise self._fatal

    def stop(self) -> None:
        """Finish the batch in hand, flush, and make `run` return; may be called from any thread or a signal handler."""
        # No more than a flag: waking the loop takes a lock, which the interrupted code may hold.
        self._stopping = True

    def is_ready(self) -> bool:
        """Return whether messages are being consumed right now."""
        return self._consuming and not self._link.is_blocked

    # The link

    def on_open(self, channel: Any) -> None:
        """Publish what the outbox still holds, then begin to consume."""
        self._guard(self._begin, channel)

    def on_lost(self, error: Exception, open_ones: Iterable[str]) -> None:
        """Forget what was delivered: the broker delivers it again, and the sweep publishes what was not confirmed."""
        del error, open_ones
        self._consuming = False
        self._waiting.clear()

    def on_confirmed(self, tokens: Sequence[str]) -> None:
        """Let the next transaction remove these rows of the outbox."""
        self._handles.confirmed(tokens)

    def on_refused(self, token: str, error: Exception) -> None:
        """Leave the row to the sweep."""
        log.warning("publication refused", outbox_id=token, why=str(error))

    def _begin(self, channel: Any) -> None:
        if self._stopping:
            return
        self._sweep()  # before anything is taken: it fails where the database is away
        channel.basic_qos(prefetch_count=self._prefetch)
        for queue in self._handles.queues:
            channel.basic_consume(queue, partial(self._on_message, queue), callback=self._on_consuming)

    def _on_consuming(self, _: Any) -> None:
        if not self._consuming:
            self._consuming = True
            self._link.works()

    # Messages

    def _on_message(self, queue: str, _: Any, method: Any, properties: Any, body: bytes) -> None:
        if not self._consuming:
            return
        self._waiting.append(
            Delivery(
                queue=queue,
                body=body,
                tag=method.delivery_tag,
                message_id=properties.message_id,
                reply_to=properties.reply_to,
                headers=properties.headers or {},
            )
        )
        if len(self._waiting) >= self._handles.batch:
            self._flush()
        elif not self._flush_due:
            self._flush_due = True
            # A message that comes alone is handled at once; under load, a moment's patience makes fuller batches.
            self._link.loop.call_later(self._linger if self._last_batch > 1 else 0, self._on_flush_due)

    def _on_flush_due(self) -> None:
        self._flush_due = False
        self._flush()

    def _flush(self) -> None:
        while self._waiting and not self._stopping and not self._link.is_blocked:
            batch = self._waiting[: self._handles.batch]
            del self._waiting[: len(batch)]
            self._last_batch = len(batch)
            self._guard(self._handle, batch)

    def _handle(self, batch: Sequence[Delivery]) -> None:
        self._busy = True
        self._send(self._handles.process(batch), batch[-1].tag)

    def _send(self, processed: Processed, done: int | None = None) -> None:
        """Publish, answer and, at the last, acknowledge all deliveries up to ``done``."""
        with self._link.joined():
            for publication in processed.publications:
                self._link.publish(publication, publication.outbox_id)
            for to, body in replies.pack(processed.replies).items():
                self._link.reply(to, body)
            if done is not None:
                self._link.acknowledge(done)

    # The clock

    def _tick(self) -> None:
        if self._stopping:
            self._stop_in_order()
        elif self._consuming and not self._link.is_blocked:
            self._flush()  # what waited while the broker was blocked
            self._guard(self._do_what_is_due)
        self._link.loop.call_later(_TICK_SECONDS, self._tick)

    def _do_what_is_due(self) -> None:
        now = time.perf_counter()
        if now >= self._sweep_at:
            self._sweep()
        if now >= self._jobs_at:
            self._jobs_at = now + _JOBS_SECONDS
            self._send(self._handles.run_jobs())
        if not self._busy:
            self._handles.tidy()
        self._busy = False

    def _sweep(self) -> None:
        self._sweep_at = time.perf_counter() + self._sweep_seconds
        under_way = set(self._link.open_ones)
        due = [found for found in self._handles.sweep() if found.outbox_id not in under_way]
        self._send(Processed(publications=due))

    def _stop_in_order(self) -> None:
        """Take no more, wait a moment for confirms, remove what they confirm, and close."""
        if self._stop_by is None:
            self._stop_by = time.perf_counter() + _CONFIRM_SECONDS
            self._consuming = False
            self._waiting.clear()
        confirmed = not any(True for _ in self._link.open_ones)
        if confirmed or time.perf_counter() >= self._stop_by:
            try:
                self._handles.tidy()
            except DatabaseAway:
                log.warning("outbox not tidied: the database is away")
            self._link.close()

    def _guard(self, do: Callable[..., None], *arguments: Any) -> None:
        """Do something that may fail; then nothing is acknowledged, and all is taken up again after a while."""
        try:
            do(*arguments)
        except (DatabaseAway, BrokerAway) as error:
            self._link.reset(error)
        except Exception as error:
            log.exception("consuming failed", connection=self._name)
            self._link.reset(error)
        except BaseException as error:  # noqa: BLE001 - `run` raises it, once the broker has everything back
            self._fatal = error
            self._consuming = False
            self._waiting.clear()
            self._link.close()


class PikaSender:
    """The gateway's one connection; its thread starts with the first use, so that it may be made before a fork."""

    def __init__(self, url: str) -> None:
        self._parameters = _parameters(url, _SENDER)
        self._listeners = replies.Listeners()
        self._outgoing: deque[tuple[Publication, Sent]] = deque()
        self._lock = threading.Lock()
        self._link: Link[tuple[Publication, Sent]] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def send(self, publication: Publication) -> Sent:
        """Publish a command and listen for replies; while the broker is away it fails at once."""
        sent = self._listeners.add(publication.message_id)
        link = self._running()
        self._outgoing.append((publication, sent))
        if link:
            link.loop.add_callback_threadsafe(self._flush)
        if self._closed:
            self._give_up_outgoing(BrokerAway("the sender is closed"))
        return sent

    def forget(self, command_id: str, sent: Sent) -> None:
        """Stop listening for replies to a command."""
        self._listeners.forget(command_id, sent)

    def is_ready(self) -> bool:
        """Return whether a command could be sent right now; where nothing was sent yet, it connects."""
        link = self._running()
        return link is not None and link.is_open and not link.is_blocked

    def close(self) -> None:
        """Close the connection; whoever still waits is told so."""
        with self._lock:
            self._closed = True
            link, thread = self._link, self._thread
        if link and thread:
            link.loop.add_callback_threadsafe(link.close)
            thread.join()
        self._give_up(BrokerAway("the sender is closed"))

    def _running(self) -> Link[tuple[Publication, Sent]] | None:
        if self._link is None or self._closed:
            with self._lock:
                if self._closed:
                    return None
                if self._link is None:
                    self._link = Link(self._parameters, _SENDER, self)
                    self._thread = threading.Thread(
                        target=self._serve, args=(self._link,), name="sender", daemon=True
                    )
                    self._thread.start()
        return self._link

    def _serve(self, link: Link[tuple[Publication, Sent]]) -> None:
        try:
            link.run()
        finally:
            # Even a defect may not leave anyone waiting; the next one to send starts over.
            self._link = None
            self._give_up(BrokerAway("the sender has ended"))

    def _flush(self) -> None:
        """Publish what threads have handed over; while the link is being opened, that waits."""
        link = self._link
        if link is None or link.is_opening:
            return
        if not link.is_open or link.is_blocked:
            self._give_up_outgoing(
                BrokerAway("the broker is away" if not link.is_open else "the broker is full")
            )
            return
        with link.joined():
            while self._outgoing:
                item = self._outgoing.popleft()
                try:
                    link.publish(item[0], item, _REPLY_QUEUE)
                except Exception as error:
                    log.exception("command cannot be published", message_id=item[0].message_id)
                    self._fail(item, BrokerAway(f"the message cannot be published: {error!r}"))

    # The link

    def on_open(self, channel: Any) -> None:
        """Listen for replies first: a message may only name this channel as the place for them once it does."""
        channel.basic_consume(_REPLY_QUEUE, self._on_reply, auto_ack=True, callback=self._on_listening)

    def _on_listening(self, _: Any) -> None:
        assert self._link
        self._link.works()
        self._flush()

    def _on_reply(self, _: Any, __: Any, ___: Any, body: bytes) -> None:
        try:
            for command_id, content in replies.unpack(body):
                self._listeners.hear(command_id, content)
        except (ValueError, TypeError, AttributeError):
            log.exception("reply cannot be read")

    def on_lost(self, error: Exception, open_ones: Iterable[tuple[Publication, Sent]]) -> None:
        """Tell everyone: what was not confirmed may be lost, and replies come to this channel only."""
        for item in open_ones:
            self._fail(item, error)
        self._give_up(error)

    def on_confirmed(self, tokens: Sequence[tuple[Publication, Sent]]) -> None:
        """Tell those who wait."""
        for _, sent in tokens:
            replies.resolve(sent.confirmed, None)

    def on_refused(self, token: tuple[Publication, Sent], error: Exception) -> None:
        """Tell the one who waits."""
        self._fail(token, error)

    def _give_up(self, error: Exception) -> None:
        self._give_up_outgoing(error)
        self._listeners.fail_all(error)

    def _give_up_outgoing(self, error: Exception) -> None:
        while self._outgoing:
            self._fail(self._outgoing.popleft(), error)

    def _fail(self, item: tuple[Publication, Sent], error: Exception) -> None:
        publication, sent = item
        self._listeners.forget(publication.message_id, sent)
        replies.fail(sent, error)
