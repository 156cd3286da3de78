"""Makes exports: first each takes its transactions, day by day, then it writes and counts them, some at a time.

Each step is a transaction with how far the export has come: whoever dies leaves it where the last one ended, and the next
worker goes on from there. What is taken is locked by its posting, as whoever codes locks it, so that no coding comes
between what is taken and what is written of it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.exports.layout import Layout
from services.statements.exports.layout_file import read_layout
from services.statements.exports.writing import DoesNotFit, closing_of, lines_of, opening_of
from services.statements.layout_files import BadLayout
from services.statements.model import card_account, coding, export, export_piece, exported, posting
from services.statements.queries.scope import under
from services.statements.short_runs import in_short_runs
from shared.contracts.outcomes import CommandRejected
from shared.contracts.reconciliation import ExportState, ExportTotal, ExportTransactions, TransactionsExported
from shared.contracts.types import Channel
from shared.database import insert, is_postgresql
from shared.days import day_of
from shared.messaging.transaction import Transaction
from shared.money import in_major_units
from shared.service import Transact

MAKE_EXPORTS = "make-exports"
PORTION = 2000

PLACE = sa.func.coalesce(card_account.c.control_account, posting.c.ledger_account)
"""The control account below which a posting lies: that of its card account, or the one that is billed."""


def make_exports(transact: Transact) -> int:
    """Go on with the oldest export that is asked for, and return how many transactions were written."""
    return in_short_runs(MAKE_EXPORTS, _make_next, transact)


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


def _make_next(tx: Transaction) -> int | None:
    found = _next(tx.session)
    return None if found is None else _go_on(found, tx)


def _go_on(found: Any, tx: Transaction) -> int:
    """Take the transactions of the next day, or write the next ones; returns how many were written."""
    try:
        layout = read_layout(found.layout_text, found.layout)
        day = _next_day(found, tx.session)
        if day is None:
            return _write(found, layout, tx)
        _take(found, day, layout.kinds, tx.session)
    except DoesNotFit as problem:
        _give_up(found, "does_not_fit", str(problem), tx)
    except BadLayout as problem:  # a version of Cardwork before this one could read it
        _give_up(found, "bad_layout", str(problem), tx)
    return 0


def _next_day(found: Any, session: orm.Session) -> date | None:
    """Return the next day of the period on which anything was posted."""
    day = posting.c.posted_on
    untaken = day > found.taken_through if found.taken_through else day >= found.posted_from
    following: date | None = session.scalar(
        sa.select(sa.func.min(day)).where(untaken, day <= found.posted_to)
    )
    return following


def _take(found: Any, day: date, kinds: Collection[str], session: orm.Session) -> None:
    """Enter the postings of a day that are in no export; what another takes at the same moment stays with that one."""
    criteria = exportable(found.control_account, day, day, kinds, coded_only=found.coded_only)
    free = (
        sa.select(posting.c.id, sa.literal(found.id), posting.c.posted_on)
        .select_from(POSTINGS)
        .where(*criteria)
        .order_by(posting.c.id)
        .with_for_update(of=posting)
    )
    taking = insert(exported, postgresql_=is_postgresql(session))
    names = [column.name for column in exported.c]
    session.execute(taking.from_select(names, free).on_conflict_do_nothing())
    session.execute(sa.update(export).where(export.c.id == found.id).values(taken_through=day))


def _write(found: Any, layout: Layout, tx: Transaction) -> int:
    """Write the next transactions of an export, and end it after the last ones; raises DoesNotFit, having changed nothing."""
    about = _about(found, tx)
    rows = tx.session.execute(_next_rows(found)).mappings().all()
    totals = _counted(totals_of(found), rows)
    content = opening_of(layout, about) if found.last_id is None else b""
    content += lines_of(layout, _facts(rows, about, first=found.transactions + 1))
    made: dict[str, Any] = {"transactions": found.transactions + len(rows)}
    if rows:
        made |= {"last_day": rows[-1]["posted_on"], "last_id": rows[-1]["id"]}
    if len(rows) < PORTION:
        content += closing_of(layout, _closing_facts(totals, about))
        made |= {"state": ExportState.READY, "finished_at": tx.now}
        _tell(found, made["transactions"], totals, tx)
    if content:
        piece = {"export_id": found.id, "begins_at": found.bytes, "content": content}
        tx.session.execute(sa.insert(export_piece).values(piece))
    made |= {"totals": orjson.dumps(totals).decode(), "bytes": found.bytes + len(content)}
    tx.session.execute(sa.update(export).where(export.c.id == found.id).values(made))
    return len(rows)


def _next_rows(found: Any) -> sa.Select[Any]:
    """Select what is known of the next postings to be written.

    Which these are is found first and by itself: a planner that knows nothing of what was just taken joins everything.
    """
    of_account = ("last_name", "first_name", "embossed_name", "employee_id", "universal_number")
    taken = sa.select(exported.c.posting_id).where(exported.c.export_id == found.id)
    if found.last_id is not None:
        last = sa.tuple_(sa.literal(found.last_day, sa.Date), sa.literal(found.last_id))
        taken = taken.where(sa.tuple_(exported.c.posted_on, exported.c.posting_id) > last)
    due = taken.order_by(exported.c.posted_on, exported.c.posting_id).limit(PORTION).subquery("due")
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
        .select_from(POSTINGS.join(due, due.c.posting_id == posting.c.id))
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


def _counted(so_far: Iterable[ExportTotal], rows: Iterable[sa.RowMapping]) -> list[ExportTotal]:
    """Return totals with postings added to those of their currencies, in order of these."""
    totals = {total.currency: [total.transactions, total.debits, total.credits] for total in so_far}
    for row in rows:
        counts = totals.setdefault(row["currency"], [0, 0, 0])
        counts[0] += 1
        counts[1 if row["amount"] >= 0 else 2] += abs(row["amount"])
    return [
        ExportTotal(
            currency=currency, transactions=count, amount=debits - credits_, debits=debits, credits=credits_
        )
        for currency, (count, debits, credits_) in sorted(totals.items())
    ]


def _closing_facts(totals: Iterable[ExportTotal], about: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for total in totals:
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


def _give_up(found: Any, code: str, problem: str, tx: Transaction) -> None:
    """Let the transactions of an export go that cannot be written as its layout says, and reject the command."""
    release(found.id, tx)
    tx.session.execute(sa.delete(export_piece).where(export_piece.c.export_id == found.id))
    failed = {"state": ExportState.FAILED, "problem": problem, "bytes": 0, "finished_at": tx.now}
    tx.session.execute(sa.update(export).where(export.c.id == found.id).values(failed))
    name = ExportTransactions.contract.name
    _asked(found, tx).publish(
        CommandRejected(command_id=found.command_id, command=name, code=code, message=problem, field="layout")
    )


def release(export_id: str, tx: Transaction) -> None:
    """Let the transactions of an export go: they can be coded again, and another export has them."""
    tx.session.execute(sa.delete(exported).where(exported.c.export_id == export_id))


def _asked(found: Any, tx: Transaction) -> Transaction:
    return tx.continuing(
        command_id=found.command_id, key=ExportTransactions.contract.key, actor=found.asked_by,
        on_behalf_of=found.on_behalf_of, channel=Channel(found.channel),
    )  # fmt: skip
