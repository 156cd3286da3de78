"""Cardwork over HTTP, in both shapes: its peak, then how long a request takes at low load and at 70 % of that peak."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.testing.installation import Installation
from shared.testing.installation import running as running_installation
from tests.benchmarks.cardwork.flow import COMPLETED, all_alive, counting
from tests.benchmarks.load import Answer, Order
from tests.benchmarks.measure import Round, Usage, metered, percentiles
from tests.benchmarks.processes import Failure, Family, ready, wait_for_count
from tests.benchmarks.programme import Programme, list_accounts

CONNECTIONS = 64
LOW_RATE, LOW_SECONDS = 50.0, 20
HIGH_SHARE, HIGH_SECONDS = 0.7, 8
WARM_UP = 300
SIGNED_IN_AS = "issuer_operator"


@dataclass(frozen=True)
class OverHttp:
    """One shape behind its portal API."""

    name: str
    commands: int
    embedded: bool = False

    def measure(self, programme: Programme, *, scale: float = 1.0) -> list[Round]:
        """Find the peak by a closed loop, then measure delays in open loops, half of the requests for the outcome."""
        with self._copy(programme) as installation, running_installation(installation):
            accounts = Path(installation.folder, "accounts.txt")
            list_accounts(installation.database_url_of("accounts"), accounts)
            with (
                self._loading(installation, accounts) as load,
                counting(installation.database_url_of("tracking"), COMPLETED) as completed,
            ):
                families = {name: [process.pid] for name, process in installation.processes.items()}
                stopwatch = Stopwatch(
                    load,
                    families | {"load": load.process_ids} | self._servers(programme),
                    completed,
                    all_alive(installation.processes.values(), load),
                )
                stopwatch.measure(Order(WARM_UP, CONNECTIONS, outcome_every=2))
                peak = self._peak(stopwatch, int(self.commands * scale))
                low = self._delays(stopwatch, f"{LOW_RATE:.0f}/s", LOW_RATE, LOW_SECONDS * scale)
                rate = peak.rate * HIGH_SHARE
                high = self._delays(stopwatch, f"{HIGH_SHARE:.0%} of peak", rate, HIGH_SECONDS * scale)
        return [peak, low, high]

    def _peak(self, stopwatch: Stopwatch, commands: int) -> Round:
        usage, _ = stopwatch.measure(Order(commands, CONNECTIONS))
        return Round(self.name, commands, usage.seconds, usage.cpu_seconds, usage.busy_seconds)

    def _delays(self, stopwatch: Stopwatch, label: str, rate: float, seconds: float) -> Round:
        requests = max(int(rate * seconds), 20)
        usage, answer = stopwatch.measure(Order(requests, CONNECTIONS, rate=rate, outcome_every=2))
        return Round(
            f"{self.name}, {label}",
            requests,
            usage.seconds,
            usage.cpu_seconds,
            usage.busy_seconds,
            {"tracking number": percentiles(answer.tracked), "completed": percentiles(answer.completed)},
        )

    def _copy(self, programme: Programme) -> AbstractContextManager[Installation]:
        return programme.embedded_copy() if self.embedded else programme.production_copy()

    def _servers(self, programme: Programme) -> dict[str, list[int]]:
        return {} if self.embedded else programme.servers.process_ids

    def _loading(self, installation: Installation, accounts: Path) -> AbstractContextManager[Family]:
        header = installation.portal(SIGNED_IN_AS).http.headers["Authorization"]
        environment = {
            "BENCH_PORT": str(installation.port),
            "BENCH_TOKEN": header.removeprefix("Bearer "),
            "BENCH_ACCOUNTS_FILE": str(accounts),
        }
        command = [sys.executable, "-m", "tests.benchmarks.load", "publish"]
        return ready("load", command, environment)


class Stopwatch:
    """Hands orders to the load and measures until all of their commands are completed."""

    def __init__(
        self,
        load: Family,
        families: dict[str, list[int]],
        completed: Callable[[], int],
        check: Callable[[], None],
    ) -> None:
        self._load = load
        self._families = families
        self._completed = completed
        self._check = check
        self._sent = 0

    def measure(self, order: Order) -> tuple[Usage, Answer]:
        """Carry out one order; raises Failure where an answer is not the one that was asked for."""
        self._sent += order.requests
        with metered(self._families) as usage:
            self._load.order(json.dumps(asdict(order)))
            answer = Answer(**json.loads(self._load.await_answer()))
            wait_for_count(self._completed, self._sent, self._check)
        if answer.unexpected:
            raise Failure(f"unexpected answers: {answer.unexpected}")
        return usage, answer
