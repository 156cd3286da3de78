"""Accounts' share of the demonstration programme: a structure and any number of card accounts, loaded once, in bulk.

Card numbers are encrypted and hashed as always. Everything happens in one transaction, so that a crash leaves nothing
half loaded, and nothing is held but a chunk of accounts, so that a million take no more memory than a thousand.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import orm

from services.accounts.model import Base, ControlAccount
from services.accounts.rules import card_expiry, embossed, fold_name
from services.accounts.vault import Vault
from shared.database import Database, is_postgresql

T = TypeVar("T")

_CHUNK = 5_000
_WORTH_REBUILDING = (
    50_000  # accounts from which on building indexes anew costs less than keeping them up to date
)
_LOCK = 0x44454D4F  # any number that nothing else in this database locks
_BULKY = ("card_account", "card", "hold")


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
    holder: Holder
    card_id: str
    card_number: str
    issued_on: date
    hold: HoldInForce | None


class Accounts(Sized, Iterable[Account], Protocol):
    """Card accounts that come one by one, their number known beforehand."""


_OWN = Account._fields.index("holder")
_ACCOUNT_COLUMNS = (*Account._fields[:_OWN], *Holder._fields, "embossed_name", "name_key", "version")
_CARD_COLUMNS = (
    "id", "account_id", "number_encrypted", "number_hash", "last_four", "issued_on", "expires_on", "live",
)  # fmt: skip
_HOLD_COLUMNS = (*HoldInForce._fields, "account_id", "in_force")

_expiry = lru_cache(card_expiry)


def is_loaded(session: orm.Session, nodes: Sequence[Node]) -> bool:
    """Return whether these control accounts were loaded; all of them were, or none."""
    return session.get(ControlAccount, nodes[0].number) is not None


def load(
    database: Database,
    vault: Vault,
    nodes: Sequence[Node],
    accounts: Accounts,
    *,
    progress: Callable[[int], object] | None = None,
) -> bool:
    """Load nodes and accounts, and return whether they were; False: they were there already, and nothing changed.

    ``progress`` is called with how many more accounts are written. Raises Unavailable, or psycopg.Error in the midst of
    a copy, where the database is away; nothing is loaded then.
    """
    with database.write() as session:
        if database.is_postgresql:
            session.execute(sa.text("set local statement_timeout = 0"))
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if is_loaded(session, nodes):
            return False
        write = _copy_rows if database.is_postgresql else _insert_rows
        write(session, "control_account", Node._fields, nodes)
        with _bulky_tables(session, len(accounts)):
            for chunk in _chunks(accounts, _CHUNK):
                _write_chunk(session, vault, chunk, write)
                if progress:
                    progress(len(chunk))
        for table in ("control_account", *_BULKY):
            session.execute(sa.text(f"analyze {table}"))
    return True


def _write_chunk(
    session: orm.Session, vault: Vault, chunk: Sequence[Account], write: Callable[..., None]
) -> None:
    write(session, "card_account", _ACCOUNT_COLUMNS, map(_account_row, chunk))
    write(session, "card", _CARD_COLUMNS, (_card_row(account, vault) for account in chunk))
    holds = [(*account.hold, account.id, True) for account in chunk if account.hold]
    write(session, "hold", _HOLD_COLUMNS, holds)


def _account_row(account: Account) -> tuple[Any, ...]:
    holder = account.holder
    return (*account[:_OWN], *holder, *_spellings(holder.first_name, holder.last_name), 1)


@lru_cache(maxsize=100_000)
def _spellings(first_name: str, last_name: str) -> tuple[str, str]:
    """Return the name on the card and the one by which an account is found; many holders share theirs."""
    return embossed(first_name, last_name), fold_name(f"{last_name} {first_name}")


def _card_row(account: Account, vault: Vault) -> tuple[Any, ...]:
    number, card_id = account.card_number, account.card_id
    sealed, found_by = vault.encrypt(number, card_id), vault.hash(number)
    return (
        card_id,
        account.id,
        sealed,
        found_by,
        number[-4:],
        account.issued_on,
        _expiry(account.issued_on),
        True,
    )


def _chunks(things: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(things)
    while chunk := list(islice(iterator, size)):
        yield chunk


# Writing


def _insert_rows(
    session: orm.Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    given = [dict(zip(columns, row, strict=True)) for row in rows]
    if given:
        session.execute(sa.insert(Base.metadata.tables[table]), given)


def _copy_rows(
    session: orm.Session, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Write rows by PostgreSQL's COPY, in the session's transaction."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
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
    if not session.scalar(sa.text(owns), {"tables": list(_BULKY)}):
        return False
    _run(session, [f"lock table {', '.join(_BULKY)} in access exclusive mode"])
    return not any(session.scalar(sa.text(f"select exists(select from {table})")) for table in _BULKY)  # noqa: S608 our own names


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
