"""Reads of requests. `_visible` is the only way to what a caller may see."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from services.tracking.model import request, step
from services.tracking.rules import read_tracking_number, spoken
from shared.contracts.base import Page
from shared.contracts.outcomes import RequestStatus
from shared.contracts.tracking import (
    FindRequests,
    GetRequest,
    GetRequestOverview,
    RequestDetail,
    RequestOverview,
    RequestRow,
    StatusCount,
    TimelineStep,
)
from shared.contracts.types import Channel
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

_LEVELS = (request.c.master, request.c.intermediate, request.c.basic)


def find_requests(query: FindRequests, reader: Reader) -> Page[RequestRow]:
    """Find requests by every given criterion, the newest first (TRK-02)."""
    statement = _visible(reader).where(*_criteria(query, reader.now))
    last = decode_cursor(query.cursor, str, str)
    if last:
        before = sa.tuple_(sa.literal(_instant(last[0]), request.c.received_at.type), sa.literal(last[1]))
        statement = statement.where(sa.tuple_(request.c.received_at, request.c.command_id) < before)
    newest_first = (request.c.received_at.desc(), request.c.command_id.desc())
    found = reader.session.execute(statement.order_by(*newest_first).limit(query.limit + 1)).all()
    return page_of(
        found,
        query.limit,
        lambda row: _row(row, reader.now),
        lambda row: (row.received_at.isoformat(), row.command_id),
    )


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Rejected("bad_cursor", "This cursor is not one that a list gave out.", "cursor") from None


def _criteria(query: FindRequests, now: datetime) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = []
    if query.tracking_number:
        wanted.append(request.c.tracking_number == _number(query.tracking_number, "tracking_number"))
    for name in ("type", "status", "account_id"):
        value = getattr(query, name)
        if value is not None:
            wanted.append(request.c[name] == str(value))
    if query.control_account:
        wanted.append(sa.or_(*(level == query.control_account for level in _LEVELS)))
    if query.received_from:
        wanted.append(request.c.received_at >= query.received_from)
    if query.received_before:
        wanted.append(request.c.received_at < query.received_before)
    if query.overdue is not None:
        wanted.append(_overdue(now) if query.overdue else sa.not_(_overdue(now)))
    return wanted


def get_request(query: GetRequest, reader: Reader) -> RequestDetail:
    """Return one request with its timeline, by tracking number or command id (TRK-03)."""
    text = query.tracking_number
    named = (
        request.c.command_id == text if len(text) == 36 else request.c.tracking_number == _number(text, None)
    )
    row = reader.session.execute(_visible(reader).where(named)).first()
    if row is None:
        raise NotFound("request", "tracking_number")
    steps = reader.session.execute(
        sa.select(step).where(step.c.command_id == row.command_id).order_by(step.c.at, step.c.message_id)
    )
    return RequestDetail(
        **_common(row, reader.now),
        message=row.message,
        field=row.field,
        result=orjson.loads(row.result) if row.result else None,
        payload=orjson.loads(row.payload) if row.payload else {},
        timeline=[_step(s) for s in steps],
    )


def _number(text: str, field: str | None) -> str:
    number = read_tracking_number(text)
    if number is None:
        if field is None:
            raise NotFound("request", "tracking_number")
        raise Rejected(
            "mistyped_tracking_number",
            f"{text!r} is no tracking number: a character is wrong or missing.",
            field,
        )
    return number


def get_overview(_: GetRequestOverview, reader: Reader) -> RequestOverview:
    """Count the requests by status; the counts sum to the total (TRK-04)."""
    seen = _visible(reader).subquery()
    counted = reader.session.execute(sa.select(seen.c.status, sa.func.count()).group_by(seen.c.status))
    counts: dict[str, int] = {row[0]: row[1] for row in counted}
    late = reader.session.scalar(
        sa.select(sa.func.count()).select_from(_visible(reader).where(_overdue(reader.now)).subquery())
    )
    return RequestOverview(
        total=sum(counts.values()),
        overdue=late or 0,
        counts=[StatusCount(status=status, count=counts.get(status.value, 0)) for status in RequestStatus],
    )


def get_progress(command_ids: Sequence[str], reader: Reader) -> dict[str, dict[str, Any]]:
    """Return where these requests stand, for whoever watches them live; those out of sight are left out."""
    found = reader.session.execute(_visible(reader).where(request.c.command_id.in_(command_ids)))
    return {
        row.command_id: {
            "tracking_number": spoken(row.tracking_number),
            "status": row.status,
            "code": row.code,
            "message": row.message,
            "finished_at": row.finished_at,
            "settled": RequestStatus(row.status).is_settled,
        }
        for row in found
    }


def _visible(reader: Reader) -> sa.Select[Any]:
    """Select the requests that touch the caller's control accounts, and the caller's own."""
    statement = sa.select(request)
    if reader.control_accounts is None:
        return statement
    numbers = sorted(reader.control_accounts)
    own = request.c.actor == reader.actor.user_id
    return statement.where(sa.or_(own, *(level.in_(numbers) for level in _LEVELS)))


def _overdue(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(request.c.finished_at.is_(None), request.c.due_at < now)


def _common(row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    return {
        "tracking_number": spoken(row.tracking_number),
        "command_id": row.command_id,
        "type": row.type,
        "status": RequestStatus(row.status),
        "code": row.code,
        "account_id": row.account_id,
        "control_account": row.basic or row.intermediate or row.master,
        "actor": row.actor,
        "on_behalf_of": row.on_behalf_of,
        "channel": Channel(row.channel),
        "received_at": row.received_at,
        "finished_at": row.finished_at,
        "due_at": row.due_at,
        "overdue": row.finished_at is None and row.due_at < now,
    }


def _row(row: sa.Row[Any], now: datetime) -> RequestRow:
    return RequestRow(**_common(row, now))


def _step(row: sa.Row[Any]) -> TimelineStep:
    return TimelineStep(
        at=row.at, status=RequestStatus(row.status), by=row.made_by, code=row.code, message=row.message
    )
