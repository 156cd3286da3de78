"""Posts what files brought: a batch of rows in a transaction, together with how far the file has come.

Whoever dies leaves the file where the last batch ended, and the next worker goes on from there; two of them never have
one file in hand.
"""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.schema import CreateTable

from services.statements.imports.matching import batch, find_accounts
from services.statements.ledger import COLUMNS, Stage
from services.statements.model import file_import, import_finding, import_row, posting, suspended
from services.statements.reactions import TELL_STANDINGS
from services.statements.rules import COUNTERS, day_of
from shared.contracts.imports import ImportState, PostImport, RowOutcome
from shared.contracts.statements import PaymentPosted, TransactionKind
from shared.contracts.types import Channel
from shared.database import is_postgresql
from shared.messaging.transaction import Transaction
from shared.service import Transact

POST_IMPORTS = "post-imports"
BATCH = 5000
# A worker handles no command meanwhile.
LONGEST_RUN_SECONDS = 0.5


def post_imports(transact: Transact) -> int:
    """Post some batches of a submitted file, and return how many rows were dealt with."""
    until, done = time.monotonic() + LONGEST_RUN_SECONDS, 0
    while True:
        with transact() as tx:
            found = _next(tx.session)
            if found is None:
                return done
            done += _post_batch(found, tx)
            if time.monotonic() > until:
                tx.wake(POST_IMPORTS)
                return done


def _next(session: orm.Session) -> Any:
    wanted = sa.select(file_import).where(file_import.c.state == ImportState.POSTING)
    first = wanted.order_by(file_import.c.submitted_at, file_import.c.id).limit(1)
    return session.execute(first.with_for_update(skip_locked=True)).one_or_none()


def _post_batch(found: Any, tx: Transaction) -> int:
    session, here = tx.session, {"import_id": found.id, "position": found.position, "batch": BATCH}
    lines = session.execute(_LINES, here).one()
    if not lines.rows:
        _finish(found, tx)
        return 0
    here |= {"last": lines.last, "today": day_of(tx.now, tx.settings.time_zone), "source": found.layout}
    session.execute(CreateTable(batch, if_not_exists=True))
    session.execute(sa.delete(batch))
    session.execute(_lay_out(repeats=found.repeats), {**here, "command_id": found.command_id})
    find_accounts(session, orjson.loads(found.find_by), found.control_account)
    if is_postgresql(session):
        session.execute(sa.text("analyze import_batch"))
    new = len(_stage(postgresql_=is_postgresql(session)).post(session, tx.now))
    seen = lines.rows - new
    waiting = _note_findings(here, session, seen=seen)
    session.execute(
        sa.update(file_import)
        .where(file_import.c.id == found.id)
        .values(
            position=lines.last,
            posted=file_import.c.posted + new,
            seen=file_import.c.seen + seen,
            suspended=file_import.c.suspended + waiting,
        )
    )
    _tell_payments(tx)
    tx.wake(TELL_STANDINGS)
    return int(lines.rows)


_here: Mapping[str, sa.BindParameter[Any]] = {
    name: sa.bindparam(name) for name in ("import_id", "position", "last", "source", "command_id")
}
_BATCH = sa.bindparam("batch", type_=sa.Integer)
_due = (
    sa.select(import_row.c.line)
    .where(import_row.c.import_id == _here["import_id"], import_row.c.line > _here["position"])
    .order_by(import_row.c.line)
    .limit(_BATCH)
    .subquery("due")
)
_LINES = sa.select(sa.func.count().label("rows"), sa.func.max(_due.c.line).label("last")).select_from(_due)


@cache
def _stage(*, postgresql_: bool) -> Stage:
    return Stage(batch, postgresql_)


@cache
def _lay_out(*, repeats: bool) -> sa.Insert:
    """Lay the rows that are due out in the batch, each with the other side of its entry and the key of its source."""
    row = import_row.c
    columns: Mapping[str, sa.ColumnElement[Any]] = {
        "line": row.line,
        **{name: row[name] for name in COLUMNS if name in row},
        "account_id": sa.null(),
        "control_account": sa.null(),
        "posted_on": sa.func.coalesce(row.posted_on, sa.bindparam("today", type_=sa.Date)),
        "counter": sa.case(
            *(
                (row.kind == kind.value, sa.literal(f"{counter}:") + row.currency)
                for kind, counter in COUNTERS.items()
            )
        ),
        "source": sa.cast(_here["source"], sa.String),
        "source_key": row.key + sa.literal("#") + sa.cast(_number_among_alike(), sa.String)
        if repeats
        else row.key,
        "command_id": sa.cast(_here["command_id"], sa.String),
        "number_hash": row.number_hash,
        "last_four": row.last_four,
        "employee_id": row.employee_id,
        "universal_number": row.universal_number,
        "named_account": row.account_id,
        "named_control_account": row.control_account,
    }
    due = sa.and_(
        row.import_id == _here["import_id"], row.line > _here["position"], row.line <= _here["last"]
    )
    rows = sa.select(*(value.label(name) for name, value in columns.items())).where(due)
    return sa.insert(batch).from_select(list(columns), rows)


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
_import_id = sa.cast(_here["import_id"], sa.String).label("import_id")
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
        sa.case(
            (batch.c.reason == "other_currency", "Its account is billed in another currency."),
            (batch.c.reason == "several_accounts", "More than one account fits."),
            else_="No account fits.",
        )
        + " It stands in suspense until it is matched.",
    ).where(_suspended_now),
)
_WAITING = sa.insert(suspended).from_select(
    [column.name for column in suspended.c],
    sa.select(
        batch.c.id,
        _import_id,
        batch.c.line,
        batch.c.reason,
        batch.c.number_hash,
        batch.c.last_four,
        batch.c.employee_id,
        batch.c.cost_centre,
        batch.c.universal_number,
        batch.c.named_control_account,
    ).where(_suspended_now),
)
_PAYMENTS = sa.select(batch).where(
    batch.c.kind == TransactionKind.PAYMENT.value, batch.c.amount < 0, batch.c.reason.is_(None), _entered
)


def _tell_payments(tx: Transaction) -> None:
    for row in tx.session.execute(_PAYMENTS):
        tx.publish(
            PaymentPosted(
                transaction_id=row.id, account_id=row.account_id, control_account=row.control_account,
                amount=-row.amount, currency=row.currency, received_on=row.transacted_on,
            ),
            subject=row.account_id or row.control_account,
        )  # fmt: skip


def _finish(found: Any, tx: Transaction) -> None:
    tx.session.execute(
        sa.update(file_import)
        .where(file_import.c.id == found.id)
        .values(state=ImportState.POSTED, finished_at=tx.now)
    )
    if found.command_id:
        asked = tx.continuing(
            command_id=found.command_id, key=PostImport.contract.key, actor=found.actor or "",
            on_behalf_of=found.on_behalf_of, channel=Channel(found.channel or Channel.SYSTEM),
        )  # fmt: skip
        counts = {name: getattr(found, name) for name in ("rows", "posted", "seen", "suspended", "refused")}
        asked.complete({"import_id": found.id, **counts})
