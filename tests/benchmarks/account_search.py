"""`make bench-accounts`: fills accounts with ever more card accounts and measures every search (ACC-01..04).

Eight ask at once, as administrators of a company, of a branch and of a department. The 95th percentile is to be below
20 ms, for a part of a name below 60 ms, and no slower with a hundred times as many accounts. It writes what it found to
docs/benchmarks-accounts.md and fails where a search took longer.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from typing import Any

import psycopg

from deploy.keys import make_keys
from services.accounts.service import service
from shared.actor import Actor, Party
from shared.contracts.accounts import AccountStatus, FindAccounts, PaymentStatus
from shared.database import Database
from shared.messaging.transaction import Reader
from shared.migrations import upgrade
from shared.settings import Settings
from shared.testing.databases import start_postgres

REPORT = Path("docs/benchmarks-accounts.md")
SIZES = (10_000, 100_000, 1_000_000)
AT_ONCE = 8
LIMIT, LIMIT_OF_PARTS = 20.0, 60.0  # milliseconds
ACCOUNTS_OF_COMPANY = 2_500
INTERMEDIATES, BASICS = 5, 4
_SURNAMES = 4000
_LETTERS = str.maketrans("0123456789", "aeioubrstn")
_WARM_UP = 10
_MEMORY = "1GB"  # PostgreSQL's own 128 MB are for a machine of 2005

# Of every company as many accounts, whatever their number in all: so a search that slows down does so for others' accounts.
_FILL = f"""
create unlogged table node as
    select company, place, intermediate from generate_series(0, %(companies)s - 1) company,
        generate_series(0, {INTERMEDIATES * BASICS - 1}) place, lateral (select place / {BASICS} intermediate) i;
insert into control_account (number, name, level, parent, path, company_name, company_number, version)
    select (1e14::bigint + c)::text, 'Company', 'master', null, (1e14::bigint + c)::text, 'Company', 'C' || c, 1
        from generate_series(0, %(companies)s - 1) c;
insert into control_account (number, name, level, parent, path, company_name, company_number, version)
    select distinct (2e14::bigint + company * 100 + intermediate)::text, 'Branch', 'intermediate', (1e14::bigint + company)::text,
        (1e14::bigint + company)::text || '/' || (2e14::bigint + company * 100 + intermediate)::text, 'Company', 'C' || company, 1
        from node;
insert into control_account (number, name, level, parent, path, company_name, company_number, version)
    select (3e14::bigint + company * 100 + place)::text, 'Department', 'basic', (2e14::bigint + company * 100 + intermediate)::text,
        (1e14::bigint + company)::text || '/' || (2e14::bigint + company * 100 + intermediate)::text || '/'
            || (3e14::bigint + company * 100 + place)::text, 'Company', 'C' || company, 1
        from node;
insert into card_account (id, control_account, product, status, payment_status, first_name, last_name, embossed_name,
    name_key, names, employee_id, cost_centre, universal_number, last_used_on, opened_at, version)
    select 'acc_' || lpad(n::text, 26, '0'), (3e14::bigint + company * 100 + floor(random() * {INTERMEDIATES * BASICS})::int)::text,
        'corporate_green', case when random() < 0.05 then 'cancelled' else 'active' end,
        case when random() < 0.05 then 'past_due_30' else 'current' end, initcap(first), initcap(last), upper(first || ' ' || last),
        last || ' ' || first, last || ' ' || first || ' ' || last || E'\\n' || first, 'E' || n, 'CC' || (n %% 50), 'U' || n,
        current_date - (case when random() < 0.9 then random() * 60 else random() * 700 end)::int, now() - interval '2 years', 1
    from (select n, n %% %(companies)s company,
        translate(lpad(floor(random() * {_SURNAMES})::int::text, 4, '0'), '0123456789', 'aeioubrstn') || 'er' as last,
        translate(floor(random() * 900 + 100)::int::text, '0123456789', 'aeioumlnrs') as first
        from generate_series(0, %(accounts)s - 1) n) drawn;
insert into card (id, account_id, number_encrypted, number_hash, sequence, last_four, issued_on, expires_on, state, since, live, due_on)
    select replace(id, 'acc', 'crd'), id, '', md5(id), 1, '0018', current_date, current_date + 900, 'active', now(), true,
        current_date + 870 from card_account;
insert into live_accounts (control_account, id, difference)
    select control_account, '', count(*) from card_account where status = 'active' group by control_account;
drop table node
"""


@dataclass(frozen=True)
class Measured:
    """How long one search took at one size, in milliseconds."""

    who: str
    search: str
    accounts: int
    median: float
    p95: float
    rows: float

    @property
    def limit(self) -> float:
        """What the 95th percentile has to stay below."""
        return LIMIT_OF_PARTS if self.search.startswith("part") else LIMIT


def surname(chance: random.Random) -> str:
    """Return a surname that some holders have."""
    return f"{chance.randrange(_SURNAMES):04}".translate(_LETTERS) + "er"


@dataclass(frozen=True)
class Asking:
    """Draws what is asked for; ``company`` is the asker's own."""

    chance: random.Random
    company: int
    companies: int

    def account(self) -> int:
        """Return the number of some account of the company."""
        return self.company + self.companies * self.chance.randrange(ACCOUNTS_OF_COMPANY)


SEARCHES: dict[str, Callable[[Asking], dict[str, Any]]] = {
    "no criterion": lambda _: {},
    "employee ID": lambda asking: {"employee_id": f"E{asking.account()}"},
    "universal number": lambda asking: {"universal_number": f"U{asking.account()}"},
    "cost centre": lambda asking: {"cost_centre": f"CC{asking.chance.randrange(50)}"},
    "last name": lambda asking: {"last_name": surname(asking.chance)},
    "beginning of a last name": lambda asking: {"last_name": surname(asking.chance)[:2]},
    "embossed name": lambda asking: {"embossed_name": surname(asking.chance)[:3].upper()},
    "past due": lambda _: {"payment_status": [PaymentStatus.PAST_DUE_30]},
    "cancelled": lambda _: {"status": [AccountStatus.CANCELLED]},
    "not used for 10 months": lambda _: {"months_unused": 10},
    "department, active": lambda asking: {
        "control_account": str(3 * 10**14 + asking.company * 100 + asking.chance.randrange(20)),
        "status": [AccountStatus.ACTIVE],
    },
    "last name, cost centre, active": lambda asking: {
        "last_name": surname(asking.chance)[:1],
        "cost_centre": f"CC{asking.chance.randrange(50)}",
        "status": [AccountStatus.ACTIVE],
    },
    "part of a name": lambda asking: {"name_part": surname(asking.chance)[1:5]},
    "part of many names": lambda asking: {"name_part": surname(asking.chance)[-4:-1] + "r"},
}
VIEWERS: dict[str, Callable[[int], str]] = {
    "a company's": lambda company: str(10**14 + company),
    "a branch's": lambda company: str(2 * 10**14 + company * 100 + 2),
    "a department's": lambda company: str(3 * 10**14 + company * 100 + 7),
}


@cache
def _settings() -> Settings:
    keys: dict[str, Any] = make_keys()
    return Settings(**keys)


def ask(url: str, who: str, search: str, companies: int, times: int, seed: int) -> list[tuple[float, int]]:
    """Ask the same kind of question so many times; return for each how many seconds it took, and how many rows it found."""
    chance, found = random.Random(f"{who} {search} {seed}"), []
    with closing(Database(url)) as database:
        for number in range(times + _WARM_UP):
            company = chance.randrange(companies)
            query = FindAccounts(**SEARCHES[search](Asking(chance, company, companies)))
            grants = {"accounts.view": frozenset({VIEWERS[who](company)})}
            actor = Actor(user_id="pa", party=Party.CLIENT, grants=grants)
            started = time.perf_counter()
            with database.read() as session:
                reader = Reader(session, actor, "accounts.view", datetime.now(UTC), _settings())
                rows = len(service.queries[FindAccounts](query, reader).data)
            if number >= _WARM_UP:
                found.append((time.perf_counter() - started, rows))
    return found


def measure(
    pool: ProcessPoolExecutor, url: str, who: str, search: str, accounts: int, times: int
) -> Measured:
    """Have eight ask at once."""
    companies = accounts // ACCOUNTS_OF_COMPANY
    asked = [pool.submit(ask, url, who, search, companies, times, seed) for seed in range(AT_ONCE)]
    answers = [answer for each in asked for answer in each.result()]
    cuts = quantiles([seconds * 1000 for seconds, _ in answers], n=100, method="inclusive")
    return Measured(
        who, search, accounts, cuts[49], cuts[94], sum(rows for _, rows in answers) / len(answers)
    )


@contextmanager
def filled(server: Any, accounts: int) -> Iterator[str]:
    """Yield the address of a database with so many card accounts."""
    with server.new_database() as fresh:
        upgrade(service, fresh.url)
        with psycopg.connect(fresh.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("set statement_timeout = 0; set synchronous_commit = off")
            for statement in _FILL.split(";"):
                connection.execute(
                    statement, {"accounts": accounts, "companies": accounts // ACCOUNTS_OF_COMPANY}
                )
            connection.execute("vacuum (analyze)")
        yield fresh.url


def write_report(found: list[Measured], times: int) -> None:
    """Write a row for each viewer and search, a column for each size."""
    sizes = sorted({one.accounts for one in found})
    lines = [
        "# How fast card accounts are found",
        "",
        (
            f"Written by `make bench-accounts` on {datetime.now(UTC):%d %B %Y}: companies of {ACCOUNTS_OF_COMPANY:,} card accounts each, on"
            f" PostgreSQL 17 with {_MEMORY} of shared buffers, on {os.cpu_count()} cores ({platform.machine()}, load average {os.getloadavg()[1]:.1f})"
            f" that the eight who ask at once share with the server. Each asks {times} times with other values, through the service's own"
            " queries, after a few to warm up. Median and 95th percentile in milliseconds, by the number of card accounts in all."
        ),
        "",
        "| whose administrator | search | rows | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---|---|---:|" + "---:|" * len(sizes),
    ]
    for who in VIEWERS:
        for search in SEARCHES:
            row = {one.accounts: one for one in found if (one.who, one.search) == (who, search)}
            if row:
                cells = " | ".join(f"{row[size].median:.1f} / {row[size].p95:.1f}" for size in sizes)
                lines.append(f"| {who} | {search} | {row[sizes[-1]].rows:.0f} | {cells} |")
    REPORT.write_text("\n".join(lines) + "\n")


def main() -> int:
    """Fill, measure, tell; returns 1 where a search took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--times", type=int, default=40, help="questions of each kind and asker")
    parser.add_argument("--only", default="", help="searches whose name holds this")
    arguments = parser.parse_args()
    found: list[Measured] = []
    workers = ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn"))
    with closing(start_postgres()) as server, workers as pool:
        server.execute(f"alter system set shared_buffers = '{_MEMORY}'")
        server.stop()
        server.start()
        for size in arguments.sizes:
            with filled(server, size) as url:
                for who in VIEWERS:
                    for search in SEARCHES:
                        if arguments.only not in search:
                            continue
                        one = measure(pool, url, who, search, size, arguments.times)
                        print(
                            f"{size:>10,} {who:15} {search:32} {one.median:7.1f} {one.p95:7.1f} {one.rows:6.1f}",
                            flush=True,
                        )
                        found.append(one)
    if not arguments.only:
        write_report(found, arguments.times)
    slow = [one for one in found if one.p95 >= one.limit]
    for one in slow:
        print(
            f"too slow with {one.accounts:,}: {one.who}, {one.search}: p95 {one.p95:.1f} ms", file=sys.stderr
        )
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
