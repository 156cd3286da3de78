"""Contestants' processes: start them, order them about, hold them still while a backlog builds up, stop them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

REPOSITORY = Path(__file__).parents[2]
STOP_SECONDS = 20


class Failure(Exception):
    """A contestant died, or did not get its work done in time; the message holds the end of what it printed."""


class Family:
    """The processes of one part of a contestant, and all that they start."""

    def __init__(self, name: str, processes: Sequence[subprocess.Popen[str]], output: IO[str]) -> None:
        self.name = name
        self.processes = processes
        self._output = output

    @property
    def process_ids(self) -> list[int]:
        """The roots; measuring follows their children."""
        return [process.pid for process in self.processes]

    def order(self, what: object) -> None:
        """Hand a line to each process of the family, for one that publishes how many; return at once."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{what}\n")
            process.stdin.flush()

    def await_answer(self) -> str:
        """Return the next line that the family's first process prints: `ready` or `done`."""
        assert self.processes[0].stdout is not None
        line = self.processes[0].stdout.readline().strip()
        if not line:
            raise Failure(f"{self.name} ended:\n{self.last_words()}")
        return line

    def check(self) -> None:
        """Raise Failure if a process has ended."""
        if any(process.poll() is not None for process in self.processes):
            raise Failure(f"{self.name} ended:\n{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of what the family printed as errors."""
        self._output.seek(0)
        return self._output.read()[-3000:]


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    processes: int = 1,
    takes_orders: bool = False,
) -> Iterator[Family]:
    """Run `command` as so many processes from the repository's root; end them by SIGTERM, late ones by SIGKILL.

    A process that takes orders has its standard output read by the driver; of the others it is kept as a log.
    """
    with tempfile.TemporaryFile("w+") as output:
        family = Family(
            name,
            [
                subprocess.Popen(
                    command,
                    cwd=REPOSITORY,
                    env={**os.environ, **environment},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if takes_orders else output,
                    stderr=output,
                    text=True,
                    start_new_session=True,
                )
                for _ in range(processes)
            ],
            output,
        )
        try:
            yield family
        finally:
            for process in family.processes:
                end(process)


@contextmanager
def ready(name: str, command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Family]:
    """Run one process that takes orders, and yield it when it says that it is ready for them."""
    with running(name, command, environment, takes_orders=True) as family:
        family.await_answer()
        yield family


def end(process: subprocess.Popen[str]) -> None:
    """Ask a process and its children to stop, and make them after STOP_SECONDS."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGCONT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def orders() -> Iterator[int]:
    """In a process that takes orders: yield how many to publish whenever the driver says so, report when it is done.

    What else the process prints goes where its errors go.
    """
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            yield int(line)
            print("done", file=answers, flush=True)


def freeze(process_ids: Iterable[int]) -> None:
    """Stop these processes and their children where they stand: what is queued meanwhile stays queued."""
    signal_all(process_ids, signal.SIGSTOP)


def thaw(process_ids: Iterable[int]) -> None:
    """Let them run on."""
    signal_all(process_ids, signal.SIGCONT)


def signal_all(process_ids: Iterable[int], number: signal.Signals) -> None:
    """Signal these processes and their children."""
    for root in process_ids:
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            process.send_signal(number)


def wait_for_count(
    count: Callable[[], int], goal: int, check: Callable[[], None], *, seconds: float = 180
) -> None:
    """Return as soon as `count()` has reached `goal`, asking seldom while far from it, for asking costs the servers.

    Raises Failure when the time is up, and what `check` raises when something has died.
    """
    began, first = time.perf_counter(), count()
    while (now := count()) < goal:
        check()
        spent = time.perf_counter() - began
        if spent > seconds:
            raise Failure(f"{now} of {goal} done after {seconds:.0f} s")
        expected = (goal - now) * spent / max(now - first, 1)
        time.sleep(min(max(expected / 2, 0.01), 0.5))
