"""What people decide about requests that wait. Tracking says who may; the service that owns the request carries it out.

A decision is a command with a request of its own, which the owner finishes. On the timeline of the request that it is
about it stands with whoever took it.
"""

from typing import Any

import sqlalchemy as sa

from services.tracking.model import request, request_key, step
from services.tracking.rules import is_own, read_tracking_number, spoken
from shared.contracts.base import UnknownMessage, catalogue
from shared.contracts.outcomes import RequestStatus
from shared.contracts.tracking import (
    ApproveRequest,
    Decision,
    FindRequests,
    RefuseRequest,
    RequestDecided,
    WithdrawRequest,
)
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Transaction

Decided = ApproveRequest | RefuseRequest | WithdrawRequest


def approve_request(command: ApproveRequest, tx: Transaction) -> dict[str, Any]:
    """Let a request be carried out that waits for a second person (Part 2 no. 6)."""
    return _decide(command, Decision.APPROVE, tx)


def refuse_request(command: RefuseRequest, tx: Transaction) -> dict[str, Any]:
    """Refuse a request that waits for a second person (Part 2 no. 6)."""
    return _decide(command, Decision.REFUSE, tx)


def withdraw_request(command: WithdrawRequest, tx: Transaction) -> dict[str, Any]:
    """Take back a request that waits for approval or for its time (Part 2 no. 1)."""
    return _decide(command, Decision.WITHDRAW, tx)


def _decide(command: Decided, decision: Decision, tx: Transaction) -> dict[str, Any]:
    about = _named(command.tracking_number, tx)
    if decision is Decision.WITHDRAW:
        _must_be_withdrawable(about, tx)
    else:
        _must_be_approvable(about, tx)
    tx.publish(
        RequestDecided(
            request_id=about.command_id, request_type=about.type, decision=decision, comment=command.comment
        )
    )
    tx.insert(
        step, received_at=about.received_at, command_id=about.command_id, message_id=tx.envelope.id, at=tx.now,
        status=about.status, made_by=tx.actor.user_id, on_behalf_of=tx.envelope.on_behalf_of,
        decision=decision.value, code=None, message=command.comment,
    )  # fmt: skip
    _show_beside(about, tx)
    tx.finish_later(RequestStatus.PROCESSING)
    return {"tracking_number": spoken(about.tracking_number)}


def _named(text: str, tx: Transaction) -> sa.Row[Any]:
    """Return a request that the actor may see; raises NotFound for any other."""
    number = text if len(text) == 36 else read_tracking_number(text)
    key = request_key.c.command_id if len(text) == 36 else request_key.c.tracking_number
    found = _of_key(key == number, tx)
    view = FindRequests.contract.function or ""
    if found is None or not (_is_asked_by(found, tx) or tx.actor.covers(view, _path(found))):
        raise NotFound("request", "tracking_number")
    return found


def _of_key(condition: sa.ColumnElement[bool], tx: Transaction) -> sa.Row[Any] | None:
    key = tx.session.execute(sa.select(request_key).where(condition)).first()
    if key is None:
        return None
    it = sa.and_(request.c.received_at == key.received_at, request.c.command_id == key.command_id)
    return tx.session.execute(sa.select(request).where(it)).first()


def _path(row: sa.Row[Any]) -> tuple[str, ...]:
    return tuple(number for number in (row.master, row.intermediate, row.basic) if number)


def _is_asked_by(row: sa.Row[Any], tx: Transaction) -> bool:
    return is_own((row.actor, row.on_behalf_of), (tx.actor.user_id, tx.envelope.on_behalf_of))


def _must_be_approvable(row: sa.Row[Any], tx: Transaction) -> None:
    status = RequestStatus(row.status)
    if status is not RequestStatus.AWAITING_APPROVAL:
        raise Rejected(
            "not_awaiting_approval",
            f"Nobody needs to decide about this request: it is {_said(status)}.",
            "tracking_number",
        )
    if _is_asked_by(row, tx):
        raise Rejected(
            "own_request",
            "A request takes four eyes: somebody else has to decide about your own.",
            "tracking_number",
        )
    _must_cover(row.approver_function or tx.function or "", row, tx)


def _must_be_withdrawable(row: sa.Row[Any], tx: Transaction) -> None:
    status = RequestStatus(row.status)
    if status.is_settled:
        raise Rejected(
            "already_settled",
            f"It is too late to take this request back: it is {_said(status)}.",
            "tracking_number",
        )
    if _is_asked_by(row, tx):
        return
    try:
        function = catalogue.named(row.type).function
    except UnknownMessage:  # the command that an outcome overtook, or one of a service that is gone
        function = None
    _must_cover(function or "", row, tx)


def _must_cover(function: str, row: sa.Row[Any], tx: Transaction) -> None:
    if not tx.actor.covers(function, _path(row)):
        raise Rejected(
            "function_not_granted",
            f"You may not decide about this request: {function or 'what it takes'} is not granted to you there.",
            "tracking_number",
        )


def _said(status: RequestStatus) -> str:
    return status.replace("_", " ")


def _show_beside(about: sa.Row[Any], tx: Transaction) -> None:
    """Let whoever sees a request see the decisions about it: they lie under the same control accounts."""
    own = _of_key(request_key.c.command_id == tx.envelope.id, tx)
    if own is None:
        return
    it = sa.and_(request.c.received_at == own.received_at, request.c.command_id == own.command_id)
    place = {"master": about.master, "intermediate": about.intermediate, "basic": about.basic}
    tx.session.execute(sa.update(request).where(it).values(place))
