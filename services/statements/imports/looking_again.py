"""Suspense matches itself: what waited for an account goes there once it is known, found as its file's layout finds accounts.

Whoever makes something known leaves a mark, and this errand works the marks off, some of what waits in each transaction.
A posting is locked before its account is looked for, so that of two workers the second finds it gone, or sees what the
first could not see yet. A file leaves a mark too once it is posted: what became known meanwhile was not seen by its rows,
and did not see them.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.imports.matching import POINTERS, Rows, clear, find_accounts, match
from services.statements.imports.suspense import (
    MATCH_SUSPENSE,
    WHY_NOBODY,
    Leaving,
    leave_suspense,
    note_findings,
)
from services.statements.model import (
    card_account,
    card_number,
    file_import,
    posting,
    suspended,
    suspense_due,
)
from services.statements.queries.billing import Billed, billed_accounts, centrally_billed
from services.statements.queries.scope import under
from services.statements.short_runs import in_short_runs
from shared.contracts.imports import RowOutcome
from shared.contracts.types import Channel
from shared.database import given_values, insert_rows, is_postgresql, update_rows, values_parameter
from shared.messaging.transaction import Transaction
from shared.service import Transact

LOOKED_AT_ONCE = 1000
_MARKS_AT_ONCE = 500


def match_suspense(transact: Transact) -> int:
    """Post what stood in suspense and whose account is known by now, and return how much that was."""
    return in_short_runs(MATCH_SUSPENSE, _look_on, transact)


def _look_on(tx: Transaction) -> int | None:
    marks = _next_marks(tx.session)
    if not marks:
        return None
    waiting = _what_could_fit(marks, tx.session)
    done = _match(waiting, marks, tx) if waiting else 0
    ids = [mark.id for mark in marks]
    if len(waiting) < LOOKED_AT_ONCE:
        tx.session.execute(sa.delete(suspense_due).where(suspense_due.c.id.in_(ids)))
    else:
        update_rows(tx.session, suspense_due, ("id", "through"), [(id_, waiting[-1]) for id_ in ids])
    return done


def _next_marks(session: orm.Session) -> Sequence[Any]:
    """Return some marks that have come equally far, locked; the oldest is among them."""
    some = sa.select(suspense_due).order_by(suspense_due.c.id).limit(_MARKS_AT_ONCE)
    found = session.execute(some.with_for_update(skip_locked=True)).all()
    return [mark for mark in found if mark.through == found[0].through]


# What could belong to what became known


def _what_could_fit(marks: Sequence[Any], session: orm.Session) -> Sequence[str]:
    """Return the ids of the next postings that name anything that these marks are about, in their order."""
    found: set[str] = set()
    for column, values in _named_by({mark.subject for mark in marks}, session).items():
        if values:
            given = {**values_parameter(sorted(values)), "through": marks[0].through}
            found.update(
                session.scalars(
                    _naming(column, postgresql_=is_postgresql(session)), given | {"most": LOOKED_AT_ONCE}
                )
            )
    return sorted(found)[:LOOKED_AT_ONCE]


def _named_by(subjects: Iterable[str], session: orm.Session) -> Mapping[str, set[str]]:
    """Return by what a row may name these accounts and control accounts: values, by the column of `suspended`."""
    ids = set(subjects)
    numbers = {subject for subject in ids if subject.isdigit()}
    accounts = ids - numbers
    named: dict[str, set[str]] = {"import_id": accounts, "account_id": accounts}
    if numbers:  # settings are inherited
        named["control_account"] = {*session.scalars(under(numbers))}
    for table, key in ((card_account, card_account.c.id), (card_number, card_number.c.account_id)):
        columns = [
            name
            for name in POINTERS.values()
            if name in table.c and name not in {key.name, "control_account"}
        ]
        rows = session.execute(sa.select(*(table.c[name] for name in columns)).where(key.in_(accounts))).all()
        for place, name in enumerate(columns):
            named.setdefault(name, set()).update(row[place] for row in rows if row[place])
    return named


@cache
def _naming(column: str, *, postgresql_: bool) -> sa.Select[str]:
    wanted = suspended.c[column].in_(given_values(postgresql_=postgresql_))
    later = suspended.c.posting_id > sa.bindparam("through", type_=sa.String)
    some = sa.select(suspended.c.posting_id).where(wanted, later).order_by(suspended.c.posting_id)
    return some.limit(sa.bindparam("most", type_=sa.Integer))


# Whose it is


def _match(ids: Sequence[str], marks: Sequence[Any], tx: Transaction) -> int:
    """Post what is found to be an account's, say of the rest why it still is not, and return how many were posted."""
    because = {mark.subject: mark for mark in marks}
    leaving: list[Leaving] = []
    staying: list[tuple[sa.RowMapping, str]] = []
    for found, billed in _looked_for(ids, tx.session):
        if isinstance(billed, str):
            staying.append((found, billed))
            continue
        mark = because.get(billed.account_id or "") or because.get(billed.control_account)
        leaving.append(
            Leaving(found, billed, _share(mark or because.get(found["import_id"]) or marks[0], tx))
        )
    if leaving:
        leave_suspense(leaving)
    _say_why(staying, tx)
    return len(leaving)


def _share(mark: Any, tx: Transaction) -> Transaction:
    """Return the transaction as the consequence of what left a mark; nobody but the system itself does it."""
    return tx.continuing(
        command_id=mark.command_id,
        key=mark.because,
        actor="system",
        on_behalf_of=None,
        channel=Channel.SYSTEM,
    )


def _looked_for(ids: Sequence[str], session: orm.Session) -> Iterable[tuple[sa.RowMapping, Billed | str]]:
    """Yield, for each of these that still waits, its posting and whose it is, or by a code why it is nobody's.

    Each file's rows are looked for by its own layout, and below its own control account.
    """
    waiting = session.execute(_WAITING[is_postgresql(session)], values_parameter(ids)).mappings().all()
    by_file = sorted(waiting, key=_how)
    for (find_by, below), rows in groupby(by_file, key=_how):
        yield from _looked_for_alike(list(rows), orjson.loads(find_by), below or None, session)


def _how(found: sa.RowMapping) -> tuple[str, str]:
    return found["find_by"], found["below"] or ""


_WAITING = {
    postgresql_: sa.select(
        posting, suspended.c.import_id, suspended.c.line, suspended.c.reason,
        file_import.c.find_by, file_import.c.control_account.label("below"),
        *(suspended.c[name].label(f"named_{name}") for name in POINTERS.values()),
    )
    .join(suspended, suspended.c.posting_id == posting.c.id)
    .join(file_import, file_import.c.id == suspended.c.import_id)
    .where(suspended.c.posting_id.in_(given_values(postgresql_=postgresql_)))
    .order_by(suspended.c.posting_id)
    .with_for_update(of=suspended)
    for postgresql_ in (False, True)
}  # fmt: skip

_sought = sa.Table(
    "suspense_sought",
    sa.MetaData(),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    *(sa.Column(name, suspended.c[name].type) for name in POINTERS.values()),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
_SOUGHT = Rows(_sought, sa.true())


def _looked_for_alike(
    rows: Sequence[sa.RowMapping], ways: Sequence[Sequence[str]], below: str | None, session: orm.Session
) -> Iterable[tuple[sa.RowMapping, Billed | str]]:
    clear(session, match, _sought)
    names = [column.name for column in _sought.c]
    insert_rows(
        session,
        _sought,
        names,
        [(line, *(row[f"named_{name}"] for name in names[1:])) for line, row in enumerate(rows)],
    )
    counts = {way: sum(row[f"named_{name}"] is not None for row in rows) for way, name in POINTERS.items()}
    find_accounts(session, _SOUGHT, ways, below, {**counts, "rows": len(rows)}, {})
    found = session.execute(sa.select(match).order_by(match.c.accounts.desc())).all()
    of = {one.line: one for one in found}  # one account outdoes several, whatever found it
    only = [one for one in of.values() if one.accounts == 1]
    accounts = billed_accounts(session, {one.account_id for one in only if one.account_id})
    centrally = centrally_billed(session, {one.control_account for one in only if not one.account_id})
    for line, row in enumerate(rows):
        one = of.get(line)
        if one is None:
            yield row, "unknown_account"
        elif one.accounts > 1:
            yield row, "several_accounts"
        else:
            billed = accounts.get(one.account_id) or centrally.get(one.control_account)
            if billed is None:  # its control account is not heard of yet
                yield row, "unknown_account"
            else:
                yield row, billed if billed.currency == row["currency"] else "other_currency"


def _say_why(staying: Sequence[tuple[sa.RowMapping, str]], tx: Transaction) -> None:
    """Say anew of each that is nobody's why, where that has changed."""
    anew = [(row, reason) for row, reason in staying if reason != row["reason"]]
    if anew:
        update_rows(
            tx.session, suspended, ("posting_id", "reason"), [(row["id"], reason) for row, reason in anew]
        )
        note_findings(
            [
                (row["import_id"], row["line"], RowOutcome.SUSPENDED.value, reason, WHY_NOBODY[reason])
                for row, reason in anew
            ],
            tx,
        )
