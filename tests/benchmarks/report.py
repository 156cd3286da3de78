"""The table that `make bench` prints, and docs/benchmarks.md with the machine it was measured on."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.benchmarks.measure import Percentiles, Round

LIBRARIES = (
    *("pika", "kombu", "sqlalchemy", "psycopg", "flask", "gunicorn", "waitress"),
    *("celery", "faststream", "dramatiq", "asyncpg"),
)
STRANGERS_MATTER = 0.15


@dataclass(frozen=True)
class Goal:
    """What a result is to be: at least `goal` (or at most, where `at_most`), and never on the wrong side of `floor`."""

    what: str
    unit: str
    goal: float
    floor: float
    value: Callable[[Results, int], float | None]
    """The value in round number so-and-so; None where its contestants did not run."""
    at_most: bool = False

    def verdict(self, value: float) -> str:
        """Say which of the two lines a value keeps to."""
        sign = -1 if self.at_most else 1
        if sign * value >= sign * self.goal:
            return "met"
        return "above the floor" if sign * value >= sign * self.floor else "BELOW THE FLOOR"


class Results:
    """Every round of every contestant, in the order in which they ran."""

    def __init__(self, rounds: Iterable[Round]) -> None:
        self._rounds: dict[str, list[Round]] = {}
        for one in rounds:
            self._rounds.setdefault(one.contestant, []).append(one)

    def __iter__(self) -> Iterator[tuple[str, list[Round]]]:
        return iter(self._rounds.items())

    def count(self) -> int:
        """How many rounds each contestant ran."""
        return min(map(len, self._rounds.values()), default=0)

    def rate(self, contestant: str, number: int) -> float | None:
        """Commands a second in one round."""
        found = self._one(contestant, number)
        return found.rate if found else None

    def best_rate(self, beginning: str, number: int) -> float | None:
        """The highest rate in one round among the contestants whose name begins so."""
        rates = [rounds[number].rate for name, rounds in self._rounds.items() if name.startswith(beginning)]
        return max(rates, default=None)

    def busy_milliseconds(self, contestant: str, number: int) -> float | None:
        """CPU time of the machine per command, in milliseconds."""
        found = self._one(contestant, number)
        return found.busy_microseconds / 1000 if found else None

    def p95(self, contestant: str, waited_for: str, number: int) -> float | None:
        """Milliseconds that 95 of 100 requests waited at most, in one round."""
        found = self._one(contestant, number)
        return found.delays[waited_for].p95 if found else None

    def _one(self, contestant: str, number: int) -> Round | None:
        rounds = self._rounds.get(contestant)
        return rounds[number] if rounds else None


def ratio(above: float | None, below: float | None) -> float | None:
    """Divide where both were measured."""
    return above / below if above is not None and below is not None else None


def table(results: Results, goals: Sequence[Goal]) -> str:
    """Return everything measured, as Markdown that reads well in a terminal too."""
    return "\n\n".join(
        filter(None, (rates_table(results), delays_table(results), goals_table(results, goals)))
    )


def rates_table(results: Results) -> str:
    """Commands a second and the CPU time of each, medians with the range of the rates."""
    rows = []
    for name, rounds in results:
        if rounds[0].delays:
            continue
        families = ", ".join(
            f"{family} {statistics.median(r.cpu_seconds[family] / r.commands * 1e6 for r in rounds):.0f}"
            for family in rounds[0].cpu_seconds
        )
        rates = [one.rate for one in rounds]
        busy = statistics.median(one.busy_microseconds for one in rounds)
        strange = " ⚠" if any(one.stranger_share > STRANGERS_MATTER for one in rounds) else ""
        rows.append(
            (name, f"{number(statistics.median(rates))} ({spread(rates)})", f"{busy:,.0f}{strange}", families)
        )
    return aligned(("what", "commands/s", "busy µs a command", "CPU µs a command by process"), rows)


def delays_table(results: Results) -> str:
    """Percentiles of what was waited for, medians of the rounds."""
    rows = []
    for name, rounds in results:
        for waited_for in rounds[0].delays:
            found = [one.delays[waited_for] for one in rounds]
            p95 = spread([one.p95 for one in found])
            rows.append(
                (name, waited_for, three(found), p95, number(statistics.median(r.rate for r in rounds)))
            )
    heads = ("load", "waited for", "p50 / p95 / p99 ms", "p95 range", "commands/s")
    return aligned(heads, rows) if rows else ""


def goals_table(results: Results, goals: Sequence[Goal]) -> str:
    """Each goal with the median of its rounds, compared within a round because the machine drifts between them."""
    rows = []
    for goal in goals:
        values = [v for n in range(results.count()) if (v := goal.value(results, n)) is not None]
        if not values:
            continue
        median = statistics.median(values)
        sign = "≤" if goal.at_most else "≥"
        wanted = (f"{sign} {goal.goal:g} {goal.unit}", f"{sign} {goal.floor:g}")
        rows.append((goal.what, f"{number(median)} ({spread(values)})", *wanted, goal.verdict(median)))
    return aligned(("goal", "measured", "goal", "floor", "verdict"), rows) if rows else ""


def broken_floors(results: Results, goals: Sequence[Goal]) -> list[str]:
    """Name the goals whose median is on the wrong side of the floor."""
    broken = []
    for goal in goals:
        values = [v for n in range(results.count()) if (v := goal.value(results, n)) is not None]
        if values and goal.verdict(statistics.median(values)).startswith("BELOW"):
            broken.append(goal.what)
    return broken


def three(found: Sequence[Percentiles]) -> str:
    """Medians of the three percentiles."""
    medians = (statistics.median(getattr(one, name) for one in found) for name in ("p50", "p95", "p99"))
    return " / ".join(f"{median:.1f}" for median in medians)


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values: Sequence[float]) -> str:
    """The least and the greatest."""
    return f"{number(min(values))}–{number(max(values))}"


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(heads), line(["-" * width for width in widths]), *map(line, rows)])


def write(
    file: Path, results: Results, goals: Sequence[Goal], *, servers: str, explanations: Mapping[str, str]
) -> None:
    """Write docs/benchmarks.md."""
    explained = "\n".join(f"- **{name}**: {text}" for name, text in explanations.items())
    file.write_text(
        f"""# Benchmarks

Written by `make bench`; do not edit. {results.count()} rounds, all contestants in turn in each; medians, with the range
of the rounds. Compare only within this page: the same machine drifts by tens of percent from one hour to the next.

{machine()}; {servers}. Load, servers and contestants share the machine, on 127.0.0.1.

{table(results, goals)}

## What was measured

{explained}

*busy µs*: CPU time of the whole machine, whoever used it, divided by the commands; ⚠ marks contestants in one of whose
rounds more than {STRANGERS_MATTER:.0%} of that went to processes that had no part in it (kernel work for networking and disks among it).
Goals are compared within each round, and the median of the rounds counts. Delays are measured from the moment at
which a request was due, in an open loop.

{", ".join(f"{name} {version(name)}" for name in LIBRARIES)}.
"""
    )


def machine() -> str:
    """Describe the machine: processor, cores, memory, system, Python."""
    cores, memory = os.cpu_count(), psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}"
    return f"{processor()}, {cores} cores, {memory:.0f} GiB; {system}; {platform.python_implementation()} {platform.python_version()}"


def processor() -> str:
    """Name the processor, as far as the system tells."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
