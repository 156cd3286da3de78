"""Posts what files brought: a batch of rows in a transaction, together with how far the file has come.

Whoever dies leaves the file where the last batch ended, and the next worker goes on from there; two of them never have
one file in hand.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.imports.matching import (
    BATCH_OF_A_FILE,
    IS_IN_HAND,
    POINTERS,
    clear,
    find_accounts,
    in_hand,
    match,
)
from services.statements.imports.suspense import WHY_NOBODY, look_again
from services.statements.ledger import COLUMNS, TELL_STANDINGS, Stage
from services.statements.model import (
    file_import,
    import_finding,
    import_row,
    ledger_account,
    posting,
    suspended,
)
from services.statements.payments import tell_payment
from services.statements.queries.billing import BILLED_IN, IS_CENTRAL, SET_UP
from services.statements.rules import COUNTERS, SUSPENSE
from services.statements.short_runs import in_short_runs
from shared.contracts.imports import ImportState, PostImport, RowOutcome
from shared.contracts.statements import TransactionKind
from shared.contracts.types import Channel
from shared.database import is_postgresql
from shared.days import day_of
from shared.messaging.transaction import Transaction
from shared.service import Transact

POST_IMPORTS = "post-imports"
BATCH = 20_000


def post_imports(transact: Transact) -> int:
    """Post some batches of a submitted file, and return how many rows were dealt with."""
    return in_short_runs(POST_IMPORTS, _post_next, transact)


def _post_next(tx: Transaction) -> int | None:
    found = _next(tx.session)
    return None if found is None else _post_batch(found, tx)


def _next(session: orm.Session) -> Any:
    wanted = sa.select(file_import).where(file_import.c.state == ImportState.POSTING)
    first = wanted.order_by(file_import.c.submitted_at, file_import.c.id).limit(1)
    return session.execute(first.with_for_update(skip_locked=True)).one_or_none()


def _post_batch(found: Any, tx: Transaction) -> int:
    session, here = tx.session, {"import_id": found.id, "position": found.position}
    due = session.execute(_DUE, {**here, "batch": BATCH}).mappings().one()
    if not due["rows"]:
        _finish(found, tx)
        return 0
    here["last"] = due["last"]
    clear(session, match, batch)
    find_accounts(
        session, BATCH_OF_A_FILE, orjson.loads(found.find_by), found.control_account, dict(due), here
    )
    facts = {
        "today": day_of(tx.now, tx.settings.time_zone),
        "source": source_of(found),
        "command_id": found.command_id,
    }
    session.execute(_lay_out(repeats=found.repeats), {**here, **facts})
    new = _stage(postgresql_=is_postgresql(session)).post(session, tx.now, due["rows"])
    seen = due["rows"] - new
    waiting = _note_findings(here, session, seen=seen)
    session.execute(
        sa.update(file_import)
        .where(file_import.c.id == found.id)
        .values(
            position=due["last"],
            posted=file_import.c.posted + new,
            seen=file_import.c.seen + seen,
            suspended=file_import.c.suspended + waiting,
        )
    )
    _tell_payments(tx)
    tx.wake(TELL_STANDINGS)
    return int(due["rows"])


def source_of(found: Any) -> str:
    """Return where the keys of a file's rows are unique: with its layout and, if it is one company's, below that."""
    return f"{found.layout} {found.control_account}" if found.control_account else str(found.layout)


_next_rows = (
    sa.select(import_row.c.line, *(BATCH_OF_A_FILE.pointer(name).label(name) for name in POINTERS))
    .where(import_row.c.import_id == in_hand["import_id"], import_row.c.line > in_hand["position"])
    .order_by(import_row.c.line)
    .limit(sa.bindparam("batch", type_=sa.Integer))
    .subquery("due")
)
_DUE = sa.select(
    sa.func.count().label("rows"),
    sa.func.max(_next_rows.c.line).label("last"),
    *(sa.func.count(_next_rows.c[name]).label(name) for name in POINTERS),
).select_from(_next_rows)

batch = sa.Table(
    "import_batch",
    sa.MetaData(),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(40)),
    *(sa.Column(name, type_) for name, type_ in COLUMNS.items()),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""The rows in hand as they are posted; ``reason`` says why one is in suspense."""


@cache
def _stage(*, postgresql_: bool) -> Stage:
    return Stage(batch, postgresql_)


@cache
def _lay_out(*, repeats: bool) -> sa.Insert:
    """Lay the rows in hand out as they are posted: whose they are, on what they stand, and by which key they are known."""
    row, found = import_row.c, match.c
    facts = {name: sa.bindparam(name, type_=type_) for name, type_ in _FACTS.items()}
    source = (
        import_row.outerjoin(match, sa.and_(found.line == row.line, found.accounts == 1))
        .outerjoin(SET_UP, SET_UP.c.number == found.control_account)
        .outerjoin(ledger_account, ledger_account.c.id == _billed_on)
    )
    known = SET_UP.c.number.is_not(None)
    fits = sa.and_(known, row.currency == BILLED_IN)
    several = sa.exists().where(found.line == row.line, found.accounts > 1).correlate(import_row)
    number = sa.literal("#") + sa.cast(_number_among_alike(), sa.String)
    columns: dict[str, sa.ColumnElement[Any]] = {
        **{name: row[name] for name in COLUMNS if name in row},
        "line": row.line,
        "reason": sa.case((fits, sa.null()), (known, "other_currency"), (several, "several_accounts"), else_="unknown_account"),
        "account_id": sa.case((fits, found.account_id)),
        "control_account": sa.case((fits, SET_UP.c.number)),
        "ledger_account": sa.case((fits, _billed_on), else_=sa.literal(f"{SUSPENSE}:") + row.currency),
        "cost_centre": sa.func.coalesce(row.cost_centre, sa.case((fits, found.cost_centre))),
        "posted_on": sa.func.coalesce(row.posted_on, facts["today"]),
        "counter": sa.case(
            *((row.kind == kind.value, sa.literal(f"{counter}:") + row.currency) for kind, counter in COUNTERS.items())
        ),
        "source": facts["source"],
        "source_key": row.key + number if repeats else row.key,
        "command_id": facts["command_id"],
    }  # fmt: skip
    rows = (
        sa.select(*(value.label(name) for name, value in columns.items()))
        .select_from(source)
        .where(IS_IN_HAND)
    )
    return sa.insert(batch).from_select(list(columns), rows)


_FACTS: Mapping[str, sa.types.TypeEngine[Any]] = {
    "today": sa.Date(),
    "source": sa.String(),
    "command_id": sa.String(),
}
_billed_on = sa.case(
    (sa.or_(IS_CENTRAL, match.c.account_id.is_(None)), SET_UP.c.number), else_=match.c.account_id
)


def _number_among_alike() -> sa.ColumnElement[int]:
    """Return which a row is of those of its file that have the same key."""
    earlier = import_row.alias("earlier")
    alike = sa.and_(
        earlier.c.import_id == import_row.c.import_id,
        earlier.c.key == import_row.c.key,
        earlier.c.line <= import_row.c.line,
        earlier.c.repeats,
    )
    return sa.select(sa.func.count()).select_from(earlier).where(alike).scalar_subquery()


# What there is to say of single rows


def _note_findings(here: Mapping[str, Any], session: orm.Session, *, seen: int) -> int:
    """Note which rows were seen before, and which are in suspense; return how many these are."""
    if seen:
        session.execute(_SEEN, here)
    waiting = session.scalar(_HOW_MANY_WAIT) or 0
    if waiting:
        session.execute(_WAITING, here)
        session.execute(_IN_SUSPENSE, here)
    return waiting


_entered = sa.exists().where(posting.c.id == batch.c.id)
_import_id = sa.cast(in_hand["import_id"], sa.String).label("import_id")
_FINDING = ("import_id", "line", "outcome", "code", "message")
_SEEN = sa.insert(import_finding).from_select(
    _FINDING,
    sa.select(
        _import_id,
        batch.c.line,
        sa.literal(RowOutcome.SEEN.value),
        sa.literal("seen_before"),
        sa.literal("A row with this key was posted before; this one posts nothing."),
    ).where(~_entered),
)
_suspended_now = sa.and_(batch.c.reason.is_not(None), _entered)
_HOW_MANY_WAIT = sa.select(sa.func.count()).select_from(batch).where(_suspended_now)
_IN_SUSPENSE = sa.insert(import_finding).from_select(
    _FINDING,
    sa.select(
        _import_id,
        batch.c.line,
        sa.literal(RowOutcome.SUSPENDED.value),
        batch.c.reason,
        sa.case(WHY_NOBODY, value=batch.c.reason),
    ).where(_suspended_now),
)
_WAITING = sa.insert(suspended).from_select(
    [column.name for column in suspended.c],
    sa.select(
        batch.c.id,
        import_row.c.import_id,
        batch.c.line,
        batch.c.reason,
        import_row.c.account_id,
        import_row.c.number_hash,
        import_row.c.last_four,
        import_row.c.employee_id,
        import_row.c.cost_centre,
        import_row.c.universal_number,
        import_row.c.control_account,
    )
    .join(
        import_row, sa.and_(import_row.c.import_id == in_hand["import_id"], import_row.c.line == batch.c.line)
    )
    .where(_suspended_now),
)
_PAYMENTS = sa.select(batch).where(
    batch.c.kind == TransactionKind.PAYMENT.value, batch.c.amount < 0, batch.c.reason.is_(None), _entered
)


def _tell_payments(tx: Transaction) -> None:
    for row in tx.session.execute(_PAYMENTS).mappings():
        tell_payment(row, tx)


def _finish(found: Any, tx: Transaction) -> None:
    tx.session.execute(
        sa.update(file_import)
        .where(file_import.c.id == found.id)
        .values(state=ImportState.POSTED, finished_at=tx.now)
    )
    asked = tx
    if found.command_id:
        asked = tx.continuing(
            command_id=found.command_id, key=PostImport.contract.key, actor=found.actor or "",
            on_behalf_of=found.on_behalf_of, channel=Channel(found.channel or Channel.SYSTEM),
        )  # fmt: skip
    if found.suspended:
        look_again(found.id, asked)
    if found.command_id:
        counts = {name: getattr(found, name) for name in ("rows", "posted", "seen", "suspended", "refused")}
        asked.complete({"import_id": found.id, **counts})
