"""Cardwork processes under test: real ones, started from the command line, that may be stopped and killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.testing.servers import last_lines

_STOP_SECONDS = 30


def cardwork(*words: str, environment: Mapping[str, str]) -> str:
    """Run a `cardwork` command to its end and return what it printed; raises with its last lines where it fails."""
    done = subprocess.run(
        [_program(), *words], env=_environment(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(
            f"cardwork {' '.join(words)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        )
    return done.stdout


class Process:
    """One long-running `cardwork` command, whose output goes to a file."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], output: Path) -> None:
        self.name = "-".join(words)
        self._words = words
        self._environment = environment
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own, so that a kill reaches its children too."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [_program(), *self._words],
                env=_environment(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask it to stop and return its exit status; raises where it does not."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the out-of-memory killer would."""
        self._end(signal.SIGKILL)

    def is_running(self) -> bool:
        """Return whether it lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the running process."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """Return everything that it printed."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def last_words(self) -> str:
        """Return what it printed last, under its name."""
        return f"--- {self.name} ({'running' if self.is_running() else 'ended'})\n{last_lines(self._output)}"

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        if how is signal.SIGKILL:
            os.killpg(self._process.pid, how)
        else:
            self._process.send_signal(how)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            raise AssertionError(f"{self.name} did not end:\n{self.last_words()}") from None


def _program() -> str:
    return str(Path(sys.executable).with_name("cardwork"))


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the surroundings of a process: nothing of Cardwork's but what is given."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("CARDWORK_")}
    return {**plain, **given}
