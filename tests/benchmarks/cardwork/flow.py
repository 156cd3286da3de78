"""Cardwork without HTTP, in production's shape: the whole flow live, and accounts' hop alone from a backlog."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import sqlalchemy as sa

from shared.contracts import names
from shared.testing.installation import DistributedInstallation, Installation
from shared.testing.processes import Process
from tests.benchmarks.measure import Round, metered
from tests.benchmarks.processes import Failure, Family, freeze, ready, thaw, wait_for_count
from tests.benchmarks.programme import Programme, list_accounts
from tests.benchmarks.servers import consumers_of

COMPLETED = "select count(*) from request where status = 'completed'"
HANDLED = "select count(*) from inbox"
WARM_UP = 500


@dataclass(frozen=True)
class Flow:
    """Workers of tracking and accounts, fed by the gateway's own sender, until every command is completed."""

    name: str
    commands: int
    tracking_workers: int = 1
    accounts_workers: int = 1

    def measure(self, programme: Programme, *, scale: float = 1.0) -> list[Round]:
        """Do it once, after a warm-up."""
        commands = int(self.commands * scale)
        with programme.production_copy() as installation:
            workers = start_workers(
                installation, tracking=self.tracking_workers, accounts=self.accounts_workers
            )
            with (
                sending(installation, installation.database_url_of("accounts"), "tracked") as sender,
                counting(installation.database_url_of("tracking"), COMPLETED) as completed,
            ):
                check = all_alive([*chain.from_iterable(workers.values())], sender)
                sender.order(WARM_UP)
                wait_for_count(completed, WARM_UP, check)
                sender.await_answer()
                families = ids(workers) | {"sender": sender.process_ids} | programme.servers.process_ids
                with metered(families) as usage:
                    sender.order(commands)
                    wait_for_count(completed, WARM_UP + commands, check)
        return [Round(self.name, commands, usage.seconds, usage.cpu_seconds, usage.busy_seconds)]


@dataclass(frozen=True)
class Hop:
    """The accounts worker alone, while its commands wait in the queue: take, decide, commit, publish, acknowledge."""

    name: str
    commands: int
    workers: int = 1

    def measure(self, programme: Programme, *, scale: float = 1.0) -> list[Round]:
        """Do it once, after a warm-up."""
        commands = int(self.commands * scale)
        with programme.production_copy() as installation:
            workers = start_workers(installation, accounts=self.workers)
            accounts_url = installation.database_url_of("accounts")
            with (
                sending(installation, accounts_url, "confirmed") as sender,
                counting(accounts_url, HANDLED) as handled,
            ):
                check = all_alive([*chain.from_iterable(workers.values())], sender)
                sender.order(WARM_UP)
                sender.await_answer()
                wait_for_count(handled, WARM_UP, check)
                freeze(ids(workers)["accounts"])
                sender.order(commands)
                sender.await_answer()
                with metered(ids(workers) | programme.servers.process_ids) as usage:
                    thaw(ids(workers)["accounts"])
                    wait_for_count(handled, WARM_UP + commands, check)
        return [Round(self.name, commands, usage.seconds, usage.cpu_seconds, usage.busy_seconds)]


def start_workers(installation: DistributedInstallation, **wanted: int) -> dict[str, list[Process]]:
    """Start so many workers of each service and return them when all of them consume."""
    started = {service: add_workers(installation, service, count) for service, count in wanted.items()}
    broker = installation.environment["CARDWORK_BROKER_URL"]
    for service, workers in started.items():
        for worker in workers:
            worker.start()
        consumers = partial(consumers_of, names.commands_queue(service), broker)
        wait_for_count(consumers, len(workers), all_alive(workers))
    return started


def add_workers(installation: DistributedInstallation, service: str, count: int) -> list[Process]:
    """Return so many workers, the installation's own first."""
    own = installation.processes[f"{service}-worker"]
    return [own, *(installation.add_worker(service, f"{service}-worker-{n}") for n in range(2, count + 1))]


def ids(workers: dict[str, list[Process]]) -> dict[str, list[int]]:
    """Name the process ids of each family."""
    return {service: [process.pid for process in processes] for service, processes in workers.items()}


@contextmanager
def sending(installation: Installation, accounts_url: str, awaited: str) -> Iterator[Family]:
    """Yield a ready process that publishes commands on order; `awaited` is what `sender` takes."""
    accounts = Path(installation.folder, "accounts.txt")
    list_accounts(accounts_url, accounts)
    environment = {**installation.environment, "BENCH_ACCOUNTS_FILE": str(accounts)}
    command = [sys.executable, "-m", "tests.benchmarks.sender", "publish", awaited]
    with ready("sender", command, environment) as sender:
        yield sender


@contextmanager
def counting(url: str, query: str) -> Iterator[Callable[[], int]]:
    """Yield what asks a database for a number."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield lambda: int(connection.execute(sa.text(query)).scalar_one())
    engine.dispose()


def all_alive(processes: Iterable[Process], *families: Family) -> Callable[[], None]:
    """Return what raises Failure, with its last words, when one of these has ended."""

    def check() -> None:
        for family in families:
            family.check()
        for process in processes:
            if not process.is_running():
                raise Failure(process.last_words())

    return check
