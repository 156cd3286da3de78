"""A worker's consumer on RabbitMQ: one connection in one thread; a callback collects, a flush dispatches.

What is not confirmed stays in the outbox, and the next sweep publishes it again.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import structlog

from shared.database import DatabaseAway
from shared.messaging import replies
from shared.messaging.bus import BrokerAway, Delivery, Handles, Processed
from shared.messaging.pika_link import Link, link_parameters
from shared.settings import Settings

_CONFIRM_SECONDS = 2.0
_TICK_SECONDS = 0.1
_JOBS_SECONDS = 1.0

log = structlog.get_logger()


class PikaConsumer:
    """Consumes one service's queues, in the thread that calls `run`; implements `Consumer`."""

    def __init__(self, url: str, handles: Handles, settings: Settings) -> None:
        self._handles = handles
        self._prefetch = settings.prefetch
        self._linger = settings.linger_milliseconds / 1000
        self._sweep_seconds = settings.sweep_seconds
        self._name = f"consumer of {' and '.join(handles.queues)}"
        self._parameters = link_parameters(url, self._name)
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
        if processed.urgent:
            self._jobs_at = 0.0
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
        elif not self._link.is_blocked:
            self._flush()  # what waited while the broker was blocked
            if self._consuming:
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
        all_confirmed = not any(True for _ in self._link.open_ones)
        if not self._link.is_closing and (all_confirmed or time.perf_counter() >= self._stop_by):
            try:
                self._handles.tidy()
            except Exception:
                log.exception("outbox not tidied", connection=self._name)  # the next sweep does
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
