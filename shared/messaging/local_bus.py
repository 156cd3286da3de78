"""The embedded broker: durable queues in one SQLite file, for the shape in which everything is one process.

It routes by the same `Topology` as RabbitMQ and keeps the same promises: what was published survives a kill or a power
cut (``synchronous=FULL``), what was taken comes back unless it was acknowledged, and what no queue wants is refused.
A batch's publications and acknowledgements are one transaction, so a step of a command costs one flush to disk.

Who holds which message is remembered in memory only. A process that ends, however it ends, thereby gives everything
back; a file of its own that only one process can lock keeps a second process from consuming the same queues.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import orjson
import structlog

from shared.errors import CardworkError
from shared.messaging.bus import BrokerAway, Delivery, Publication, Reply, Unroutable
from shared.messaging.topology import Topology

_LOCK_SECONDS = 30
_OWNER_SECONDS = 5
_LONGEST_SLEEP_SECONDS = 1.0

# Ids are never used twice (AUTOINCREMENT), so that a message cannot be taken for one that was acknowledged before it.
_TABLES = """
create table if not exists message (
    id integer primary key autoincrement,
    queue text not null,
    message_id text not null,
    reply_to text,
    headers text,
    body blob not null
);
create index if not exists message_by_queue on message (queue, id);
"""
_INSERT = "insert into message (queue, message_id, reply_to, headers, body) values (?, ?, ?, ?, ?)"
_DELETE = "delete from message where id = ?"
_OLDEST = """select * from (
    select id, queue, message_id, reply_to, headers, body from message where queue = ? order by id limit ?
)"""

log = structlog.get_logger()

_Row = tuple[str, str, str | None, str | None, bytes]


class Occupied(CardworkError):
    """Another process consumes from these queues; the message names their file."""


class Bell:
    """Wakes whoever waits for messages. Unlike an event it may be rung from a signal handler."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wake the waiting thread, or keep it from falling asleep."""
        if self._rings.empty():
            self._rings.put(None)

    def hush(self) -> None:
        """Forget rings so far; call it before looking for messages, never after."""
        try:
            while True:
                self._rings.get_nowait()
        except Empty:
            return

    def wait(self, seconds: float) -> bool:
        """Sleep until it rings, and return whether it did."""
        try:
            self._rings.get(timeout=max(seconds, 0))
        except Empty:
            return False
        return True


@dataclass(eq=False, slots=True)
class Taker:
    """Somebody who takes messages, in one thread; what it holds is nobody else's as long as that thread lives."""

    queues: Sequence[str]
    bell: Bell
    thread: threading.Thread = field(default_factory=threading.current_thread)
    held: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Change:
    """One thread's wish for the next transaction."""

    rows: list[_Row]
    gone: Sequence[int] = ()
    then: Callable[[BrokerAway | None], None] | None = None
    done: bool = False
    error: BrokerAway | None = None


class LocalBus:
    """The queues in one file; safe among threads."""

    def __init__(self, file: Path, topology: Topology) -> None:
        self._file = file
        self._topology = topology
        self._changes: deque[_Change] = deque()
        self._writing = threading.Lock()
        self._taking = threading.Lock()
        self._takers: list[Taker] = []
        self._askers: dict[str, Callable[[Reply], None]] = {}
        self._written = Bell()
        self._writing_thread: threading.Thread | None = None
        self._closed = False
        self._owner: sqlite3.Connection | None = None
        file.parent.mkdir(parents=True, exist_ok=True)
        self._writer = self._connect()
        self._writer.executescript(_TABLES)

    # Publishing

    def publish(self, publication: Publication) -> None:
        """Put a message into every queue that wants it; raises Unroutable where none does, BrokerAway if it cannot."""
        self._change(_Change(self._wanted_rows(publication, None)))

    def publish_soon(
        self, publication: Publication, reply_to: str, then: Callable[[BrokerAway | None], None]
    ) -> None:
        """Hand a message to the writing thread; raises Unroutable where no queue wants it, BrokerAway once closed.

        ``then`` is called, in another thread, when it is committed or when it could not be. What many threads publish
        at about the same time shares one flush to disk.
        """
        change = _Change(self._wanted_rows(publication, reply_to), then=then)
        self._start_writing()
        self._changes.append(change)
        self._written.ring()
        if self._closed:
            self._commit_waiting()  # nobody else may do it any more; it says at least that it cannot be done

    def exchange(
        self, publications: Sequence[Publication], done: Sequence[Delivery] = ()
    ) -> list[Publication]:
        """Publish and acknowledge in one transaction, and return the publications that no queue wants."""
        rows, unwanted = [], []
        for publication in publications:
            routed = self._rows(publication, None)
            rows += routed
            if not routed:
                unwanted.append(publication)
        if rows or done:
            self._change(_Change(rows, [delivery.tag for delivery in done]))
        return unwanted

    def replace(self, delivery: Delivery, publication: Publication) -> None:
        """Publish one message in place of another, in one transaction; raises as `publish`, with nothing done."""
        self._change(_Change(self._wanted_rows(publication, None), [delivery.tag]))

    def reply(self, reply: Reply) -> None:
        """Hand an answer to its asker; where that is gone, so is the question."""
        hear = self._askers.get(reply.to)
        if hear:
            hear(reply)

    def _rows(self, publication: Publication, reply_to: str | None) -> list[_Row]:
        headers = orjson.dumps(publication.headers).decode() if publication.headers else None
        queues = self._topology.destinations(publication.exchange, publication.key)
        return [(queue, publication.message_id, reply_to, headers, publication.body) for queue in queues]

    def _wanted_rows(self, publication: Publication, reply_to: str | None) -> list[_Row]:
        rows = self._rows(publication, reply_to)
        if not rows:
            raise Unroutable(f"no queue wants {publication.key}")
        return rows

    def _change(self, change: _Change) -> None:
        """Have a change committed together with all that wait, by whoever gets the lock first."""
        self._changes.append(change)
        with self._writing:
            finished = [] if change.done else self._commit()
        _tell(finished)
        if change.error:
            raise change.error

    def _commit(self) -> list[_Change]:
        """Commit every change that waits, and return them; the caller holds the lock, and tells them after it."""
        changes = []
        while self._changes:
            changes.append(self._changes.popleft())
        fault = self._write_down(changes)
        for change in changes:
            # One that cannot be written must not take the others down with it.
            change.error = self._write_down([change]) if fault and len(changes) > 1 else fault
            change.done = True
        self._wake({row[0] for change in changes for row in change.rows})
        return changes

    def _write_down(self, changes: Sequence[_Change]) -> BrokerAway | None:
        """Commit changes in one transaction, or return why none of them was."""
        try:
            with _transaction(self._writer):
                self._writer.executemany(_INSERT, [row for change in changes for row in change.rows])
                self._writer.executemany(_DELETE, [(id_,) for change in changes for id_ in change.gone])
        except Exception as error:
            log.exception("queues cannot be written", file=str(self._file), changes=len(changes))
            return BrokerAway(f"the queues in {self._file} cannot be written: {error!r}")
        return None

    def _start_writing(self) -> None:
        if self._writing_thread is None or self._closed:
            with self._writing:
                if self._closed:
                    raise BrokerAway("the bus is closed")
                if self._writing_thread is None:
                    self._writing_thread = threading.Thread(target=self._write, name="local-bus", daemon=True)
                    self._writing_thread.start()

    def _write(self) -> None:
        closing = False
        while not closing:
            self._written.wait(_LONGEST_SLEEP_SECONDS)
            self._written.hush()
            closing = self._closed  # asked first, so that what came in before is written once more
            self._commit_waiting()

    def _commit_waiting(self) -> None:
        with self._writing:
            finished = self._commit() if self._changes else []
        _tell(finished)

    # Taking

    def take(self, reader: sqlite3.Connection, taker: Taker, most: int) -> list[Delivery]:
        """Return the oldest messages of the taker's queues that nobody holds; from now on the taker does."""
        with self._taking:
            held = self._held_from(taker.queues)
            limit = most + len(held)
            one_queue_each = [value for queue in taker.queues for value in (queue, limit)]
            statement = " union all ".join([_OLDEST] * len(taker.queues)) + " order by id limit ?"
            try:
                found = reader.execute(statement, (*one_queue_each, limit)).fetchall()
            except sqlite3.Error as error:
                raise BrokerAway(f"the queues in {self._file} cannot be read") from error
            taken = [row for row in found if row[0] not in held][:most]
            taker.held.update(row[0] for row in taken)
        return [_delivery(row) for row in taken]

    def give_back(self, taker: Taker) -> None:
        """Let others take what the taker still holds."""
        with self._taking:
            taker.held.clear()
        self._wake(set(taker.queues))

    def acknowledged(self, taker: Taker, deliveries: Sequence[Delivery]) -> None:
        """Note that these are no longer in their queues."""
        with self._taking:
            taker.held.difference_update(delivery.tag for delivery in deliveries)

    @contextmanager
    def taking(self, queues: Sequence[str], bell: Bell) -> Iterator[tuple[sqlite3.Connection, Taker]]:
        """Be one that takes messages, in this thread; raises Occupied where another process does already."""
        self._become_owner()
        reader, taker = self._connect(), Taker(queues, bell)
        with self._taking:
            self._takers.append(taker)
        try:
            yield reader, taker
        finally:
            with self._taking:
                self._takers.remove(taker)
            self._wake(set(queues))
            reader.close()

    def _held_from(self, queues: Sequence[str]) -> set[int]:
        """Return what living threads hold of these queues."""
        self._takers = [taker for taker in self._takers if taker.thread.is_alive()]
        sharing = (taker for taker in self._takers if not set(queues).isdisjoint(taker.queues))
        return {id_ for taker in sharing for id_ in taker.held}

    def _wake(self, queues: set[str]) -> None:
        for taker in list(self._takers):
            if not queues.isdisjoint(taker.queues):
                taker.bell.ring()

    # Looking, for tools

    def lying_in(self, queue: str, after: int = 0, most: int = 100) -> list[Delivery]:
        """Return messages of a queue, the oldest first, without taking them; ``after`` is the tag of the last seen."""
        select = "select id, queue, message_id, reply_to, headers, body from message"
        with self._writing:
            found = self._writer.execute(
                f"{select} where queue = ? and id > ? order by id limit ?", (queue, after, most)
            ).fetchall()
        return [_delivery(row) for row in found]

    def count(self, queue: str) -> int:
        """Return how many messages a queue holds."""
        with self._writing:
            (count,) = self._writer.execute(
                "select count(*) from message where queue = ?", (queue,)
            ).fetchone()
        return int(count)

    def answers(self) -> bool:
        """Return whether the queues can be read right now."""
        try:
            with self._writing:
                self._writer.execute("select 1 from message limit 1")
        except sqlite3.Error:
            return False
        return True

    # Being asked

    def attach(self, name: str, hear: Callable[[Reply], None]) -> None:
        """Let replies to ``name`` be heard."""
        self._askers[name] = hear

    def detach(self, name: str) -> None:
        """Hear no more replies to ``name``."""
        self._askers.pop(name, None)

    # The file

    def close(self) -> None:
        """Close the file; what is in the queues stays there."""
        self._closed = True
        self._written.ring()
        if self._writing_thread:
            self._writing_thread.join()
        with self._writing, self._taking:
            self._writer.close()
            if self._owner:
                self._owner.close()
                self._owner = None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, isolation_level=None, check_same_thread=False, timeout=_LOCK_SECONDS
        )
        for pragma in ("journal_mode=wal", "synchronous=full"):
            connection.execute(f"pragma {pragma}")
        return connection

    def _become_owner(self) -> None:
        """Lock a file beside the queues for as long as this process lives: a killed process lets go of it too."""
        with self._taking:
            if self._owner:
                return
            beside = self._file.with_name(f"{self._file.name}-consumer")
            owner = sqlite3.connect(
                beside, isolation_level=None, check_same_thread=False, timeout=_OWNER_SECONDS
            )
            try:
                owner.execute("begin exclusive")
            except sqlite3.OperationalError as error:
                owner.close()
                raise Occupied(f"another process is at work on {self._file}: stop it first") from error
            self._owner = owner


def _tell(changes: Sequence[_Change]) -> None:
    for change in changes:
        if change.then:
            change.then(change.error)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _delivery(row: Sequence[Any]) -> Delivery:
    id_, queue, message_id, reply_to, headers, body = row
    return Delivery(
        queue=queue,
        body=body,
        tag=id_,
        message_id=message_id,
        reply_to=reply_to,
        headers=orjson.loads(headers) if headers else {},
    )
