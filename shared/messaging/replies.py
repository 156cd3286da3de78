"""Replies: how they travel in one message for many, and who waits for which.

A reply's content has a ``kind``: ``tracked`` is tracking's first answer, ``settled`` says what became of the command.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from typing import Any

import orjson

from shared.messaging.bus import Reply, Sent

TRACKED = "tracked"
SETTLED = "settled"


def pack(replies: Iterable[Reply]) -> dict[str, bytes]:
    """Return one body for each asker: a JSON list of pairs of command id and content."""
    by_asker: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for reply in replies:
        by_asker.setdefault(reply.to, []).append((reply.command_id, reply.content))
    return {to: orjson.dumps(answers) for to, answers in by_asker.items()}


def unpack(body: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the pairs of command id and content in a body; raises ValueError where it holds something else."""
    yield from orjson.loads(body)


class Listeners:
    """The senders that wait for replies, by command; several may wait for the same one. Safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_command: dict[str, list[Sent]] = {}

    def add(self, command_id: str) -> Sent:
        """Begin to listen."""
        sent = Sent()
        with self._lock:
            self._by_command.setdefault(command_id, []).append(sent)
        return sent

    def forget(self, command_id: str, sent: Sent) -> None:
        """Stop listening; one that does not listen any more is passed over."""
        with self._lock:
            remaining = [other for other in self._by_command.get(command_id, ()) if other is not sent]
            if remaining:
                self._by_command[command_id] = remaining
            else:
                self._by_command.pop(command_id, None)

    def hear(self, command_id: str, content: Mapping[str, Any]) -> None:
        """Hand a reply to everyone who waits for it."""
        with self._lock:
            waiting = list(self._by_command.get(command_id, ()))
        for sent in waiting:
            resolve(sent.tracked, content)
            if content.get("kind") == SETTLED:
                resolve(sent.settled, content)

    def fail_all(self, error: Exception) -> None:
        """Tell everyone that no reply will come any more."""
        with self._lock:
            waiting = [sent for listening in self._by_command.values() for sent in listening]
            self._by_command.clear()
        for sent in waiting:
            fail(sent, error)


def resolve(future: Future[Any], value: Any) -> None:
    """Give a future its value, unless it has one or was cancelled."""
    try:
        future.set_result(value)
    except InvalidStateError:
        pass


def fail(sent: Sent, error: Exception) -> None:
    """Let every future of a sent command that is still open raise ``error``."""
    for future in (sent.confirmed, sent.tracked, sent.settled):
        try:
            future.set_exception(error)
        except InvalidStateError:
            pass
