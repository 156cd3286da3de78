"""Statements' share of the demonstration programme: control and card accounts, which tell no events, and what was bought.

Each account that is late has a purchase that was billed and not paid, so long ago that it is in the very bucket under which
accounts knows it. Of the first five thousand, those that were used lately have one that is not billed yet, and how they
stand is told; of a million that would take too long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import orm

from services.statements.model import (
    card_account,
    card_number,
    control_account,
    entry,
    ledger_account,
    posting,
    standing_due,
    statement,
)
from services.statements.rules import counter_of
from shared.contracts.accounts import PaymentStatus
from shared.contracts.statements import TransactionKind
from shared.contracts.structure import DEFAULT_SETTINGS
from shared.database import Database, insert_rows, is_postgresql
from shared.days import day_of
from shared.folding import fold_name
from shared.settings import Settings

_CHUNK = 5_000
_CURRENCY = DEFAULT_SETTINGS.billing_currency
_COUNTER = counter_of(TransactionKind.PURCHASE, _CURRENCY)
_LATELY = timedelta(days=25)
_BEFORE_CLOSING = timedelta(days=9)
_OVERDUE = {
    PaymentStatus.PAST_DUE_30: 16,
    PaymentStatus.PAST_DUE_60: 73,
    PaymentStatus.PAST_DUE_90: 104,
    PaymentStatus.PAST_DUE_120: 151,
}
"""For how many days a debt of each bucket is overdue."""

Rows = dict[sa.Table, list[dict[str, Any]]]


class KnownAccount(NamedTuple):
    """A card account with its card, as the service that owns it tells of it."""

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


class Purchase(NamedTuple):
    """What was bought: an amount in minor units, and at which merchant."""

    amount: int
    merchant: str
    merchant_category: str
    city: str
    country: str


def is_loaded(database: Database) -> bool:
    """Return whether statements knows any card account."""
    with database.read() as session:
        return bool(session.scalar(sa.select(sa.select(card_account).exists())))


def load(
    database: Database,
    settings: Settings,
    now: datetime,
    accounts: Iterable[KnownAccount],
    structure: Iterable[tuple[str, str | None, str, int]],
    purchase_of: Callable[[str], Purchase],
) -> None:
    """Note many card accounts and the control accounts above them, with what was bought, in one transaction.

    ``structure`` has the number, parent, level and version of each control account; they begin to close from now on.
    ``purchase_of`` gets the id of a card account.
    """
    with database.write() as session:
        if database.is_postgresql:
            session.execute(sa.text("set local statement_timeout = 0"))
        today = day_of(now, settings.time_zone)
        _note_structure(session, structure, today)
        rows, spent, first = iter(accounts), 0, True
        while some := list(islice(rows, _CHUNK)):
            made, first = _rows(some, settings, now, purchase_of, lively=first), False
            spent += sum(row["amount"] for row in made[posting])
            for table, values in made.items():
                _write(session, table, values)
        _write(session, ledger_account, [_ledger_account(_COUNTER, balance=-spent)])
        for table in (card_account, card_number, ledger_account, posting, entry, statement):
            session.execute(sa.text(f"analyze {table.name}"))


def _note_structure(
    session: orm.Session, structure: Iterable[tuple[str, str | None, str, int]], today: date
) -> None:
    known = set(session.scalars(sa.select(control_account.c.number)))
    nodes: list[Mapping[str, Any]] = [
        {
            "number": number, "parent": parent, "level": level, "placed": version, "configured": version,
            "opened_on": today, "closed_through": today,
        }
        for number, parent, level, version in structure
        if number not in known
    ]  # fmt: skip
    if nodes:
        session.execute(sa.insert(control_account), nodes)


def _rows(
    some: Sequence[KnownAccount],
    settings: Settings,
    now: datetime,
    purchase_of: Callable[[str], Purchase],
    *,
    lively: bool,
) -> Rows:
    """Return the rows that these accounts make, by table."""
    made: Rows = {
        table: []
        for table in (card_account, card_number, ledger_account, posting, entry, statement, standing_due)
    }
    today = day_of(now, settings.time_zone)
    for known in some:
        opened_on = day_of(known.opened_at, settings.time_zone)
        made[card_account].append(_card_account(known, opened_on))
        made[card_number].append(
            {"number_hash": known.number_hash, "account_id": known.id, "last_four": known.last_four}
        )
        late = _OVERDUE.get(PaymentStatus(known.payment_status))
        if late:
            due_on = today - timedelta(days=late)
            _add_debt(made, known, purchase_of(known.id), due_on, now, settings)
        elif lively and known.last_used_on and known.last_used_on > today - _LATELY:
            _add_purchase(made, known, purchase_of(known.id), known.last_used_on, now, cycle=1)
            made[ledger_account].append(
                _ledger_account(known.id, known.control_account, made[posting][-1]["amount"], closed_on=today)
            )
    if lively:
        made[standing_due] = [{"account_id": row["account_id"]} for row in made[posting]]
    return made


def _card_account(known: KnownAccount, opened_on: date) -> dict[str, Any]:
    same = known._asdict()
    versions = dict.fromkeys(("named", "placed", "coded", "chosen"), known.version)
    row = {**same, **versions, "opened_on": opened_on, "delivery": None}
    return {column.name: row[column.name] for column in card_account.c}


def _add_debt(
    made: Rows, known: KnownAccount, bought: Purchase, due_on: date, now: datetime, settings: Settings
) -> None:
    """Add a purchase that was billed, fell due on a day, and was never paid."""
    closed_on = due_on - timedelta(days=settings.payment_days)
    _add_purchase(made, known, bought, closed_on - _BEFORE_CLOSING, now, cycle=1)
    owed = bought.amount
    made[statement].append(
        {
            "id": _renamed(known.id, "stm"), "ledger_account": known.id, "cycle": 1, "account_id": known.id,
            "control_account": known.control_account, "currency": _CURRENCY, "opened_on": closed_on - timedelta(days=30),
            "closed_on": closed_on, "due_on": due_on, "previous_balance": 0, "payments": 0, "credits": 0, "debits": owed,
            "balance": owed, "debits_to_date": owed, "on_paper": True,
        }
    )  # fmt: skip
    today = day_of(now, settings.time_zone)
    made[ledger_account].append(
        _ledger_account(
            known.id, known.control_account, owed, closed_on=today, billed=owed, cycle=2, due_since=due_on,
            payment_status=known.payment_status,
        )
    )  # fmt: skip


def _add_purchase(
    made: Rows, known: KnownAccount, bought: Purchase, day: date, now: datetime, *, cycle: int
) -> None:
    id_ = _renamed(known.id, "txn")
    made[posting].append(
        {
            "id": id_, "account_id": known.id, "ledger_account": known.id, "cycle": cycle,
            "kind": TransactionKind.PURCHASE.value, "amount": bought.amount, "currency": _CURRENCY,
            "merchant": bought.merchant, "merchant_key": fold_name(bought.merchant),
            "merchant_category": bought.merchant_category, "city": bought.city, "country": bought.country,
            "transacted_on": day, "posted_on": day, "cost_centre": known.cost_centre, "source": "demonstration",
            "source_key": known.id,
        }
    )  # fmt: skip
    made[entry].append(
        {
            "posting_id": id_, "place": 1, "debit": known.id, "credit": _COUNTER, "amount": bought.amount,
            "currency": _CURRENCY, "posted_at": now,
        }
    )  # fmt: skip


def _ledger_account(
    id_: str,
    control_account_: str | None = None,
    balance: int = 0,
    *,
    billed: int = 0,
    cycle: int = 1,
    closed_on: date | None = None,
    due_since: date | None = None,
    payment_status: str = PaymentStatus.CURRENT.value,
) -> dict[str, Any]:
    return {
        "id": id_, "control_account": control_account_, "currency": _CURRENCY, "balance": balance,
        "debits": balance if control_account_ else 0, "credits": 0, "payments": 0, "billed_debits": billed,
        "billed_credits": 0, "billed_payments": 0, "cycle": cycle, "closed_on": closed_on, "due_since": due_since,
        "payment_status": payment_status, "nil_since": None,
    }  # fmt: skip


def _renamed(id_: str, prefix: str) -> str:
    """Return an id of another kind that is as unique."""
    return f"{prefix}_{id_.partition('_')[2]}"


def _write(session: orm.Session, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of a table, null where they have nothing; by COPY where there is one."""
    names = [column.name for column in table.c]
    values: Iterator[list[Any]] = ([row.get(name) for name in names] for row in rows)
    if not is_postgresql(session):
        insert_rows(session, table, names, list(values))
        return
    copying = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        for row in values:
            copy.write_row(row)
