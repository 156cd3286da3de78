"""The gateway's way to RabbitMQ: one connection in one thread a process, whatever the number of request threads."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from shared.messaging import replies
from shared.messaging.bus import BrokerAway, Publication, Sent
from shared.messaging.pika_link import REPLY_QUEUE, Link, link_parameters

_SENDER = "sender of commands"

log = structlog.get_logger()


class PikaSender:
    """The gateway's one connection; its thread starts with the first use, so that it may be made before a fork."""

    def __init__(self, url: str) -> None:
        self._parameters = link_parameters(url, _SENDER)
        self._listeners = replies.Listeners()
        self._outgoing: deque[tuple[Publication, Sent]] = deque()
        self._lock = threading.Lock()
        self._link: Link[tuple[Publication, Sent]] | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._flush_due = False

    def send(self, publication: Publication) -> Sent:
        """Publish a command and listen for replies; while the broker is away it fails at once."""
        sent = self._listeners.add(publication.message_id)
        link = self._running()
        self._outgoing.append((publication, sent))
        # One wake-up is enough for all that is handed over until the loop wakes.
        if link and not self._flush_due:
            self._flush_due = True
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
        self._flush_due = False  # before looking: what is handed over from now on wakes the loop again
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
                link.publish(item[0], item, REPLY_QUEUE)

    # The link

    def on_open(self, channel: Any) -> None:
        """Listen for replies first: a message may only name this channel as the place for them once it does."""
        channel.basic_consume(REPLY_QUEUE, self._on_reply, auto_ack=True, callback=self._on_listening)

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
        self._flush_due = False  # a wake-up that was lost with its loop must not be waited for
        while self._outgoing:
            self._fail(self._outgoing.popleft(), error)

    def _fail(self, item: tuple[Publication, Sent], error: Exception) -> None:
        publication, sent = item
        self._listeners.forget(publication.message_id, sent)
        replies.fail(sent, error)
