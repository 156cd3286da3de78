"""`make bench`: measures Cardwork and its peers in turn, prints one table and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.benchmarks import report
from tests.benchmarks.cardwork.embedded import EmbeddedFlow
from tests.benchmarks.cardwork.flow import Flow, Hop
from tests.benchmarks.cardwork.http import OverHttp
from tests.benchmarks.measure import Round
from tests.benchmarks.peers.contestants import celery, dramatiq, faststream
from tests.benchmarks.processes import Failure
from tests.benchmarks.programme import Programme, prepared
from tests.benchmarks.report import Goal, Results, ratio
from tests.benchmarks.servers import running_servers

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
FEWEST_ROUNDS = 4
QUICK_SCALE = 0.1

FLOW, HOP = "Cardwork, whole flow", "Cardwork, one hop"
HTTP, EMBEDDED_HTTP = "Cardwork over HTTP, production", "Cardwork over HTTP, embedded"
EMBEDDED = "Cardwork, whole flow, embedded"
CELERY_FLOW = "Celery, three-step flow"


class Contestant(Protocol):
    """Whatever does the work and can be measured."""

    @property
    def name(self) -> str:
        """As it stands in the table."""

    def measure(self, programme: Programme, *, scale: float = 1.0) -> list[Round]:
        """Do the work once, `scale` times as much of it as usual."""


CONTESTANTS: Sequence[Contestant] = (
    Flow(FLOW, commands=12_000),
    celery("flow", 2, commands=1_200),
    celery("flow", 4, commands=1_200),
    Hop(HOP, commands=20_000, workers=2),
    celery("telling", 2, commands=3_000),
    celery("telling", 4, commands=3_000),
    celery("bare", 4, commands=4_000),
    faststream("telling", commands=4_000),
    dramatiq("telling", 2, 8, commands=4_000),
    OverHttp(HTTP, commands=3_000),
    EmbeddedFlow(EMBEDDED, commands=12_000),
    OverHttp(EMBEDDED_HTTP, commands=3_000, embedded=True),
)


def fastest_peer(hop: str, results: Results, number: int) -> float | None:
    """The highest rate of any peer at this hop in one round."""
    rates = [results.best_rate(f"{peer}, {hop}", number) for peer in ("Celery", "FastStream", "Dramatiq")]
    return max((rate for rate in rates if rate is not None), default=None)


GOALS = (
    Goal(
        "whole flow without HTTP / Celery's three-step flow",
        "×",
        10,
        6,
        lambda r, n: ratio(r.rate(FLOW, n), r.best_rate(CELERY_FLOW, n)),
    ),
    Goal(
        "one hop / Celery's",
        "×",
        10,
        5,
        lambda r, n: ratio(r.rate(HOP, n), r.best_rate("Celery, one hop", n)),
    ),
    Goal(
        "one hop / the fastest peer's",
        "×",
        5,
        3,
        lambda r, n: ratio(r.rate(HOP, n), fastest_peer("one hop", r, n)),
    ),
    Goal(
        "one hop / Celery's bare hop, which tells nobody",
        "×",
        10,
        3,
        lambda r, n: ratio(r.rate(HOP, n), r.best_rate("Celery, bare hop", n)),
    ),
    Goal(
        "over HTTP / Celery's flow without HTTP",
        "×",
        4,
        2,
        lambda r, n: ratio(r.rate(HTTP, n), r.best_rate(CELERY_FLOW, n)),
    ),
    Goal(
        "POST to tracking number, p95 at 50/s",
        "ms",
        15,
        40,
        lambda r, n: r.p95(f"{HTTP}, 50/s", "tracking number", n),
        at_most=True,
    ),
    Goal(
        "POST to completed, p95 at 50/s",
        "ms",
        25,
        60,
        lambda r, n: r.p95(f"{HTTP}, 50/s", "completed", n),
        at_most=True,
    ),
    Goal(
        "embedded and durable / our RabbitMQ shape, without HTTP",
        "×",
        1,
        0.5,
        lambda r, n: ratio(r.rate(EMBEDDED, n), r.rate(FLOW, n)),
    ),
    Goal(
        "busy CPU a command, whole flow without HTTP",
        "ms",
        1.3,
        2,
        lambda r, n: r.busy_milliseconds(FLOW, n),
        at_most=True,
    ),
)

EXPLANATIONS = {
    "whole flow": "CancelAccount commands, published by the gateway's own client from one process, go to tracking (which"
    " numbers and answers them) and to accounts (which cancels the card, writes its history and tells the outcome)"
    " and as outcomes back to tracking; 500 wait for their number at any time. Rate: first command sent to last completed."
    " One worker process of each service, logging and metrics on.",
    "one hop": "the commands wait in a queue before the workers may begin; taken, decided, committed, its outcome"
    " published, acknowledged. Cardwork's hop is two accounts workers, which keep an outbox and publish two messages"
    " a command, an event and the outcome; the peers change the same rows of the same tables and publish the outcome.",
    "bare hop": "the same, but nothing is published: only the peers can leave that out.",
    "three-step flow": "the same rows by three Celery tasks (record, cancel, complete), each published with a confirm"
    " after the commit of the one before; no outbox, no answer to the sender.",
    "peers' settings": "acknowledged after the commit, persistent, quorum queues, publisher confirms; Celery prefork with"
    " a prefetch multiplier of 64; FastStream in 2 processes on uvloop with asyncpg; Dramatiq 2 processes of 8 threads."
    " psycopg with prepared statements, no ORM.",
    "over HTTP": "POST /api/v1/accounts/{id}/cancel through gunicorn (embedded: waitress) over 64 connections, all"
    " services' own web processes behind it; session and scope are checked on each. In the open loops every other"
    " request waits for its outcome (Prefer: wait), and only such requests count as *completed*.",
    "embedded": "one process, SQLite files with synchronous=FULL for each service and for the queue.",
}


def main() -> None:
    """Measure, print, write; exits with 1 where a result is below its floor."""
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and processes are stopped
    complete, failed = False, ""
    rounds: list[Round] = []
    with running_servers() as servers:
        versions = servers.versions()
        note(f"{report.machine()}; {versions}\nloading the programme")
        with prepared(servers) as programme:
            try:
                for number in range(1, options.rounds + 1):
                    rounds += measure_each(number, chosen(options.only), programme, quick=options.quick)
                complete = not options.quick and not options.only and options.rounds >= FEWEST_ROUNDS
            except Failure as failure:
                failed = str(failure)
    results = Results(rounds)
    print(report.table(results, GOALS))
    if complete:
        report.write(PAGE, results, GOALS, servers=versions, explanations=EXPLANATIONS)
        note(f"written: {PAGE}")
    broken = "; ".join(report.broken_floors(results, GOALS))
    if failed:
        sys.exit(f"not finished: {failed}")
    if broken and not options.quick:
        sys.exit(f"below the floor: {broken}")


def measure_each(
    number: int, contestants: Sequence[Contestant], programme: Programme, *, quick: bool
) -> list[Round]:
    """Measure each contestant once, and tell whoever watches."""
    rounds = []
    for contestant in contestants:
        for one in contestant.measure(programme, scale=QUICK_SCALE if quick else 1.0):
            note(f"round {number}: {one.contestant}: {one.rate:,.0f}/s, busy {one.busy_microseconds:,.0f} µs")
            rounds.append(one)
    return rounds


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=None, help=f"how often each contestant runs ({FEWEST_ROUNDS})"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of a tenth: to see that all works, no result"
    )
    parser.add_argument(
        "--only", action="append", default=[], help="part of a contestant's name; may be repeated"
    )
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else FEWEST_ROUNDS)
    return options


def chosen(parts: Sequence[str]) -> list[Contestant]:
    """Return the contestants whose names hold one of the parts; without parts, all."""
    return [c for c in CONTESTANTS if not parts or any(part.lower() in c.name.lower() for part in parts)]


def note(text: str) -> None:
    """Tell whoever watches how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
