"""Reads of requests: lists, one with its timeline, where many stand, and how long each kind may take."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from services.tracking.model import request, request_key, step
from services.tracking.queries.criteria import IS_IT, Query, parameters_of_key
from services.tracking.queries.scope import scope_of
from services.tracking.queries.search import find
from services.tracking.rules import is_late, read_tracking_number, service_time_of, spoken
from shared.contracts.base import Page, catalogue
from shared.contracts.outcomes import RequestStatus
from shared.contracts.tracking import (
    Decision,
    FindRequests,
    GetRequest,
    ListServiceTimes,
    RequestDetail,
    RequestRow,
    SearchRequests,
    ServiceTime,
    TimelineStep,
)
from shared.contracts.types import Channel
from shared.database import given_values, is_postgresql, values_parameter
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Reader
from shared.web.paging import page_of


def find_requests(query: FindRequests, reader: Reader) -> Page[RequestRow]:
    """Find requests by every given criterion, the newest first (TRK-02)."""
    return _page(query, None if query.account_id is None else {query.account_id}, reader)


def search_requests(query: SearchRequests, reader: Reader) -> Page[RequestRow]:
    """Find requests as `find_requests` does, and by the accounts that the gateway found by card numbers (TRK-02)."""
    if query.card_numbers is not None:
        raise Rejected(
            "card_numbers_unknown", "Tracking knows no card numbers, only account ids.", "card_numbers"
        )
    accounts = None if query.account_ids is None else set(query.account_ids)
    if query.account_id is not None:
        accounts = {query.account_id} & accounts if accounts is not None else {query.account_id}
    return _page(query, accounts, reader)


def _page(query: Query, account_ids: set[str] | None, reader: Reader) -> Page[RequestRow]:
    key = None
    if query.tracking_number:
        key = _key(request_key.c.tracking_number, _number(query.tracking_number, "tracking_number"), reader)
        if key is None:
            return Page(data=[], has_more=False, next_cursor=None, total=None)
    return page_of(
        find(query, account_ids, key, reader),
        query.limit,
        lambda row: _row(row, reader.now),
        lambda row: (row.received_at.isoformat(), row.command_id),
    )


def _key(column: sa.Column[str], value: str, reader: Reader) -> sa.Row[Any] | None:
    """Return the key of the request of a tracking number or of a command id, None where there is no such request."""
    return reader.session.execute(sa.select(request_key).where(column == value)).first()


def get_request(query: GetRequest, reader: Reader) -> RequestDetail:
    """Return one request with its timeline, by tracking number or command id (TRK-03)."""
    text = query.tracking_number
    if len(text) == 36:
        key = _key(request_key.c.command_id, text, reader)
    else:
        key = _key(request_key.c.tracking_number, _number(text, None), reader)
    scope, given = scope_of(reader)
    statement = sa.select(request).where(IS_IT, scope.visible)
    row = reader.session.execute(statement, given | parameters_of_key(key)).first() if key else None
    if row is None:
        raise NotFound("request", "tracking_number")
    mine = sa.and_(step.c.received_at == row.received_at, step.c.command_id == row.command_id)
    steps = reader.session.execute(sa.select(step).where(mine).order_by(step.c.at, step.c.message_id))
    return RequestDetail(
        **_common(row, reader.now),
        message=row.message,
        field=row.field,
        result=orjson.loads(row.result) if row.result else None,
        payload=orjson.loads(row.payload) if row.payload else {},
        approver_function=row.approver_function,
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


def get_progress(command_ids: Sequence[str], reader: Reader) -> dict[str, dict[str, Any]]:
    """Return where these requests stand, for whoever watches them live; those out of sight are left out."""
    mine = sa.and_(
        request.c.received_at == request_key.c.received_at, request.c.command_id == request_key.c.command_id
    )
    ids = given_values(postgresql_=is_postgresql(reader.session))
    scope, given = scope_of(reader)
    statement = (
        sa.select(request)
        .select_from(request_key.join(request, mine))
        .where(request_key.c.command_id.in_(ids), scope.visible)
    )
    found = reader.session.execute(statement, given | values_parameter(command_ids))
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


def list_service_times(_: ListServiceTimes, reader: Reader) -> Page[ServiceTime]:
    """Return how long each command may take before it is overdue (TRK-06)."""
    contracts = sorted(catalogue.commands(), key=lambda contract: contract.name)
    times = [
        ServiceTime(
            type=contract.name,
            seconds=int(service_time_of(contract, reader.settings).total_seconds()),
            default_seconds=int(contract.service_time.total_seconds()),
        )
        for contract in contracts
        if contract.service_time
    ]
    return page_of(times, len(times), lambda time: time, lambda time: (time.type,), len(times))


def _common(row: sa.Row[Any], now: datetime) -> dict[str, Any]:
    status = RequestStatus(row.status)
    return {
        "tracking_number": spoken(row.tracking_number),
        "command_id": row.command_id,
        "type": row.type,
        "status": status,
        "code": row.code,
        "account_id": row.account_id,
        "control_account": row.basic or row.intermediate or row.master,
        "actor": row.actor,
        "on_behalf_of": row.on_behalf_of,
        "channel": Channel(row.channel),
        "received_at": row.received_at,
        "finished_at": row.finished_at,
        "due_at": row.due_at,
        "overdue": is_late(status, row.due_at, now),
    }


def _row(row: sa.Row[Any], now: datetime) -> RequestRow:
    return RequestRow(**_common(row, now))


def _step(row: sa.Row[Any]) -> TimelineStep:
    return TimelineStep(
        at=row.at, status=RequestStatus(row.status), by=row.made_by, on_behalf_of=row.on_behalf_of,
        decision=Decision(row.decision) if row.decision else None, code=row.code, message=row.message,
    )  # fmt: skip
