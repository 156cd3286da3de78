"""Runs a `cardwork` command with one thing in it altered, for faults that nobody can cause from outside.

The embedded shape keeps its whole talk within one process, so there is no wire to hold. A test starts this file instead
of `cardwork`, names what is to be altered, and the rest of the words are the command's own::

    python -m tests.integration.faults.altered die-before-acknowledging:3 run
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.cli import main
from shared.contracts import names
from shared.messaging.bus import Delivery, Publication
from shared.messaging.local_bus import LocalBus, Taker
from shared.testing.processes import Process, _environment

_MODULE = "tests.integration.faults.altered"
_COMMANDS = names.commands_queue("accounts")
_REQUESTS = names.commands_queue("tracking")


class AlteredProcess(Process):
    """A process like another, with ``how`` it is altered."""

    def __init__(self, like: Process, how: str) -> None:
        super().__init__(like._words, like._environment, like._output)
        self._how = how

    def start(self) -> None:
        """Start it, in a session of its own."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, self._how, *self._words],
                env=_environment(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until_dead(self) -> None:
        """Wait until it has ended itself."""
        assert self._process
        assert self._process.wait(30) == -signal.SIGKILL, self.last_words()


def die_at_exchange(nth: int, *, acknowledged: bool) -> None:
    """End the process where accounts has committed its ``nth`` batch of commands, before or after the queues know it."""
    original = LocalBus.exchange
    seen = 0

    def exchange(
        self: LocalBus, publications: Sequence[Publication], done: Sequence[Delivery] = ()
    ) -> list[Publication]:
        nonlocal seen
        seen += any(delivery.queue == _COMMANDS for delivery in done)
        if seen >= nth and not acknowledged:
            os.kill(os.getpid(), signal.SIGKILL)
        unwanted = original(self, publications, done)
        if seen >= nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return unwanted

    LocalBus.exchange = exchange  # type: ignore[method-assign]


def deliver_thrice() -> None:
    """Put every message into each of its queues three times."""
    original = LocalBus._rows

    def rows(self: LocalBus, publication: Publication, reply_to: str | None) -> list[Any]:
        return original(self, publication, reply_to) * 3

    LocalBus._rows = rows  # type: ignore[method-assign]


def hold_requests_back(file: str) -> None:
    """Let tracking see no command for as long as ``file`` exists."""
    original, held_back = LocalBus.take, Path(file)

    def take(self: LocalBus, reader: sqlite3.Connection, taker: Taker, most: int) -> list[Delivery]:
        if not held_back.exists():
            return original(self, reader, taker, most)
        queues, taker.queues = taker.queues, [queue for queue in taker.queues if queue != _REQUESTS]
        try:
            return original(self, reader, taker, most)
        finally:
            taker.queues = queues

    LocalBus.take = take  # type: ignore[method-assign]


if __name__ == "__main__":
    how, _, value = sys.argv.pop(1).partition(":")
    match how:
        case "die-before-acknowledging" | "die-after-acknowledging":
            die_at_exchange(int(value), acknowledged=how == "die-after-acknowledging")
        case "deliver-thrice":
            deliver_thrice()
        case "hold-requests-back":
            hold_requests_back(value)
    main()
