"""Records commands and outcomes, a batch at a time, so that any order and any repetition ends in the same state.

A status only ever moves to a higher rank. An outcome that overtook its command makes a stub, which the command fills in.
Workers lock keys, then days, then requests, then workplaces, each in order, so that no two ever wait for each other in a ring.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cache
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
import structlog

from services.tracking.counting import recount_later
from services.tracking.keys import Key, register
from services.tracking.model import LEVELS, request, step
from services.tracking.months import make_months
from services.tracking.rules import STUB_SERVICE_TIME, exceptional, service_time_of, spoken
from services.tracking.workplaces import note_workplaces
from shared.contracts.base import Kind, Message
from shared.contracts.outcomes import OUTCOMES, RequestStatus, status_of
from shared.contracts.schema import masked
from shared.database import given_rows, insert, is_postgresql, rows_parameter
from shared.messaging.envelope import Envelope
from shared.messaging.transaction import Transaction
from shared.service import Observed

_OUTCOMES = {cls.contract.key for cls in OUTCOMES}
_COMMAND_FILLS = (
    "type",
    "payload",
    "fingerprint",
    "account_id",
    *LEVELS,
    "actor",
    "on_behalf_of",
    "channel",
    "asked_at",
    "due_at",
)
_COLUMNS = {column.name: column.type for column in request.c}
_STEP_COLUMNS = {column.name: column.type for column in step.c}
_ANSWERED = (
    "command_id", "tracking_number", "type", "status", "code", "message", "field", "result", "fingerprint", "asked_at",
    "reply_to",
)  # fmt: skip
_OUTCOME_SETS = ("status", "exceptional", "code", "message", "field", "result", "finished_at", "rank")

log = structlog.get_logger()


def record(seen: Sequence[Observed], tx: Transaction) -> None:
    """Record what was seen, and answer the gateways that wait for a tracking number or for an outcome."""
    commands = [one for one in seen if one.envelope.contract.kind is Kind.COMMAND]
    outcomes = [(one.envelope, one.envelope.message()) for one in seen if one.envelope.key in _OUTCOMES]
    if not commands and not outcomes:
        return
    rows = _rows(commands, outcomes, tx)
    keys = _place(rows, tx)
    saved = {row.command_id: row for row in _upsert(tx, list(rows.values()))}
    note_workplaces(tx.session, rows.values())
    _record_steps([one.envelope for one in commands], outcomes, keys, tx)
    _tell(commands, outcomes, saved, tx)


def _rows(
    commands: Sequence[Observed], outcomes: Sequence[tuple[Envelope, Message]], tx: Transaction
) -> dict[str, dict[str, Any]]:
    """Return a row for each request, with all that the batch tells of it."""
    rows: dict[str, dict[str, Any]] = {}
    for one in commands:
        if one.envelope.id not in rows:
            rows[one.envelope.id] = _asked(one, tx)
    for envelope, outcome in outcomes:
        became = _became(envelope, outcome)
        known = rows.setdefault(envelope.correlation_id, became)
        known["approver_function"] = known["approver_function"] or became["approver_function"]
        if became["rank"] > known["rank"]:
            known.update({name: became[name] for name in _OUTCOME_SETS})
    return rows


def _place(rows: Mapping[str, dict[str, Any]], tx: Transaction) -> Mapping[str, Key]:
    """Give each row the number and the instant of its request, and see to it that the month of that is there."""
    keys = register(tx.session, rows)
    for command_id, row in rows.items():
        row["tracking_number"], row["received_at"] = keys[command_id]
    instants = {key.received_at for key in keys.values()}
    make_months(tx.session, instants, tx.now)
    recount_later(tx.session, instants, tx.now)
    return keys


def _tell(
    commands: Sequence[Observed],
    outcomes: Sequence[tuple[Envelope, Message]],
    saved: Mapping[str, sa.Row[Any]],
    tx: Transaction,
) -> None:
    told: set[tuple[str, str | None]] = set()
    for one in commands:
        if _tell_tracked(one, saved[one.envelope.id], tx):
            told.add((one.envelope.id, one.reply_to))
    for command_id in dict.fromkeys(envelope.correlation_id for envelope, _ in outcomes):
        _tell_moved(saved[command_id], told, tx)


def _tell_tracked(one: Observed, row: sa.Row[Any], tx: Transaction) -> bool:
    """Answer whoever sent a command, and return whether that said how the command ended."""
    log.info("tracked", command_id=row.command_id, tracking_number=row.tracking_number, type=row.type)
    if not one.reply_to:
        return False
    same = row.fingerprint == one.envelope.fingerprint
    tracked = {
        "kind": "tracked",
        "tracking_number": spoken(row.tracking_number),
        "replayed": row.asked_at != one.envelope.time,
        "conflict": not same,
    }
    tx.reply(one.reply_to, row.command_id, tracked)
    if not (same and one.envelope.waits and RequestStatus(row.status).is_settled):
        return False
    tx.reply(one.reply_to, row.command_id, _settled(row))
    return True


def _tell_moved(row: sa.Row[Any], told: Collection[tuple[str, str | None]], tx: Transaction) -> None:
    """Tell how a command ended to whoever waits for it and was not told yet."""
    number = row.tracking_number
    log.info("moved", command_id=row.command_id, tracking_number=number, status=row.status, code=row.code)
    waits = row.reply_to and (row.command_id, row.reply_to) not in told
    if waits and RequestStatus(row.status).is_settled:
        tx.reply(row.reply_to, row.command_id, _settled(row))


def _record_steps(
    commands: Sequence[Envelope],
    outcomes: Sequence[tuple[Envelope, Message]],
    keys: Mapping[str, Key],
    tx: Transaction,
) -> None:
    steps: dict[str, dict[str, Any]] = {}
    for envelope in commands:  # one that came twice was received when it first came
        steps.setdefault(envelope.id, _step(envelope, "received", envelope.actor))
    for envelope, outcome in outcomes:
        moved = _step(envelope, status_of(outcome).value, envelope.source)
        moved.update(code=getattr(outcome, "code", None), message=getattr(outcome, "message", None))
        steps[envelope.id] = moved
    for one in steps.values():
        one["received_at"] = keys[one["command_id"]].received_at
    given = rows_parameter(tx.session, [tuple(one.values()) for one in steps.values()])
    tx.session.execute(_step_entry(postgresql_=is_postgresql(tx.session)), given)


def _step(envelope: Envelope, status: str, made_by: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_STEP_COLUMNS)
    row.update(
        command_id=envelope.correlation_id, message_id=envelope.id, at=envelope.time, status=status, made_by=made_by
    )  # fmt: skip
    return row


@cache
def _step_entry(*, postgresql_: bool) -> sa.Executable:
    given = given_rows(_STEP_COLUMNS, postgresql_=postgresql_)
    statement = insert(step, postgresql_=postgresql_).from_select(list(_STEP_COLUMNS), given)
    return statement.on_conflict_do_nothing()


# Rows


def _asked(one: Observed, tx: Transaction) -> dict[str, Any]:
    """Return the row of a command that was just received."""
    envelope = one.envelope
    contract = envelope.contract
    assert isinstance(envelope.data, Mapping)
    return {
        **_known_of(envelope, contract.name, service_time_of(contract, tx.settings)),
        "command_id": envelope.id,
        "asked_at": envelope.time,
        "status": RequestStatus.RECEIVED.value,
        "exceptional": exceptional(RequestStatus.RECEIVED, envelope.time, tx.now),
        "rank": RequestStatus.RECEIVED.rank,
        "payload": orjson.dumps(masked(contract.cls, envelope.data)).decode(),
        "fingerprint": envelope.fingerprint,
        "account_id": envelope.data.get("account_id"),
        "reply_to": one.reply_to if envelope.waits else None,
    }


def _became(envelope: Envelope, outcome: Message) -> dict[str, Any]:
    """Return the row that an outcome makes or moves on."""
    status = status_of(outcome)
    result = getattr(outcome, "result", None)
    return {
        **_known_of(envelope, getattr(outcome, "command", ""), STUB_SERVICE_TIME),
        "command_id": envelope.correlation_id,
        "status": status.value,
        "exceptional": exceptional(status, envelope.time, envelope.time),
        "approver_function": getattr(outcome, "approver_function", None),
        "rank": status.rank,
        "code": getattr(outcome, "code", None),
        "message": getattr(outcome, "message", None),
        "field": getattr(outcome, "field", None),
        "result": orjson.dumps(result).decode() if result is not None else None,
        "finished_at": envelope.time if status.is_settled else None,
    }


def _known_of(envelope: Envelope, type_: str, service_time: timedelta) -> dict[str, Any]:
    """Return a row with what command and outcome alike know of the request."""
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    row.update(zip(LEVELS, envelope.scope, strict=False))
    row.update(
        type=type_, actor=envelope.actor, on_behalf_of=envelope.on_behalf_of, channel=envelope.channel.value,
        received_at=envelope.time, due_at=envelope.time + service_time,
    )  # fmt: skip
    return row


def _upsert(tx: Transaction, given: Sequence[Mapping[str, Any]]) -> Sequence[sa.Row[Any]]:
    """Write the rows in one statement, and return them as they stand."""
    ordered = sorted(given, key=itemgetter("command_id"))
    values = [[row[name] for name in _COLUMNS] for row in ordered]
    statement = _writing(postgresql_=is_postgresql(tx.session))
    return tx.session.execute(statement, rows_parameter(tx.session, values)).all()


@cache
def _writing(*, postgresql_: bool) -> sa.Executable:
    given = given_rows(_COLUMNS, postgresql_=postgresql_)
    statement = insert(request, postgresql_=postgresql_).from_select(list(_COLUMNS), given)
    return statement.on_conflict_do_update(
        index_elements=["received_at", "command_id"], set_={**_fill_stub(), **_move_on()}
    ).returning(*(request.c[name] for name in _ANSWERED))


def _fill_stub() -> dict[str, Any]:
    """Return how a command changes a row that exists: it fills a stub in, and leaves what is known as it is."""
    given = _excluded()
    fills = sa.and_(request.c.payload.is_(None), given["payload"].is_not(None))
    changes: dict[str, Any] = {
        name: sa.case((fills, given[name]), else_=request.c[name]) for name in _COMMAND_FILLS
    }
    for name in ("reply_to", "approver_function"):
        changes[name] = sa.func.coalesce(given[name], request.c[name])
    return changes


def _move_on() -> dict[str, Any]:
    """Return how an outcome changes a row that exists: only a higher rank changes anything, so that no command does."""
    given = _excluded()
    is_further = given["rank"] > request.c.rank
    return {name: sa.case((is_further, given[name]), else_=request.c[name]) for name in _OUTCOME_SETS}


def _excluded() -> dict[str, sa.ColumnElement[Any]]:
    """Return the columns of the row that could not be inserted, as both dialects call them."""
    return {name: sa.literal_column(f"excluded.{name}", type_) for name, type_ in _COLUMNS.items()}


def _settled(row: sa.Row[Any]) -> dict[str, Any]:
    return {
        "kind": "settled",
        "tracking_number": spoken(row.tracking_number),
        "status": row.status,
        "code": row.code,
        "message": row.message,
        "field": row.field,
        "result": orjson.loads(row.result) if row.result else None,
    }
