"""Accounts' share of the demonstration programme: a structure and any number of card accounts, loaded once, in bulk.

Card numbers are encrypted and hashed as always, by several processes where that pays. Everything is written in one
transaction, so that a crash leaves nothing half loaded, and nothing is held but a few chunks of accounts, so that a
million take no more memory than a thousand.
"""

import gc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import Any, NamedTuple, Protocol

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import orm

from services.accounts.counts import count_anew
from services.accounts.embossing import embossed
from services.accounts.model import Base, Card, CardAccount, ControlAccount
from services.accounts.rules import card_expiry, searched_names
from services.accounts.vault import Vault, vault_of
from shared.contracts.cards import CardState
from shared.database import Database, is_postgresql
from shared.settings import Settings

Rows = Sequence[Sequence[Any]]
Span = tuple[int, int]  # from one place up to another, counted from zero

_CHUNK = 5_000
_MOST_PROCESSES = 4
_LOCK = 0x44454D4F  # any number that nothing else in this database locks
_BULKY = ("card_account", "card", "hold")

# From so many accounts on, it takes less time to ...
_WORTH_PROCESSES = 50_000  # start processes that make the rows
_WORTH_REBUILDING = 50_000  # build indexes anew, than to keep them up to date


class Node(NamedTuple):
    """A control account, as the columns of its table; a parent comes before its children."""

    number: str
    name: str
    level: str
    parent: str | None
    path: str
    company_name: str
    company_number: str
    contact: str | None


class HoldInForce(NamedTuple):
    """The hold of a suspended account, as columns of its table."""

    id: str
    origin: str
    effective_at: datetime
    ends_at: datetime
    comment: str | None
    command_id: str
    command_key: str
    actor: str
    channel: str


class Holder(NamedTuple):
    """Whom a card account is for, as columns of its table."""

    first_name: str
    last_name: str
    address_line_1: str | None
    address_line_2: str | None
    city: str | None
    postcode: str | None
    country: str | None
    business_phone: str | None
    other_phone: str | None
    email: str | None
    employee_id: str | None
    cost_centre: str | None
    universal_number: str | None


class Account(NamedTuple):
    """A card account with its one card; what comes before ``holder`` are columns of its table."""

    id: str
    control_account: str
    product: str
    status: str
    payment_status: str
    cancel_reason: str | None
    cancelled_at: datetime | None
    opened_at: datetime
    last_used_on: date | None
    holder: Holder
    card_id: str
    card_number: str
    issued_on: date
    hold: HoldInForce | None


class Accounts(Sized, Protocol):
    """Card accounts, made when they are asked for; such a value is handed from process to process."""

    def part(self, start: int, stop: int) -> Iterable[Account]:
        """Return those from one place up to another, counted from zero."""


_OWN = Account._fields.index("holder")
_COLUMNS: Mapping[str, Sequence[str]] = {
    "control_account": (*Node._fields, "version"),
    "card_account": (*Account._fields[:_OWN], *Holder._fields, "embossed_name", "name_key", "names", "version"),
    "card": (
        "id", "account_id", "number_encrypted", "number_hash", "sequence", "last_four", "issued_on", "expires_on",
        "state", "since", "live", "due_on",
    ),
    "hold": (*HoldInForce._fields, "account_id", "in_force"),
}  # fmt: skip

_expiry = lru_cache(card_expiry)


def is_loaded(session: orm.Session, nodes: Sequence[Node]) -> bool:
    """Return whether these control accounts were loaded; all of them were, or none."""
    return session.get(ControlAccount, nodes[0].number) is not None


def load(
    database: Database,
    settings: Settings,
    nodes: Sequence[Node],
    accounts: Accounts,
    *,
    progress: Callable[[int], object] | None = None,
) -> bool:
    """Load nodes and accounts, and return whether they were; False: they were there already, and nothing changed.

    The settings hold the keys for card numbers. ``progress`` is called with how many more accounts are written. Raises
    Unavailable, or psycopg.Error in the midst of a copy, where the database is away; nothing is loaded then.
    """
    with database.write() as session:
        if database.is_postgresql:
            session.execute(sa.text("set local statement_timeout = 0"))
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if is_loaded(session, nodes):
            return False
        write = _copy_rows if database.is_postgresql else _insert_rows
        write(session, "control_account", [(*node, 1) for node in nodes])
        with _bulky_tables(session, len(accounts)):
            for rows in _prepare_all(settings, accounts):
                for table in _BULKY:
                    write(session, table, rows[table])
                if progress:
                    progress(len(rows["card_account"]))
        count_anew(session, frozenset(node.number for node in nodes))
        for table in _COLUMNS:
            session.execute(sa.text(f"analyze {table}"))
    return True


def known_elsewhere(database: Database) -> Iterator[tuple[str, str, str, str, str, int]]:
    """Yield what other services note of every card account: id, product, names as searched, control account, version."""
    columns = (
        CardAccount.id, CardAccount.product, CardAccount.name_key, CardAccount.embossed_name,
        CardAccount.control_account, CardAccount.version,
    )  # fmt: skip
    every = sa.select(*columns).execution_options(yield_per=_CHUNK)
    with database.write() as session:
        for id_, product, name_key, embossed_name, control_account, version in session.execute(every):
            yield id_, product.value, name_key, embossed_name, control_account, version


class Known(NamedTuple):
    """A card account as services that bill it know it; ``name_key`` is the name as it is searched."""

    id: str
    control_account: str
    product: str
    payment_status: str
    first_name: str
    last_name: str
    name_key: str
    embossed_name: str
    email: str | None
    employee_id: str | None
    cost_centre: str | None
    universal_number: str | None
    opened_at: datetime
    last_used_on: date | None
    version: int
    number_hash: str
    last_four: str


def known_to_billing(database: Database) -> Iterator[Known]:
    """Yield what is to be known of every card account, and of its card, to bill it."""
    of_account = Known._fields[: Known._fields.index("number_hash")]
    columns = [*(CardAccount.__table__.c[name] for name in of_account), Card.number_hash, Card.last_four]
    every = sa.select(*columns).join(Card, sa.and_(Card.account_id == CardAccount.id, Card.live))
    with database.write() as session:
        for row in session.execute(every.execution_options(yield_per=_CHUNK)):
            yield Known._make(value.value if isinstance(value, Enum) else value for value in row)


def structure_now(database: Database) -> list[tuple[str, str | None, str, int]]:
    """Return the number, parent, level and version of every control account."""
    columns = ControlAccount.number, ControlAccount.parent, ControlAccount.level, ControlAccount.version
    with database.read() as session:
        return [
            (number, parent, level.value, version)
            for number, parent, level, version in session.execute(sa.select(*columns))
        ]


# Making rows


def _prepare_all(settings: Settings, accounts: Accounts) -> Iterator[dict[str, Rows]]:
    """Yield the rows of a chunk of accounts after the other, by table."""
    prepare = partial(_prepare, settings, accounts)
    count = len(accounts)
    spans = ((start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK))
    if count < _WORTH_PROCESSES:
        yield from map(prepare, spans)
        return
    processes = min(os.cpu_count() or 1, _MOST_PROCESSES)
    # Not forked: a copy of a process with threads or connections is trouble. No rows refer to each other, so looking for
    # such garbage among thousands of them would only take a third of the time.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=gc.disable)
    with pool:
        yield from _in_order(pool, prepare, spans, ahead=2 * processes)


def _in_order(
    pool: ProcessPoolExecutor,
    prepare: Callable[[Span], dict[str, Rows]],
    spans: Iterable[Span],
    *,
    ahead: int,
) -> Iterator[dict[str, Rows]]:
    """Yield what the pool makes in the order of the spans, and have so many in the making, never more."""
    making: deque[Future[dict[str, Rows]]] = deque()
    try:
        for span in spans:
            making.append(pool.submit(prepare, span))
            if len(making) > ahead:
                yield making.popleft().result()
        while making:
            yield making.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare(settings: Settings, accounts: Accounts, span: Span) -> dict[str, Rows]:
    chunk = list(accounts.part(*span))
    vault = vault_of(settings)
    return {
        "card_account": [_account_row(account) for account in chunk],
        "card": [_card_row(account, vault, settings.renewal_days) for account in chunk],
        "hold": [(*account.hold, account.id, True) for account in chunk if account.hold],
    }


def _account_row(account: Account) -> tuple[Any, ...]:
    holder = account.holder
    return (*account[:_OWN], *holder, *_spellings(holder.first_name, holder.last_name), 1)


@lru_cache(maxsize=100_000)
def _spellings(first_name: str, last_name: str) -> tuple[str, str, str]:
    """Return the name on the card and those by which an account is found; many holders share theirs."""
    on_card = embossed(first_name, last_name)
    return on_card, *searched_names(first_name, last_name, on_card)


def _card_row(account: Account, vault: Vault, renewal_days: int) -> tuple[Any, ...]:
    number, card_id = account.card_number, account.card_id
    sealed, found_by = vault.encrypt(number, card_id), vault.hash(number)
    expires_on = _expiry(account.issued_on)
    closed_at = account.cancelled_at
    return (
        card_id,
        account.id,
        sealed,
        found_by,
        1,
        number[-4:],
        account.issued_on,
        expires_on,
        CardState.CLOSED.value if closed_at else CardState.ACTIVE.value,
        closed_at or datetime.combine(account.issued_on, time(12), UTC),
        True,
        None if closed_at else expires_on - timedelta(days=renewal_days),
    )


# Writing


def _insert_rows(session: orm.Session, table: str, rows: Rows) -> None:
    if rows:
        given = [dict(zip(_COLUMNS[table], row, strict=True)) for row in rows]
        session.execute(sa.insert(Base.metadata.tables[table]), given)


def _copy_rows(session: orm.Session, table: str, rows: Rows) -> None:
    """Write rows by PostgreSQL's COPY, in the session's transaction."""
    names = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS[table]))
    statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), names)
    with _psycopg(session).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _psycopg(session: orm.Session) -> psycopg.Connection[Any]:
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    return connection


@contextmanager
def _bulky_tables(session: orm.Session, coming: int) -> Iterator[None]:
    """Take indexes and constraints away while many rows come, and build them anew, where that is possible and pays."""
    if not is_postgresql(session) or coming < _WORTH_REBUILDING or not _are_ours_and_empty(session):
        yield
        return
    drop, build = _around_bulk(session)
    _run(session, drop)
    yield
    _run(session, ["set local maintenance_work_mem = '256MB'", *build])


def _are_ours_and_empty(session: orm.Session) -> bool:
    """Return whether nobody has written to the bulky tables, and keep it so; only their owner may change them."""
    owns = "select bool_and(pg_has_role(relowner, 'usage')) from pg_class where oid = any(cast(:tables as regclass[]))"
    if not session.scalar(sa.text(owns), {"tables": list(_BULKY)}) or not _are_empty(session):
        return False
    _run(session, [f"lock table {', '.join(_BULKY)} in access exclusive mode"])
    return _are_empty(session)  # still, now that nobody can write


def _are_empty(session: orm.Session) -> bool:
    tables = (Base.metadata.tables[name] for name in _BULKY)
    return not any(session.scalar(sa.select(sa.select(table).exists())) for table in tables)


def _around_bulk(session: orm.Session) -> tuple[list[str], list[str]]:
    """Return the statements that drop, and those that build, what PostgreSQL keeps beside the rows and their keys.

    Foreign keys come last, as one that is added to filled tables is checked by a single join.
    """
    constraints = session.execute(
        sa.text(
            "select format('alter table %s drop constraint %I', conrelid::regclass, conname),"
            " format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))"
            " from pg_constraint where conrelid = any(cast(:tables as regclass[])) and contype in ('u', 'f')"
            " order by contype desc, conname"
        ),
        {"tables": list(_BULKY)},
    ).all()
    indexes = session.execute(
        sa.text(
            "select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid) from pg_index"
            " where indrelid = any(cast(:tables as regclass[])) and not exists"
            " (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u')) order by indexrelid"
        ),
        {"tables": list(_BULKY)},
    ).all()
    return [drop for drop, _ in (*constraints, *indexes)], [build for _, build in (*indexes, *constraints)]


def _run(session: orm.Session, statements: Iterable[str]) -> None:
    for statement in statements:
        _psycopg(session).execute(statement.encode())
