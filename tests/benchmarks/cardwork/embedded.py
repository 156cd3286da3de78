"""Cardwork in one process on SQLite files, without HTTP: workers and sender share the process."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.cardwork.flow import COMPLETED, WARM_UP, all_alive, counting, sending
from tests.benchmarks.measure import Round, metered
from tests.benchmarks.processes import wait_for_count
from tests.benchmarks.programme import Programme


@dataclass(frozen=True)
class EmbeddedFlow:
    """The whole flow, durable (`synchronous=FULL`) in every file."""

    name: str
    commands: int

    def measure(self, programme: Programme, *, scale: float = 1.0) -> list[Round]:
        """Do it once, after a warm-up."""
        commands = int(self.commands * scale)
        with (
            programme.embedded_copy() as installation,
            sending(installation, installation.database_url_of("accounts"), "tracked") as process,
            counting(installation.database_url_of("tracking"), COMPLETED) as completed,
        ):
            check = all_alive([], process)
            process.order(WARM_UP)
            process.await_answer()
            wait_for_count(completed, WARM_UP, check)
            with metered({"process": process.process_ids}) as usage:
                process.order(commands)
                wait_for_count(completed, WARM_UP + commands, check)
        return [Round(self.name, commands, usage.seconds, usage.cpu_seconds, usage.busy_seconds)]
