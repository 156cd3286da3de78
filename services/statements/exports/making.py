"""Makes exports: some transactions at a time are locked, written and counted, each portion in one transaction.

Whoever dies leaves an export where its last portion ended, and the next worker goes on from there. What a portion takes is
locked first and read afterwards, and whoever codes locks too: so no coding comes between what is written and its lock.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.exports.layout_file import read_layout
from services.statements.exports.writing import DoesNotFit, closing_of, lines_of, opening_of
from services.statements.model import card_account, coding, export, export_piece, exported, posting
from services.statements.queries.scope import under
from shared.contracts.outcomes import CommandRejected
from shared.contracts.reconciliation import ExportState, ExportTotal, ExportTransactions, TransactionsExported
from shared.contracts.types import Channel
from shared.database import (
    GIVEN,
    given_rows,
    given_values,
    insert,
    is_postgresql,
    rows_parameter,
    values_parameter,
)
from shared.days import day_of
from shared.messaging.transaction import Transaction
from shared.money import in_major_units
from shared.service import Transact

MAKE_EXPORTS = "make-exports"
PORTION = 2000
# A worker handles no command meanwhile.
LONGEST_RUN_SECONDS = 0.5

PLACE = sa.func.coalesce(card_account.c.control_account, posting.c.ledger_account)
"""The control account below which a posting lies: that of its card account, or the one that is billed."""


def make_exports(transact: Transact) -> int:
    """Go on with the oldest export that is asked for, and return how many transactions were written."""
    until, done = time.monotonic() + LONGEST_RUN_SECONDS, 0
    while True:
        with transact() as tx:
            found = _next(tx.session)
            if found is None:
                return done
            done += _make_portion(found, tx)
            if time.monotonic() > until:
                tx.wake(MAKE_EXPORTS)
                return done


def exportable(
    control_account: str, posted_from: date, posted_to: date, kinds: Collection[str], *, coded_only: bool
) -> Sequence[sa.ColumnElement[bool]]:
    """Return the conditions under which one of `POSTINGS` is for an export; no ``kinds`` stand for all."""
    return [
        posting.c.posted_on.between(posted_from, posted_to),
        PLACE.in_(under([control_account])),
        ~sa.exists().where(exported.c.posting_id == posting.c.id),
        *([posting.c.kind.in_(sorted(kinds))] if kinds else []),
        *([coding.c.posting_id.is_not(None)] if coded_only else []),
    ]


POSTINGS = posting.outerjoin(card_account, card_account.c.id == posting.c.account_id).outerjoin(
    coding, coding.c.posting_id == posting.c.id
)


def _next(session: orm.Session) -> Any:
    wanted = sa.select(export).where(export.c.state == ExportState.MAKING)
    first = wanted.order_by(export.c.asked_at, export.c.id).limit(1)
    return session.execute(first.with_for_update(skip_locked=True)).one_or_none()


def _make_portion(found: Any, tx: Transaction) -> int:
    """Write the next transactions of an export, or end it; returns how many were written."""
    layout = read_layout(found.layout_text, found.layout)
    due = tx.session.execute(_due(found, layout.kinds)).all()
    mine = _lock([row.id for row in due], found.id, tx.session)
    about = _about(found, tx)
    totals = {total.currency: total for total in totals_of(found)}
    rows = _rows(mine, tx.session)
    try:
        content = opening_of(layout, about) if found.last_id is None else b""
        content += lines_of(layout, _facts(rows, about, first=found.transactions + 1))
        _count(rows, totals)
        is_last = len(due) < PORTION
        if is_last:
            content += closing_of(layout, _closing_facts(totals.values(), about))
    except DoesNotFit as problem:
        _give_up(found, str(problem), tx)
        return 0
    if content:
        tx.session.execute(
            sa.insert(export_piece).values(export_id=found.id, begins_at=found.bytes, content=content)
        )
    made: dict[str, Any] = {
        "transactions": found.transactions + len(rows),
        "totals": orjson.dumps([totals[currency] for currency in sorted(totals)]).decode(),
        "bytes": found.bytes + len(content),
    }
    if due:
        made |= {"last_day": due[-1].posted_on, "last_id": due[-1].id}
    if is_last:
        made |= {"state": ExportState.READY, "finished_at": tx.now}
    tx.session.execute(sa.update(export).where(export.c.id == found.id).values(made))
    if is_last:
        _tell(found, made["transactions"], [totals[currency] for currency in sorted(totals)], tx)
    return len(rows)


def _due(found: Any, kinds: Collection[str]) -> sa.Select[Any]:
    """Select the next postings that are in no export, locked."""
    criteria = exportable(
        found.control_account, found.posted_from, found.posted_to, kinds, coded_only=found.coded_only
    )
    wanted = sa.select(posting.c.id, posting.c.posted_on).select_from(POSTINGS).where(*criteria)
    if found.last_id is not None:
        last = sa.tuple_(sa.literal(found.last_day, sa.Date), sa.literal(found.last_id))
        wanted = wanted.where(sa.tuple_(posting.c.posted_on, posting.c.id) > last)
    ordered = wanted.order_by(posting.c.posted_on, posting.c.id).limit(PORTION)
    return ordered.with_for_update(of=posting)


def _lock(ids: Sequence[str], export_id: str, session: orm.Session) -> list[str]:
    """Enter postings as exported, and return those that no other export has taken meanwhile."""
    if not ids:
        return []
    entering = _entering(postgresql_=is_postgresql(session))
    entered = session.scalars(entering, rows_parameter(session, [(id_, export_id) for id_ in ids]))
    mine = set(entered.all())
    return [id_ for id_ in ids if id_ in mine]


@cache
def _entering(*, postgresql_: bool) -> Any:
    columns = {column.name: column.type for column in exported.c}
    rows = given_rows(columns, postgresql_=postgresql_)
    entering = insert(exported, postgresql_=postgresql_).from_select(list(columns), rows)
    return entering.on_conflict_do_nothing().returning(exported.c.posting_id)


def _rows(ids: Sequence[str], session: orm.Session) -> Sequence[sa.RowMapping]:
    """Return what is known of postings, in the order of the ids."""
    selecting = _selecting(postgresql_=is_postgresql(session))
    return session.execute(selecting, values_parameter(ids)).mappings().all() if ids else []


@cache
def _selecting(*, postgresql_: bool) -> sa.Select[Any]:
    of_account = ("last_name", "first_name", "embossed_name", "employee_id", "universal_number")
    return (
        sa.select(
            posting,
            *(card_account.c[name] for name in of_account),
            PLACE.label("account_control_account"),
            sa.func.coalesce(coding.c.cost_centre, posting.c.cost_centre).label("booked_cost_centre"),
            sa.func.coalesce(coding.c.ledger_code, posting.c.ledger_code).label("booked_ledger_code"),
            coding.c.tax_code,
            coding.c.project,
            coding.c.note,
        )
        .select_from(POSTINGS)
        .where(posting.c.id.in_(given_values(GIVEN, postgresql_=postgresql_)))
        .order_by(posting.c.posted_on, posting.c.id)
    )


def _about(found: Any, tx: Transaction) -> dict[str, Any]:
    return {
        "export_id": found.id,
        "control_account": found.control_account,
        "posted_from": found.posted_from,
        "posted_to": found.posted_to,
        "made_on": day_of(found.asked_at, tx.settings.time_zone),
    }


def _facts(
    rows: Iterable[sa.RowMapping], about: Mapping[str, Any], *, first: int
) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(rows, first):
        amount = in_major_units(row["amount"], row["currency"])
        owed = amount >= 0
        original = row["original_currency"]
        yield {
            **row,
            **about,
            "number": number,
            "transaction_id": row["id"],
            "amount": amount,
            "amount_reversed": -amount,
            "amount_unsigned": abs(amount),
            "debit": amount if owed else None,
            "credit": None if owed else -amount,
            "side": "debit" if owed else "credit",
            "other_side": "credit" if owed else "debit",
            "original_amount": in_major_units(row["original_amount"], original) if original else None,
            "cost_centre": row["booked_cost_centre"],
            "ledger_code": row["booked_ledger_code"],
        }


def totals_of(found: Any) -> list[ExportTotal]:
    """Return what the transactions of an export come to, by currency."""
    return [ExportTotal(**total) for total in orjson.loads(found.totals)]


def _count(rows: Iterable[sa.RowMapping], totals: dict[str, ExportTotal]) -> None:
    """Add postings to the totals of their currencies."""
    for row in rows:
        nothing = ExportTotal(currency=row["currency"], transactions=0, amount=0, debits=0, credits=0)
        so_far = totals.get(row["currency"], nothing)
        totals[row["currency"]] = ExportTotal(
            currency=row["currency"],
            transactions=so_far.transactions + 1,
            amount=so_far.amount + row["amount"],
            debits=so_far.debits + max(0, row["amount"]),
            credits=so_far.credits + max(0, -row["amount"]),
        )


def _closing_facts(totals: Iterable[ExportTotal], about: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for total in sorted(totals, key=lambda total: total.currency):
        amount = in_major_units(total.amount, total.currency)
        yield {
            **about,
            "currency": total.currency,
            "transactions": total.transactions,
            "total": amount,
            "total_reversed": -amount,
            "debits": in_major_units(total.debits, total.currency),
            "credits": in_major_units(total.credits, total.currency),
        }


def _tell(found: Any, transactions: int, totals: list[ExportTotal], tx: Transaction) -> None:
    """Publish that an export is ready, and complete the command that asked for it."""
    asked = _asked(found, tx)
    asked.publish(
        TransactionsExported(
            export_id=found.id, control_account=found.control_account, layout=found.layout,
            posted_from=found.posted_from, posted_to=found.posted_to, transactions=transactions, totals=totals,
        ),
        subject=found.id,
    )  # fmt: skip
    asked.complete({"export_id": found.id, "transactions": transactions})


def _give_up(found: Any, problem: str, tx: Transaction) -> None:
    """Let the transactions of an export go that cannot be written as its layout says, and reject the command."""
    release(found.id, tx)
    tx.session.execute(sa.delete(export_piece).where(export_piece.c.export_id == found.id))
    failed = {"state": ExportState.FAILED, "problem": problem, "bytes": 0, "finished_at": tx.now}
    tx.session.execute(sa.update(export).where(export.c.id == found.id).values(failed))
    name = ExportTransactions.contract.name
    _asked(found, tx).publish(
        CommandRejected(
            command_id=found.command_id, command=name, code="does_not_fit", message=problem, field="layout"
        )
    )


def release(export_id: str, tx: Transaction) -> None:
    """Let the transactions of an export go: they can be coded again, and another export has them."""
    tx.session.execute(sa.delete(exported).where(exported.c.export_id == export_id))


def _asked(found: Any, tx: Transaction) -> Transaction:
    return tx.continuing(
        command_id=found.command_id, key=ExportTransactions.contract.key, actor=found.asked_by,
        on_behalf_of=found.on_behalf_of, channel=Channel(found.channel),
    )  # fmt: skip
