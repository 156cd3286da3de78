"""The dispatcher: takes a batch of messages, opens one transaction, and lets nothing be lost or happen twice.

In that transaction commit together: the inbox (a second delivery drops out), what the handlers changed, and the outbox.
A batch that fails is rolled back and replayed message by message, so that one bad message hurts nobody else:

    rejected     the domain says no          inbox + ``command-rejected``
    unavailable  a lock was lost             a few quick tries, then a delayed retry through the outbox
    defect       anything else, or no tries left    a dead letter + ``command-failed``
    DatabaseAway                             raised: the consumer stops, acknowledges nothing and reconnects
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import orm

from shared.actor import Verifier
from shared.clock import Clock
from shared.contracts import names
from shared.contracts.types import Channel
from shared.database import Database, DatabaseAway
from shared.errors import Unavailable
from shared.ids import new_message_id
from shared.messaging import inbox, outbox
from shared.messaging.bus import Delivery, Processed, Publication
from shared.messaging.dead_letter import dead_letter, failure_of
from shared.messaging.envelope import Envelope, decode, encode
from shared.messaging.handling import Handling, named_in
from shared.messaging.intake import Heard, Intake, Readable, Unreadable
from shared.messaging.publishing import publication_of
from shared.messaging.transaction import Batch, Transaction
from shared.observability import Metrics, lines
from shared.service import Errand, Job, Observed, Service
from shared.settings import Settings

QUICK_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.02

log = structlog.get_logger()


_Done = tuple[Heard, str, dict[str, Any]]


class Dispatcher:
    """Handles the messages of one service; used by one consumer, in one thread."""

    def __init__(
        self,
        service: Service,
        database: Database,
        *,
        settings: Settings,
        verifier: Verifier,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.service = service
        self.queues: tuple[str, ...] = (names.commands_queue(service.name), names.events_queue(service.name))
        self.batch = settings.batch
        self._database = database
        self._settings = settings
        self._handling = Handling(service, verifier, settings)
        self._clock = clock
        self._metrics = metrics
        self._inbox = service.metadata.tables["inbox"]
        self._outbox = service.metadata.tables["outbox"]
        self._confirmed: list[str] = []
        self._job_due: dict[str, datetime] = {}
        self._intake = Intake(service)

    def process(self, deliveries: Sequence[Delivery]) -> Processed:
        """Handle a batch; raises DatabaseAway, with the deliveries still to be acknowledged, where there is no database."""
        with lines.together():
            return self._process(deliveries)

    def _process(self, deliveries: Sequence[Delivery]) -> Processed:
        try:
            return self._together(deliveries)
        except DatabaseAway:
            raise
        except Exception as error:  # noqa: BLE001 - each message now gets a try of its own
            log.info(
                "batch replayed one by one",
                service=self.service.name,
                messages=len(deliveries),
                why=repr(error),
            )
        processed = Processed()
        for delivery in deliveries:
            processed.add(self._alone(delivery))
        return processed

    def confirmed(self, outbox_ids: Sequence[str]) -> None:
        """Note that the broker has these rows; the next transaction removes them."""
        self._confirmed += outbox_ids

    def sweep(self) -> list[Publication]:
        """Return what lies in the outbox and is due, and bring the outbox's figures up to date."""
        now = self._clock()
        with self._transaction() as session:
            due = outbox.lease_due(session, self._outbox, now)
            count, lag = outbox.lag(session, self._outbox, now)
        self._metrics.outbox_rows.labels(self.service.name).set(count)
        self._metrics.outbox_lag.labels(self.service.name).set(lag)
        if due:
            log.info("outbox swept", service=self.service.name, rows=len(due))
        return due

    def tidy(self) -> None:
        """Remove confirmed rows while nothing else is to be done."""
        if self._confirmed:
            with self._transaction():
                pass

    def run_jobs(self) -> Processed:
        """Do what the clock has made due, each job in its own transaction, an errand in several."""
        processed = Processed()
        for job in (*self.service.jobs, *self._own_jobs()):
            now = self._clock()
            if self._job_due.get(job.name, now) <= now:
                self._job_due[job.name] = now + job.every
                processed.add(self._run(job))
        return processed

    # One transaction

    def _together(self, deliveries: Sequence[Delivery]) -> Processed:
        started, now = time.perf_counter(), self._clock()
        read = [self._intake.read(delivery) for delivery in deliveries]
        readable = [item for item in read if isinstance(item, Readable)]
        unreadable = [item for item in read if isinstance(item, Unreadable)]
        with self._transaction() as session:
            batch = self._new_batch(session, now)
            self._observe(readable, batch)
            fresh = self._fresh([item for item in readable if isinstance(item, Heard)], batch)
            named = named_in(self.service, [(item.contract, item.message) for item in fresh])
            for kind, ids in named.items():
                batch.load(kind, ids)
            done: list[_Done] = [(item, *self._handling.handle(item, batch)) for item in fresh]
            batch.flush()
            kept = [publication_of(event) for event in batch.events]
            for item in unreadable:
                kept += self._burial(item.delivery, item.why, now)
            self._keep(session, kept, now)
        self._note(readable, done, time.perf_counter() - started)
        return Processed(kept, batch.replies, urgent=self._wake(batch))

    def _observe(self, readable: Sequence[Readable], batch: Batch) -> None:
        if self.service.observe and readable:
            seen = [Observed(envelope=item.envelope, reply_to=item.delivery.reply_to) for item in readable]
            self.service.observe(seen, Transaction(batch, seen[0].envelope))

    def _fresh(self, items: Sequence[Heard], batch: Batch) -> list[Heard]:
        """Return the items not handled before, each once, and enter them in the inbox."""
        first: dict[str, Heard] = {}
        for item in items:
            first.setdefault(item.envelope.id, item)
        new = inbox.take_in(batch.session, self._inbox, first.keys(), batch.now)
        repeated = len(items) - len(new)
        if repeated:
            self._metrics.duplicates.labels(self.service.name).inc(repeated)
        return [item for id_, item in first.items() if id_ in new]

    # When a message cannot be handled with the others

    def _alone(self, delivery: Delivery) -> Processed:
        lost: Unavailable | None = None
        for pause in (_FIRST_PAUSE_SECONDS * 2**n for n in range(QUICK_TRIES)):
            try:
                return self._together([delivery])
            except DatabaseAway:
                raise
            except Unavailable as error:
                lost = error
                time.sleep(pause)
            except Exception as error:
                log.error(
                    "handling failed",
                    service=self.service.name,
                    message_id=delivery.message_id,
                    exc_info=error,
                )
                return self._bury(delivery, error)
        return self._put_off(delivery, lost)

    def _put_off(self, delivery: Delivery, why: Unavailable | None) -> Processed:
        envelope, now = decode(delivery.body).again(), self._clock()
        if envelope.attempt >= self._settings.attempts:
            return self._bury(delivery, why)
        again = Publication(
            exchange=names.QUEUES,
            key=delivery.queue,
            body=encode(envelope),
            message_id=envelope.id,
            outbox_id=new_message_id(),
        )
        wait = timedelta(seconds=self._settings.retry_seconds * 2 ** (envelope.attempt - 1))
        with self._transaction() as session:
            outbox.keep(session, self._outbox, [(again, now + wait)], now)
        self._metrics.retries.labels(self.service.name).inc()
        facts = {"message_id": envelope.id, "attempt": envelope.attempt, "why": str(why)}
        log.warning("message put off", service=self.service.name, **facts)
        return Processed()

    def _bury(self, delivery: Delivery, why: Exception | None) -> Processed:
        now = self._clock()
        letters = self._burial(delivery, why, now)
        with self._transaction() as session:
            self._keep(session, letters, now)
        return Processed(letters)

    def _burial(self, delivery: Delivery, why: Exception | None, now: datetime) -> list[Publication]:
        """Return the dead letter and, for a command, its ``command-failed``."""
        self._metrics.dead_letters.labels(self.service.name, delivery.queue).inc()
        facts = {"queue": delivery.queue, "message_id": delivery.message_id, "why": str(why)}
        log.error("message is a dead letter", service=self.service.name, **facts)
        failed = failure_of(delivery, self.service.name, now)
        return [dead_letter(delivery, why, now), *([failed] if failed else [])]

    # Small parts

    def _run(self, job: Job | Errand) -> Processed:
        processed = Processed()

        def transact() -> AbstractContextManager[Transaction]:
            return self._by_the_clock(processed)

        try:
            if isinstance(job, Errand):
                count = job.run(transact)
            else:
                with transact() as tx:
                    count = job.run(tx)
        except DatabaseAway:
            raise
        except Exception:
            # The next tick tries again; a job must not keep its service from handling messages.
            log.exception("job failed", service=self.service.name, job=job.name)
            return processed
        if count:
            log.info("job done", service=self.service.name, job=job.name, count=count)
        return processed

    @contextmanager
    def _by_the_clock(self, processed: Processed) -> Iterator[Transaction]:
        """Open a transaction that no message caused; what it publishes is added once it is committed."""
        ids, now = new_message_id(), self._clock()
        envelope = Envelope(
            id=ids,
            key=f"{self.service.name}.job.v1",
            source=self.service.name,
            time=now,
            data={},
            correlation_id=ids,
            channel=Channel.SYSTEM,
        )
        with self._transaction() as session:
            batch = self._new_batch(session, now)
            yield Transaction(batch, envelope)
            batch.flush()
            kept = [publication_of(event) for event in batch.events]
            self._keep(session, kept, now)
        processed.add(Processed(kept, batch.replies, urgent=self._wake(batch)))

    def _wake(self, batch: Batch) -> bool:
        """Make due what the batch has woken, and return whether that is anything."""
        for name in batch.woken:
            self._job_due.pop(name, None)
        return bool(batch.woken)

    def _own_jobs(self) -> Iterator[Job]:
        age = timedelta(days=self._settings.inbox_days)
        yield Job(
            name="forget-inbox",
            every=timedelta(hours=1),
            run=lambda tx: inbox.forget_before(tx.session, self._inbox, tx.now - age),
        )
        if self.service.holds:
            yield Job(name="expire-held", every=timedelta(minutes=1), run=self._handling.expire)

    def _new_batch(self, session: orm.Session, now: datetime) -> Batch:
        service = self.service
        return Batch(session, service.name, now, self._settings, service.aggregates, service.settle_item)

    def _keep(self, session: orm.Session, publications: Sequence[Publication], now: datetime) -> None:
        outbox.keep(session, self._outbox, [(publication, None) for publication in publications], now)

    @contextmanager
    def _transaction(self) -> Iterator[orm.Session]:
        """Open a transaction that also removes the outbox rows confirmed so far: no commit of their own."""
        gone = self._confirmed[:]
        with self._database.write() as session:
            outbox.remove(session, self._outbox, gone)
            yield session
        del self._confirmed[: len(gone)]

    def _note(self, readable: Sequence[Readable], done: Sequence[_Done], seconds: float) -> None:
        name = self.service.name
        if not readable:
            return
        self._metrics.batch_messages.labels(name).observe(len(readable))
        for key, count in Counter(item.envelope.key for item in readable).items():
            timed = self._metrics.message_seconds.labels(name, key)
            for _ in range(count):
                timed.observe(seconds / len(readable))
        for (key, outcome), count in Counter(
            (item.envelope.key, outcome) for item, outcome, _ in done
        ).items():
            self._metrics.messages.labels(name, key, outcome).inc(count)
        for item, outcome, facts in done:
            log.info(
                "handled",
                service=name,
                message=item.envelope.key,
                message_id=item.envelope.id,
                command_id=item.envelope.correlation_id,
                outcome=outcome,
                **facts,
            )
