"""`make bench-closing`: how long a million accounts take to be closed on one day, by one worker, on PostgreSQL.

Each account has something to bill, and hangs under one of a thousand control accounts. What the worker publishes is kept in
its outbox, as always; nobody takes it from there.
"""

import argparse
import os
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deploy.keys import make_keys
from services.statements.jobs.closing import close_cycles
from services.statements.model import ledger_account, statement
from services.statements.service import service
from shared.actor import Verifier
from shared.contracts import load_all
from shared.database import Database
from shared.messaging.dispatch import Dispatcher
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.service import Job, Service
from shared.settings import Settings
from shared.testing.databases import start_postgres

REPORT = Path("docs/benchmarks-closing.md")
ACCOUNTS, PLACES = 1_000_000, 1000
KEYS: dict[str, Any] = make_keys()
CLOSING = datetime(2026, 3, 1, 1, tzinfo=UTC)
_MADE = (
    """
    insert into control_account (number, level, placed, configured, opened_on, closed_through)
    select lpad(cast(n as text), 15, '0'), 'basic', 1, 0, '2026-02-10', '2026-02-10' from generate_series(1, :places) n
    """,
    """
    insert into card_account (id, control_account, product, first_name, last_name, name_key, embossed_name, named, placed,
      coded, opened_on)
    select 'acc_' || lpad(cast(n as text), 26, '0'), lpad(cast(n % :places + 1 as text), 15, '0'), 'corporate_gold',
      'A', 'B', 'b a', 'A B', 1, 1, 1, '2026-02-10' from generate_series(1, :accounts) n
    """,
    """
    insert into ledger_account (id, control_account, currency, balance, debits, credits, payments, billed_debits,
      billed_credits, billed_payments, cycle, closed_on, payment_status)
    select id, control_account, 'EUR', 12345, 22345, 0, 10000, 0, 0, 0, 1, '2026-02-10', 'current' from card_account
    """,
    "analyze",
)


def fill(database: Database, accounts: int) -> None:
    """Make the accounts, each with a purchase and a payment since it was opened."""
    counts = {"places": PLACES, "accounts": accounts}
    with database.write() as session:
        session.execute(sa.text("set local statement_timeout = 0"))
        for filling in _MADE:
            given = {name: value for name, value in counts.items() if f":{name}" in filling}
            session.execute(sa.text(filling), given)


def close(database: Database) -> float:
    """Close everything as a worker does, and return how many seconds it took."""
    settings = Settings(**KEYS)
    only = Service(
        name=service.name,
        metadata=service.metadata,
        migrations=service.migrations,
        jobs=[job for job in service.jobs if not isinstance(job, Job) and job.run is close_cycles],
    )
    worker = Dispatcher(
        only, database, settings=settings, verifier=Verifier(KEYS["assertion_public_key"], service.name),
        clock=lambda: CLOSING, metrics=Metrics(),
    )  # fmt: skip
    started = time.perf_counter()
    while worker.run_jobs().urgent:
        pass
    return time.perf_counter() - started


def check(database: Database, accounts: int) -> None:
    """Raise AssertionError unless each account has just its one statement."""
    with database.read() as session:
        made = session.scalar(sa.select(sa.func.count()).select_from(statement))
        open_ = session.scalar(
            sa.select(sa.func.count()).select_from(ledger_account).where(ledger_account.c.cycle != 2)
        )
    assert (made, open_) == (accounts, 0), (made, open_)


def report(accounts: int, seconds: float) -> str:
    """Return the page that tells what was measured."""
    load = os.getloadavg()[0]
    return f"""# Closing billing cycles: how fast

`make bench-closing` wrote this on {datetime.now(UTC):%Y-%m-%d}: one worker, PostgreSQL, {PLACES:,} control accounts that close on the same
day, {os.cpu_count()} processors with a load of {load:.1f} when it ended.

| accounts closed | seconds | accounts a second |
| ---: | ---: | ---: |
| {accounts:,} | {seconds:.0f} | {accounts / seconds:,.0f} |

Each account gets a statement and is named in an event of its control account. Closing looks at no transaction ([decision
18](adr/0018-the-ledger-keeps-sums.md)), so it takes as long however much was spent.
"""


def main() -> None:
    """Measure and write the report."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--accounts", type=int, default=ACCOUNTS)
    accounts: int = words.parse_args().accounts
    load_all()
    with (
        closing(start_postgres()) as server,
        server.new_database() as target,
        closing(Database(target.url)) as database,
    ):
        upgrade(service, target.url)
        fill(database, accounts)
        seconds = close(database)
        check(database, accounts)
    REPORT.write_text(report(accounts, seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
