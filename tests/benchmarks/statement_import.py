"""`make bench-import`: how many transactions of a file are read, laid ready and posted in a second, into PostgreSQL.

The file names every account by its card number; what is posted has its entry, its balances and every index. Nothing else
runs meanwhile, but for what the machine does; the table says how many processes wanted one of its processors.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from deploy.keys import make_keys
from services.statements.imports.copying import copy_rows
from services.statements.imports.layout_file import find_layout
from services.statements.imports.posting import post_imports
from services.statements.imports.protection import protection_of
from services.statements.imports.reading import Reader
from services.statements.imports.submitting import submit
from services.statements.imports.taking_in import PORTION, take_in
from services.statements.model import card_account, card_number, control_account, file_import, import_row
from services.statements.service import service
from shared.clock import utc_now
from shared.contracts.imports import ImportState
from shared.database import Database, insert_rows
from shared.messaging.envelope import Envelope
from shared.messaging.transaction import Batch, Transaction
from shared.migrations import upgrade
from shared.service import Running
from shared.settings import Settings
from shared.testing.databases import start_postgres

REPORT = Path("docs/benchmarks-imports.md")
GOAL = 15_000  # rows a second
ROWS, ACCOUNTS, ADDED = 200_000, 20_000, 50_000
KEYS: dict[str, Any] = make_keys()
LAYOUT = find_layout("csv", Path("none"))
_BASIC = "100000000000001"
_FIRST_CARD = 4_111_110_000_000_000


def write_file(file: Path, rows: int) -> None:
    """Write a file with so many purchases by a month's customers of many merchants."""
    chance = random.Random(1)
    with file.open("w", encoding="utf-8") as out:
        out.write(
            "transaction_id,transacted_on,posted_on,amount,currency,merchant,merchant_category,card_number,purpose\n"
        )
        for number in range(rows):
            day, card = 1 + number % 27, _FIRST_CARD + chance.randrange(ACCOUNTS)
            out.write(
                f"T{number:09},2026-02-{day:02},2026-02-{day + 1:02},{chance.randrange(100, 90_000) / 100:.2f},EUR,"
                f"Merchant {chance.randrange(17_000)},5812,{card},Journey {number % 50}\n"
            )


def fill(running: Running) -> None:
    """Make the accounts whose cards the file names."""
    protect, first = protection_of(running.settings), datetime(2026, 1, 1, tzinfo=UTC).date()
    with running.database.write() as session:
        session.execute(
            sa.insert(control_account).values(
                number=_BASIC, level="basic", placed=1, configured=0, opened_on=first, closed_through=first
            )
        )
        ids = [f"acc_{number:026}" for number in range(ACCOUNTS)]
        names = ("id", "control_account", "product", "first_name", "last_name", "name_key", "embossed_name", "named",
                 "placed", "coded", "opened_on")  # fmt: skip
        insert_rows(
            session, card_account, names,
            [(id_, _BASIC, "corporate_green", "A", "B", "b a", "A B", 1, 1, 1, first) for id_ in ids],
        )  # fmt: skip
        hashes = [protect(str(_FIRST_CARD + number)).split(":") for number in range(ACCOUNTS)]
        cards = [(hash_, id_, four) for id_, (hash_, four) in zip(ids, hashes, strict=True)]
        insert_rows(session, card_number, ("number_hash", "account_id", "last_four"), cards)
    with running.database.write() as session:
        session.execute(sa.text("analyze"))


@contextmanager
def transaction(running: Running) -> Iterator[Transaction]:
    """Open a transaction as a worker does for what the clock starts."""
    now = running.clock()
    envelope = Envelope(
        id="0" * 36, key="statements.job.v1", source="statements", time=now, data={}, correlation_id="0" * 36
    )
    with running.database.write() as session:
        batch = Batch(session, service.name, now, running.settings, service.aggregates)
        yield Transaction(batch, envelope)
        batch.flush()


def timed(do: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds something took, and what it returned."""
    started = time.perf_counter()
    found = do()
    return time.perf_counter() - started, found


def read_only(file: Path, running: Running) -> int:
    """Read a file and keep nothing of it."""
    reader = Reader(LAYOUT, protection_of(running.settings))
    with file.open("rb") as stream:
        return sum(1 for _ in reader.read(stream))


def lay_ready(file: Path, running: Running) -> str:
    """Take a file in."""
    with file.open("rb") as stream:
        return take_in(stream, LAYOUT, running, uploaded_by="benchmark")


def add_rows(by: Callable[..., None], running: Running) -> None:
    """Add rows to the table in which they lie ready, in portions."""
    names = tuple(column.name for column in import_row.c)
    day = running.clock().date()
    for portion in range(ADDED // PORTION):
        rows = [
            (
                by.__name__, portion * PORTION + line, f"txn_{line:026}", f"T{line:09}", False, "purchase", 1250, "EUR",
                None, None, day, day, None, f"Merchant {line}", f"merchant {line}", "5812", None, None, None, None,
                "Journey", None, "0" * 64, "1111", None, None, None,
            )
            for line in range(PORTION)
        ]  # fmt: skip
        with running.database.write() as session:
            by(session, import_row, names, rows)


def post(import_id: str, running: Running) -> None:
    """Post a file to its end."""
    with running.database.write() as session:
        submit(session, import_id, running.clock())
    while running_state(import_id, running) == ImportState.POSTING:
        post_imports(lambda: transaction(running))


def running_state(import_id: str, running: Running) -> str:
    """Return how far a file has come."""
    with running.database.read() as session:
        return str(session.scalar(sa.select(file_import.c.state).where(file_import.c.id == import_id)))


def measure(rows: int) -> dict[str, float]:
    """Return rows a second of each step."""
    with (
        TemporaryDirectory() as folder,
        closing(start_postgres()) as server,
        server.new_database() as target,
        closing(Database(target.url)) as database,
    ):
        upgrade(service, target.url)
        running = Running(database=database, settings=Settings(**KEYS), clock=utc_now)
        fill(running)
        file = Path(folder) / "transactions.csv"
        write_file(file, rows)
        reading, _ = timed(lambda: read_only(file, running))
        laying, import_id = timed(lambda: lay_ready(file, running))
        posting, _ = timed(lambda: post(import_id, running))
        copying, _ = timed(lambda: add_rows(copy_rows, running))
        inserting, _ = timed(lambda: add_rows(insert_rows, running))
        with database.read() as session:
            posted = session.scalar(sa.select(file_import.c.posted).where(file_import.c.id == import_id))
        assert posted == rows, posted
    return {
        "read alone": rows / reading,
        "read and laid ready": rows / laying,
        "laid ready alone, by COPY": ADDED / copying,
        "laid ready alone, by insert": ADDED / inserting,
        "posted": rows / posting,
        "from file to ledger": rows / (laying + posting),
    }


def report(rows: int, figures: dict[str, float], load: float) -> str:
    """Return the page that says what was measured."""
    verdict = "reached" if figures["posted"] >= GOAL else "missed"
    lines = "\n".join(f"| {step} | {rate:,.0f} |" for step, rate in figures.items())
    return f"""# Importing transactions: how fast

`make bench-import` wrote this on {datetime.now(UTC):%Y-%m-%d}: {rows:,} rows of {ACCOUNTS:,} accounts into PostgreSQL, on {os.cpu_count()} processors with
a load of {load:.1f} when it ended. The goal of {GOAL:,} rows a second posted, entries, balances and indexes included, is {verdict} here.

| step | rows a second |
| --- | ---: |
{lines}
"""


def main() -> None:
    """Measure and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    figures = measure(rows)
    load = os.getloadavg()[0]
    for step, rate in figures.items():
        print(f"{rate:>10,.0f} rows/s  {step}")
    REPORT.write_text(report(rows, figures, load), "utf-8")
    print(f"goal {GOAL:,}; load {load:.1f}; written to {REPORT}")


if __name__ == "__main__":
    main()
