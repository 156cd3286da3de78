"""`make bench-tracking`: fills tracking with ten million requests and measures every search (TRK-02, TRK-04).

It asks the service's own queries, on a PostgreSQL of its own, again and again with other values; each search is warm
when it is measured. It fails where the 95th percentile of any search is 50 ms or more, and writes what it found to
docs/benchmarks-tracking.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any, cast

import psycopg

from services.tracking import jobs
from services.tracking.counting import count_days
from services.tracking.service import service
from shared.actor import EVERYWHERE, Actor, Party
from shared.contracts.base import Message
from shared.contracts.outcomes import RequestStatus
from shared.contracts.tracking import FindRequests, GetRequest, GetRequestOverview, SearchRequests
from shared.contracts.types import Channel
from shared.database import Database
from shared.errors import NotFound
from shared.messaging.envelope import Envelope
from shared.messaging.transaction import Batch, Reader, Transaction
from shared.migrations import upgrade
from shared.settings import Settings
from shared.testing.databases import start_postgres
from shared.web.paging import encode_cursor

LIMIT_MILLISECONDS = 50.0
MONTHS = 24
COMPANIES = 400
INTERMEDIATES, BASICS = 5, 4  # of each company, of each intermediate
USERS = 8  # of each company
REPORT = Path("docs/benchmarks-tracking.md")
_WARM_UP = 8

# Companies differ in size: a few make most of the requests.
_COMPANY = f"(floor({COMPANIES} * power(random(), 2)))::int"
_STATUSES = {
    "completed": 96,
    "rejected": 3,
    "withdrawn": 0.5,
    "failed": 0.3,
    "scheduled": 0.1,
    "awaiting_approval": 0.1,
}
_TYPES = (
    "accounts.cancel-account",
    "accounts.suspend-account",
    "accounts.unsuspend-account",
    "accounts.open-account",
    "identity.enrol-user",
    "limits.change-limit",
)
_RARE_TYPE = "identity.revoke-delegation"
_LAST_NAMES = 4000


class Chance(random.Random):
    """Draws what is asked for; ``company`` is the viewer's own, of which alone a client asks.

    ``basics`` are the basic control accounts that the viewer sees, None for all: cards are found below these alone.
    """

    company: int | None = None

    basics: Sequence[str] | None = None

    def some_company(self) -> int:
        return self.randrange(COMPANIES) if self.company is None else self.company


Question = Callable[[Chance], Message]


def numbers_of(company: int, intermediate: int = 0, basic: int = 0) -> tuple[str, str, str]:
    """Return the control accounts of a basic node, the master first."""
    place = company * INTERMEDIATES + intermediate
    return (f"{10**14 + company}", f"{2 * 10**14 + place}", f"{3 * 10**14 + place * BASICS + basic}")


@dataclass(frozen=True)
class Measured:
    """How long one search took, in milliseconds."""

    who: str
    search: str
    median: float
    p95: float
    rows: int


# Filling


def fill(url: str, requests: int, accounts: int, now: datetime) -> None:
    """Fill tracking with requests of the past months, in the shape that its own batches would leave."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "set statement_timeout = 0; set maintenance_work_mem = '512MB'; set work_mem = '128MB'"
        )
        connection.execute("set synchronous_commit = off")
        begin = now - timedelta(days=30.4 * MONTHS)
        connection.execute(
            "select make_month(month) from generate_series(%s::timestamptz, %s, interval '28 days') month",
            [begin, now],
        )
        _say("accounts")
        for statement in _ACCOUNTS.split(";"):
            connection.execute(statement, {"accounts": accounts})
        connection.execute("analyze account")
        indexes = _drop_indexes(connection)
        portion = 500_000
        for first in range(0, requests, portion):
            last = min(first + portion, requests)
            _say(f"requests {first:,} to {last:,}")
            times = {
                "from": begin + (now - begin) * (first / requests),
                "step": (now - begin) / requests,
            }
            connection.execute(
                _REQUESTS, {**times, "first": first, "count": last - first, "accounts": accounts}
            )
        _say("steps")
        connection.execute(
            "insert into step (received_at, command_id, message_id, at, status, made_by)"
            " select received_at, command_id, command_id, received_at, 'received', actor from request"
        )
        _say("workplaces")
        for user in ("actor", "on_behalf_of"):
            connection.execute(
                f"insert into workplace (user_id, master, intermediate, basic)"
                f" select distinct {user}, master, intermediate, basic from request where {user} is not null"
                f" on conflict do nothing"
            )
        _say("keys")
        connection.execute(
            "insert into request_key (command_id, tracking_number, received_at, account_id)"
            " select command_id, tracking_number, received_at, account_id from request"
        )
        for index in indexes:
            _say(index[:90])
            connection.execute(index)
        connection.execute("drop table drawn")
        _say("vacuum")
        connection.execute("vacuum (analyze)")


def _drop_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop the indexes of what comes in bulk and return what builds them again."""
    rows = connection.execute(
        "select indexrelid::regclass::text, pg_get_indexdef(indexrelid), conname, conrelid::regclass::text,"
        " pg_get_constraintdef(c.oid)"
        " from pg_index left join pg_constraint c on conindid = indexrelid"
        " where indrelid in ('request'::regclass, 'request_key'::regclass)"
    ).fetchall()
    again = []
    for name, definition, constraint, table, words in rows:
        if constraint:
            connection.execute(f"alter table {table} drop constraint {constraint}")
            again.append(f"alter table {table} add constraint {constraint} {words}")
        else:
            connection.execute(f"drop index {name}")
            again.append(definition.replace(" ON ONLY ", " ON "))
    return again


_ACCOUNTS = f"""
create unlogged table drawn as
    select n, 'acc_' || lpad(to_hex(n), 26, '0') account_id, company,
        company * {INTERMEDIATES} + place / {BASICS} intermediate,
        company * {INTERMEDIATES * BASICS} + place basic, floor(random() * {_LAST_NAMES})::int surname
    from (select n, {_COMPANY} company, floor(random() * {INTERMEDIATES * BASICS})::int place
        from generate_series(0, %(accounts)s - 1) n) d;
alter table drawn add primary key (n);
insert into control_account (number, parent, level, version)
    select distinct (1e14::bigint + company)::text, null, 'master', 1 from drawn
    union select distinct (2e14::bigint + intermediate)::text, (1e14::bigint + company)::text, 'intermediate', 1 from drawn
    union select distinct (3e14::bigint + basic)::text, (2e14::bigint + intermediate)::text, 'basic', 1 from drawn;
insert into account (account_id, product, name_key, embossed_name, named, basic, placed)
    select account_id,
        (array['corporate_green', 'corporate_green', 'corporate_green', 'corporate_gold', 'corporate_gold',
            'corporate_purchasing', 'cobranded_corporate', 'corporate_platinum'])[1 + floor(random() * 8)::int],
        surname_of || ' ' || first_name, upper(first_name || ' ' || surname_of), 1, (3e14::bigint + basic)::text, 1
    from (select drawn.*, translate(lpad(surname::text, 4, '0'), '0123456789', 'aeioubrstn') || 'er' surname_of,
        translate(floor(random() * 900 + 100)::text, '0123456789', 'aeioumlnrs') first_name from drawn) named
"""
_SHARES = list(_STATUSES.items())
_STATUS = (
    "case "
    + " ".join(
        f"when chance < {sum(share for _, share in _SHARES[: place + 1])} then '{status}'"
        for place, (status, _) in enumerate(_SHARES)
    )
    + " else 'completed' end"
)
# The first users of a company ask for what lies where they are administrators (see `viewers`), the others for anything.
_ASKER = f"""(array[0, case when intermediate %% {INTERMEDIATES} = 1 then 1 else 4 end,
        case when intermediate %% {INTERMEDIATES} < 3 and basic %% {BASICS} < 2 then 2 else 5 end,
        case when basic %% {INTERMEDIATES * BASICS} = {2 * BASICS + 1} then 3 else 6 end, 4, 5, 6, 7]
    )[1 + floor(random() * {USERS})::int]"""
_REQUESTS = f"""
insert into request (received_at, command_id, tracking_number, type, status, exceptional, rank, payload, fingerprint,
    approver_function, account_id, master, intermediate, basic, actor, on_behalf_of, channel, asked_at, due_at, finished_at)
select heard, md5(number::text)::uuid::text, upper(substr(md5(number::text), 1, 3) || lpad(to_hex(number), 7, '0')),
    case when number %% 500000 = 7 then '{_RARE_TYPE}' else (array['{"', '".join(_TYPES)}'])[1 + floor(power(random(), 2) * {len(_TYPES)})::int] end, status,
    case when status <> 'completed' then status end, 0,
    '{{"account_id": "' || account_id || '", "reason": "employment_ended", "comment": null}}', md5(number::text) || md5('f' || n),
    case when status = 'awaiting_approval' then 'accounts.approve' end, account_id, (1e14::bigint + company)::text,
    (2e14::bigint + intermediate)::text, (3e14::bigint + basic)::text, 'user' || company || '.' || {_ASKER},
    case when random() < 0.1 then 'user' || company || '.' || {_ASKER} end,
    case when number %% 300000 = 11 then 'system' when random() < 0.1 then 'api' else 'portal' end, heard, heard + interval '1 minute',
    case when status not in ('scheduled', 'awaiting_approval') then heard + interval '1 second' end
from (select n number, {_STATUS} status, heard, account from (
    select n, random() * 100 chance, floor(random() * %(accounts)s)::int account,
        %(from)s + (n - %(first)s) * %(step)s::interval heard
    from generate_series(%(first)s, %(first)s + %(count)s - 1) n offset 0) d) r
join drawn on drawn.n = r.account
"""


def run_jobs(database: Database, now: datetime) -> None:
    """Do what the service's jobs would have done by now: look for what lingers, and count the days."""
    for job in (jobs.enter_lingering, count_days):
        more = 1
        while more:
            with database.write() as session:
                envelope = Envelope(
                    id="job",
                    key="tracking.job.v1",
                    source="tracking",
                    time=now,
                    data={},
                    correlation_id="job",
                )
                more = job(Transaction(Batch(session, "tracking", now, Settings(), {}), envelope))


# Asking


@dataclass(frozen=True)
class Draw:
    """Draws what is asked for from what exists."""

    accounts: int
    now: datetime
    command_ids: list[str]
    accounts_of: Mapping[str, Sequence[str]]

    def accounts_seen(self, chance: Chance, count: int) -> list[str]:
        """Return so many of the accounts that a viewer sees, as accounts finds by card numbers no others."""
        basics = list(self.accounts_of) if chance.basics is None else chance.basics
        seen = [account for basic in basics for account in self.accounts_of.get(basic, ())]
        return chance.sample(seen, min(count, len(seen)))

    def day(self, chance: Chance) -> datetime:
        return self.now - timedelta(days=chance.uniform(1, 30 * (MONTHS - 1)))

    def week(self, **criteria: Any) -> Question:
        def ask(chance: Chance) -> Message:
            day = self.day(chance)
            return FindRequests(received_from=day, received_before=day + timedelta(days=7), **criteria)

        return ask

    def account(self, chance: Chance) -> str:
        return f"acc_{chance.randrange(self.accounts):026x}"

    def deep(self, question: Question) -> Question:
        """Return the same question about a page somewhere in between."""

        def ask(chance: Chance) -> Message:
            cursor = encode_cursor((self.day(chance).isoformat(), chance.choice(self.command_ids)))
            query: Any = question(chance)
            return cast(Message, replace(query, cursor=cursor))

        return ask


def find(**criteria: Callable[[Chance], Any] | Any) -> Question:
    """Return what asks by these criteria; one that is a function draws its value."""

    def ask(chance: Chance) -> Message:
        return FindRequests(**{k: v(chance) if callable(v) else v for k, v in criteria.items()})

    return ask


def surname(chance: Chance) -> str:
    """Return a surname that some holders have."""
    return f"{chance.randrange(_LAST_NAMES):04}".translate(str.maketrans("0123456789", "aeioubrstn")) + "er"


def searches(draw: Draw) -> dict[str, Question]:
    """Return every search by its name; each makes another question of its kind each time."""
    found: dict[str, Question] = {
        "no criterion": find(),
        "tracking number": lambda chance: GetRequest(tracking_number=chance.choice(draw.command_ids)),
        "type": find(type=lambda chance: chance.choice(_TYPES)),
        "week": draw.week(),
        "control account": find(
            control_account=lambda chance: chance.choice(numbers_of(chance.some_company()))
        ),
        "account": find(account_id=draw.account),
        "accounts of 100 cards": lambda chance: SearchRequests(account_ids=draw.accounts_seen(chance, 100)),
        "product": find(product="corporate_platinum"),
        "channel": find(channel=Channel.API),
        "channel, rare": find(channel=Channel.SYSTEM),
        "type, rare": find(type=_RARE_TYPE),
        "work of a user": find(work_of=lambda chance: f"user{chance.some_company()}.1"),
        "name, rare": find(name=lambda chance: f"{surname(chance)} {'aeiou'[chance.randrange(5)]}"),
        "surname": find(name=surname),
        "name, two letters": find(name=lambda chance: surname(chance)[:2]),
        "name, one letter": find(name=lambda chance: surname(chance)[:1]),
        "overdue": find(overdue=True),
        "not overdue": find(overdue=False),
        "500 on a page": find(limit=500),
        "surname, rejected": find(name=surname, status=RequestStatus.REJECTED),
        "surname, product": find(name=surname, product="corporate_platinum"),
        "product, rejected": find(product="corporate_platinum", status=RequestStatus.REJECTED),
        "type, failed": find(type=_TYPES[-1], status=RequestStatus.FAILED),
        "account, type": find(account_id=draw.account, type=_TYPES[0]),
        "control account, rejected": find(
            control_account=lambda chance: numbers_of(chance.some_company())[0],
            status=RequestStatus.REJECTED,
        ),
        "work of a user, rejected": find(
            work_of=lambda chance: f"user{chance.some_company()}.1", status=RequestStatus.REJECTED
        ),
        "type, channel, period": draw.week(type=_TYPES[2], channel=Channel.API),
        "overview": lambda _: GetRequestOverview(),
        "overview of 90 days": lambda chance: GetRequestOverview(
            received_from=draw.now - timedelta(days=chance.uniform(80, 90))
        ),
        "overview of a user's work": lambda chance: GetRequestOverview(
            work_of=f"user{chance.some_company()}.1"
        ),
    }
    found |= {f"status {status}": find(status=status) for status in RequestStatus}
    for name in ("no criterion", "type", "product", "surname", "status rejected", "overdue"):
        found[f"{name}, deep page"] = draw.deep(found[name])
    return found


def viewers() -> dict[str, Callable[[Chance], Actor]]:
    """Return who asks: the issuer, who sees everything, and users of ever smaller parts of a company."""

    def issuer(chance: Chance) -> Actor:
        chance.company, chance.basics = None, None
        return Actor(
            user_id="operator", party=Party.ISSUER, grants={"tracking.view": frozenset({EVERYWHERE})}
        )

    def client(
        user: int, *places: tuple[int, int], level: int, company: int | None = None
    ) -> Callable[[Chance], Actor]:
        def sign_in(chance: Chance) -> Actor:
            chance.company = chance.randrange(COMPANIES) if company is None else company
            numbers = frozenset(numbers_of(chance.company, *place)[level] for place in places)
            chance.basics = [
                numbers_of(chance.company, intermediate, basic)[2]
                for intermediate in range(INTERMEDIATES)
                for basic in range(BASICS)
                if not numbers.isdisjoint(numbers_of(chance.company, intermediate, basic))
            ]
            grants = {"tracking.view": numbers, "tracking.approve": numbers}
            return Actor(user_id=f"user{chance.company}.{user}", party=Party.CLIENT, grants=grants)

        return sign_in

    return {
        "issuer": issuer,
        "principal of a master": client(0, (0, 0), level=0),
        "principal of the largest": client(0, (0, 0), level=0, company=0),
        "PA of an intermediate": client(1, (1, 0), level=1),
        "PA of six basics": client(2, *((place // 2, place % 2) for place in range(6)), level=2),
        "PA of a basic": client(3, (2, 1), level=2),
        "PA of a basic, once of a master": client(4, (2, 1), level=2),
    }


def measure(
    database: Database, who: str, viewer: Callable[[Chance], Actor], search: str, question: Question,
    times: int, now: datetime,
) -> Measured:  # fmt: skip
    """Ask the same kind of question so many times, and say how long it took."""
    chance = Chance(f"{who} {search}")
    seconds, rows = [], 0
    for number in range(times + _WARM_UP):
        actor, query = viewer(chance), question(chance)
        started = time.perf_counter()
        with database.read() as session:
            reader = Reader(session, actor, query.contract.function, now, Settings())
            try:
                answer = service.queries[type(query)](query, reader)
            except NotFound as error:  # not theirs to see is an answer too
                answer = error
        if number >= _WARM_UP:
            seconds.append(time.perf_counter() - started)
            rows += len(getattr(answer, "data", ()))
    cuts = quantiles(seconds, n=100, method="inclusive")
    return Measured(who, search, cuts[49] * 1000, cuts[94] * 1000, rows // times)


# Telling


def write_report(found: list[Measured], requests: int, accounts: int, size: str, times: int) -> None:
    """Write the table, the slowest first."""
    words = (
        f"Written by `make bench-tracking` on {datetime.now(UTC):%d %B %Y}: {requests:,} requests of {MONTHS} months about"
        f" {accounts:,} card accounts of {COMPANIES} companies, {size} on PostgreSQL 17 with 6 GB of"
        f" `shared_buffers` and else its default settings, on {os.cpu_count()} cores ({platform.machine()}) that other work shared"
        f" (load average {os.getloadavg()[1]:.1f}). Each search"
        f" is asked {times} times with other values, through the service's own queries, after a few to warm up; the time is"
        " the whole read, from the question to the rows as the service hands them on. The slowest are first."
    )
    lines = [
        "# How fast tracking finds requests",
        "",
        words,
        "",
        "| who | search | median ms | p95 ms | rows |",
    ]
    lines.append("|---|---|---:|---:|---:|")
    lines += [
        f"| {one.who} | {one.search} | {one.median:.1f} | {one.p95:.1f} | {one.rows} |"
        for one in sorted(found, key=lambda one: -one.p95)
    ]
    REPORT.write_text("\n".join(lines) + "\n")


def _say(words: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {words}", flush=True)


@contextmanager
def filled(requests: int, accounts: int, url: str | None, now: datetime) -> Iterator[Database]:
    """Yield a database with so many requests: the one at ``url``, which is filled already, or a new one."""
    if url:
        with closing(Database(url, plans_once=True)) as database:
            yield database
        return
    with closing(start_postgres()) as server, server.new_database() as fresh:
        upgrade(service, fresh.url)
        server.execute("alter system set shared_buffers = '6GB'")
        server.restart()
        print(f"filling {fresh.url}", flush=True)
        fill(fresh.url, requests, accounts, now)
        with closing(Database(fresh.url, plans_once=True)) as database:
            _say("days")
            run_jobs(database, now)
            yield database


def main() -> int:
    """Fill, measure, tell; returns 1 where a search took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100, help="questions of each kind")
    parser.add_argument("--only", default="", help="searches whose name holds this")
    parser.add_argument("--who", default="", help="viewers whose name holds one of these")
    parser.add_argument(
        "--keep", action="store_true", help="leave the filled database until a line is entered"
    )
    parser.add_argument("--url", help="a database that is filled already")
    arguments = parser.parse_args()
    now = datetime.now(UTC)
    found: list[Measured] = []
    with filled(arguments.requests, arguments.accounts, arguments.url, now) as database:
        if arguments.keep:
            input()
            return 0
        with database.read() as session:
            session.connection().exec_driver_sql("set statement_timeout = 0")
            for statement in _WARM:
                session.connection().exec_driver_sql(statement)
            ids = list(session.connection().exec_driver_sql(_SAMPLE).scalars())
            size = str(
                session.connection()
                .exec_driver_sql("select pg_size_pretty(pg_database_size(current_database()))")
                .scalar()
            )
            seen = session.connection().exec_driver_sql(_ACCOUNTS_OF).all()
            accounts_of: dict[str, list[str]] = {row.basic: row.accounts for row in seen}
        draw = Draw(arguments.accounts, now, ids, accounts_of)
        for who, viewer in viewers().items():
            for search, question in searches(draw).items():
                if arguments.only in search and any(each in who for each in arguments.who.split(",")):
                    one = measure(database, who, viewer, search, question, arguments.times, now)
                    print(
                        f"{one.who:26} {one.search:28} {one.median:8.1f} {one.p95:8.1f} {one.rows:5}",
                        flush=True,
                    )
                    found.append(one)
    slow = [one for one in found if one.p95 >= LIMIT_MILLISECONDS]
    if not arguments.only:
        write_report(found, arguments.requests, arguments.accounts, size, arguments.times)
    for one in slow:
        print(f"too slow: {one.who}, {one.search}: p95 {one.p95:.1f} ms", file=sys.stderr)
    return 1 if slow else 0


_WARM = (
    "create extension if not exists pg_prewarm",
    """select sum(pg_prewarm(oid::regclass, 'read')) from pg_class where relkind in ('r', 'i')
    and relnamespace in ('public'::regnamespace, 'months'::regnamespace)""",
    """select sum(pg_prewarm(oid::regclass)) from pg_class where relkind = 'i'
    and relnamespace in ('public'::regnamespace, 'months'::regnamespace) and oid::regclass::text !~ 'step|embossed'""",
)
_ACCOUNTS_OF = "select basic, array_agg(account_id) as accounts from account group by basic"
_SAMPLE = "select command_id from request_key tablesample bernoulli (0.01) limit 1000"

if __name__ == "__main__":
    sys.exit(main())
