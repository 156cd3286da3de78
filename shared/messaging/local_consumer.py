"""A worker's consumer on the embedded broker: a thread that takes what is there and sleeps until the bell rings."""

import sqlite3
import time
from collections.abc import Sequence

import structlog

from shared.database import DatabaseAway
from shared.messaging.backoff import BackOff
from shared.messaging.bus import BrokerAway, Delivery, Handles, Processed
from shared.messaging.local_bus import Bell, LocalBus, Taker
from shared.settings import Settings

_JOBS_SECONDS = 1.0
_TIDY_SECONDS = 0.1

log = structlog.get_logger()


class LocalConsumer:
    """Consumes one service's queues in the thread that calls `run`."""

    def __init__(self, bus: LocalBus, handles: Handles, settings: Settings) -> None:
        self._bus = bus
        self._handles = handles
        self._sweep_seconds = settings.sweep_seconds
        self._bell = Bell()
        self._back_off = BackOff()
        self._stopping = False
        self._ready = False
        self._sweep_due = self._jobs_due = 0.0

    def run(self) -> None:
        """Consume until `stop` is called; raises Occupied where another process consumes from the same file."""
        with self._bus.taking(self._handles.queues, self._bell) as (reader, taker):
            try:
                while not self._stopping:
                    self._turn(reader, taker)
            finally:
                self._ready = False

    def stop(self) -> None:
        """Finish the batch in hand and make `run` return; may be called from any thread or a signal handler."""
        self._stopping = True
        self._bell.ring()

    def is_ready(self) -> bool:
        """Return whether messages are being consumed right now."""
        return self._ready

    def _turn(self, reader: sqlite3.Connection, taker: Taker) -> None:
        try:
            self._do_what_is_due()
            self._ready = True
            self._bell.hush()
            deliveries = self._bus.take(reader, taker, self._handles.batch)
            if deliveries:
                self._send(self._handles.process(deliveries), deliveries)
                self._bus.acknowledged(taker, deliveries)
            else:
                self._rest()
            self._back_off.reset()
        except (DatabaseAway, BrokerAway) as error:
            self._pause(taker, f"{error}")
        except Exception:
            # Nothing was acknowledged, so nothing is lost; what went wrong may be over the next time.
            log.exception("consuming failed", queues=taker.queues)
            self._pause(taker, "a defect")

    def _do_what_is_due(self) -> None:
        now = time.perf_counter()
        if now >= self._sweep_due:
            self._send(Processed(publications=self._handles.sweep()))
            self._sweep_due = now + self._sweep_seconds
        if now >= self._jobs_due:
            self._jobs_due = now + _JOBS_SECONDS
            self._send(self._handles.run_jobs())

    def _send(self, processed: Processed, done: Sequence[Delivery] = ()) -> None:
        if processed.urgent:
            self._jobs_due = 0.0
        unwanted = self._bus.exchange(processed.publications, done)
        for publication in unwanted:
            log.warning("no queue wants it", exchange=publication.exchange, key=publication.key)
        sent = [publication for publication in processed.publications if publication not in unwanted]
        self._handles.confirmed([publication.outbox_id for publication in sent if publication.outbox_id])
        for reply in processed.replies:
            self._bus.reply(reply)

    def _rest(self) -> None:
        """Wait for a message; after a moment without one, tidy up and wait for whatever falls due first."""
        if self._bell.wait(min(_TIDY_SECONDS, self._until_due())):
            return
        self._handles.tidy()
        self._bell.wait(self._until_due())

    def _until_due(self) -> float:
        return min(self._sweep_due, self._jobs_due) - time.perf_counter()

    def _pause(self, taker: Taker, why: str) -> None:
        self._ready = False
        self._bus.give_back(taker)
        self._sweep_due = 0.0  # it tells whether the database is back
        wait = self._back_off.next()
        log.warning("consuming paused", queues=taker.queues, why=why, seconds=round(wait, 1))
        until = time.perf_counter() + wait
        while not self._stopping and (left := until - time.perf_counter()) > 0:
            self._bell.wait(left)
