"""What a round measures: commands, seconds, CPU time of each family of processes and of the whole machine, delays."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil


@dataclass(frozen=True)
class Percentiles:
    """Delays in milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Round:
    """One contestant, measured once."""

    contestant: str
    commands: int
    seconds: float
    cpu_seconds: Mapping[str, float]
    """By family of processes, those of the servers among them."""
    busy_seconds: float
    """Of all the machine's processors, whoever used them."""
    delays: Mapping[str, Percentiles] = field(default_factory=dict)
    """By what was waited for."""

    @property
    def rate(self) -> float:
        """Commands a second."""
        return self.commands / self.seconds

    @property
    def busy_microseconds(self) -> float:
        """CPU time of the whole machine per command."""
        return self.busy_seconds / self.commands * 1e6

    @property
    def stranger_share(self) -> float:
        """How much of the machine's busy time none of the families used: a round with much of it is worth little."""
        return max(0.0, 1 - sum(self.cpu_seconds.values()) / self.busy_seconds) if self.busy_seconds else 0.0


@dataclass
class Usage:
    """Filled in at the end of `metered`."""

    seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    busy_seconds: float = 0.0


@contextmanager
def metered(families: Mapping[str, Sequence[int]]) -> Iterator[Usage]:
    """Measure what happens inside: `families` maps a name to root process ids, whose children count with them."""
    usage = Usage()
    began, cpu, busy = (
        time.perf_counter(),
        {name: cpu_seconds(roots) for name, roots in families.items()},
        busy_seconds(),
    )
    yield usage
    usage.seconds = time.perf_counter() - began
    usage.busy_seconds = busy_seconds() - busy
    usage.cpu_seconds = {name: cpu_seconds(roots) - cpu[name] for name, roots in families.items()}


def cpu_seconds(roots: Sequence[int]) -> float:
    """CPU time so far of these processes, their living children and the children that they have outlived."""
    total = 0.0
    for root in roots:
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            try:
                spent = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def busy_seconds() -> float:
    """CPU time so far of all processors, idle time and waiting for the disk left out."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def percentiles(delays: Sequence[float]) -> Percentiles:
    """Nearest-rank percentiles, in milliseconds, of delays in seconds."""
    ordered = sorted(delays)

    def at(percent: float) -> float:
        return ordered[math.ceil(len(ordered) * percent / 100) - 1] * 1000

    return Percentiles(p50=at(50), p95=at(95), p99=at(99))
