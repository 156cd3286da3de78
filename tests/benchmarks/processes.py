"""Contestants' processes: start them, order them about, hold them still while a backlog builds up, stop them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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

    def freeze(self) -> None:
        """Stop every process where it stands: what is queued meanwhile stays queued."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them run on."""
        self._signal_all(signal.SIGCONT)

    def order(self, count: int) -> None:
        """Tell each process of the family (it runs `orders`) to do its work `count` times; return at once."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{count}\n")
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

    def _signal_all(self, number: signal.Signals) -> None:
        for root in self.process_ids:
            for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
                process.send_signal(number)


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
    """In a publisher's process: yield how many to publish whenever the driver says so, and report when it is done."""
    print("ready", flush=True)
    for line in sys.stdin:
        yield int(line)
        print("done", flush=True)


def wait_for_count(count: Callable[[], int], goal: int, families: Sequence[Family], *, seconds: float = 180) -> None:
    """Return as soon as `count()` has reached `goal`, asking seldom while far from it, for asking costs the servers.

    Raises Failure when a family dies or the time is up.
    """
    began, first = time.perf_counter(), count()
    while (now := count()) < goal:
        for family in families:
            family.check()
        spent = time.perf_counter() - began
        if spent > seconds:
            words = "\n".join(family.last_words() for family in families)
            raise Failure(f"{now} of {goal} done after {seconds:.0f} s\n{words}")
        expected = (goal - now) * spent / max(now - first, 1)
        time.sleep(min(max(expected / 2, 0.01), 0.5))
