"""How each peer is started and measured: the single hop from a backlog, Celery's flow live."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from tests.benchmarks.measure import Round, metered
from tests.benchmarks.processes import freeze, ready, running, thaw, wait_for_count
from tests.benchmarks.programme import Programme
from tests.benchmarks.servers import consumers_of

HOPS_DONE = "select count(*) from inbox"
FLOWS_DONE = "select count(*) from request where status = 'completed'"
WARM_UP = 200

HOPS = {"bare": "bare hop", "telling": "one hop"}
"""Whether the outcome of the hop is published, as Cardwork always does."""

MODULE = "tests.benchmarks.peers"
CELERY = (
    *(sys.executable, "-m", "celery", "-A", f"{MODULE}.celery_flow", "worker", "--pool", "prefork"),
    *("--prefetch-multiplier", "64", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
    *("--queues", "bench.celery"),
)


@dataclass(frozen=True)
class Peer:
    """One library with one choice of settings."""

    name: str
    commands: int
    work: Sequence[str]
    publish: Sequence[str]
    queue: str
    consumers: int
    """How many the queue has once the workers are ready."""
    done: str
    """SQL that counts what is finished."""
    from_backlog: bool
    """Whether all commands wait in the queue before the workers may begin."""
    processes: int = 1

    def measure(self, programme: Programme, *, scale: float = 1.0) -> list[Round]:
        """Do the work once, in a virtual host and a database of its own, after a warm-up."""
        commands = int(self.commands * scale)
        with (
            programme.servers.virtual_host() as amqp_url,
            programme.peers_copy() as database,
            psycopg.connect(database.conninfo, autocommit=True) as connection,
        ):
            environment = {"BENCH_AMQP_URL": amqp_url, "BENCH_DATABASE_URL": database.conninfo}
            # The publisher declares the queues first: processes that declare one quorum queue at the same moment fail.
            with (
                ready("publisher", self.publish, environment) as publisher,
                running("workers", self.work, environment, processes=self.processes) as workers,
            ):

                def check() -> None:
                    workers.check()
                    publisher.check()

                def done() -> int:
                    row = connection.execute(self.done.encode()).fetchone()
                    return int(row[0]) if row else 0

                wait_for_count(lambda: consumers_of(self.queue, amqp_url), self.consumers, check)
                publisher.order(WARM_UP)
                publisher.await_answer()
                wait_for_count(done, WARM_UP, check)
                if self.from_backlog:
                    freeze(workers.process_ids)
                    publisher.order(commands)
                    publisher.await_answer()
                families = {"workers": workers.process_ids, "publisher": publisher.process_ids}
                with metered(families | programme.servers.process_ids) as usage:
                    if self.from_backlog:
                        thaw(workers.process_ids)
                    else:
                        publisher.order(commands)
                    wait_for_count(done, WARM_UP + commands, check)
        return [Round(self.name, commands, usage.seconds, usage.cpu_seconds, usage.busy_seconds)]


def celery(steps: str, concurrency: int, commands: int) -> Peer:
    """Celery with so many worker processes: `steps` is `bare`, `telling` or `flow`."""
    flow = steps == "flow"
    return Peer(
        name=f"Celery, {'three-step flow' if flow else HOPS[steps]}, prefork {concurrency}",
        commands=commands,
        work=[*CELERY, "--concurrency", str(concurrency)],
        publish=[sys.executable, "-m", f"{MODULE}.celery_flow", "publish", steps],
        queue="bench.celery",
        consumers=1,
        done=FLOWS_DONE if flow else HOPS_DONE,
        from_backlog=not flow,
    )


def faststream(steps: str, commands: int) -> Peer:
    """FastStream, two processes: `steps` is `bare` or `telling`."""
    program = [sys.executable, "-m", f"{MODULE}.faststream_hop"]
    return Peer(
        name=f"FastStream, {HOPS[steps]}",
        commands=commands,
        work=[*program, "work"],
        publish=[*program, "publish", steps],
        queue="bench.faststream" if steps == "bare" else "bench.faststream.telling",
        consumers=2,
        done=HOPS_DONE,
        from_backlog=True,
        processes=2,
    )


def dramatiq(steps: str, processes: int, threads: int, commands: int) -> Peer:
    """Dramatiq with so many processes of so many threads: `steps` is `bare` or `telling`."""
    module = f"{MODULE}.dramatiq_hop"
    pool = ["--processes", str(processes), "--threads", str(threads)]
    return Peer(
        name=f"Dramatiq, {HOPS[steps]}, {processes} × {threads}",
        commands=commands,
        work=[sys.executable, "-m", "dramatiq", module, *pool, "--queues", "bench.dramatiq"],
        publish=[sys.executable, "-m", module, "publish", steps],
        queue="bench.dramatiq",
        consumers=processes,
        done=HOPS_DONE,
        from_backlog=True,
    )
