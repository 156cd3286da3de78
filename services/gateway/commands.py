"""The command routes, straight from the contracts: check, publish, wait for the broker's confirm, answer."""

import re
from collections.abc import Mapping
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import orjson
from flask import Blueprint, Response, g, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from services.gateway.entrance import Entrance
from services.gateway.sealing import sealed
from services.gateway.upstream import Assertions, Upstream
from shared.clock import Clock
from shared.contracts import names
from shared.contracts.base import Contract, Message, catalogue
from shared.contracts.outcomes import RequestStatus
from shared.contracts.schema import seals_of
from shared.contracts.types import VERSIONED, Channel
from shared.errors import NOT_FOUND, STALE, Unavailable
from shared.ids import command_id_of, new_message_id
from shared.messaging.bus import BrokerAway, CommandSender, Publication, Sent
from shared.messaging.envelope import Envelope, encode
from shared.sealing import Seal
from shared.web.app import flask_rule, json_body, json_response, load_input
from shared.web.problems import Fault, Problem

CONFIRM_SECONDS = 3  # after those for the number
TRACKED_SECONDS = 2
LONGEST_WAIT_SECONDS = 10
LOOK_AFTER_SECONDS = 0.5  # nearly every command has its outcome by then
_LONGEST_USER_ID = 64
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_NOT_SOON = frozenset({RequestStatus.SCHEDULED, RequestStatus.AWAITING_APPROVAL})
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")
_VERSION = re.compile(r'"(\d{1,18})(?:-[0-9a-f]*)?"\Z')
_STATUSES = {NOT_FOUND: (404, "There is no such thing."), STALE: (409, "This was changed meanwhile.")}
_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")


def command_routes(
    entrance: Entrance,
    tracking: Upstream,
    assertions: Assertions,
    sender: CommandSender,
    seal: Seal,
    clock: Clock,
) -> Blueprint:
    """Return a route for every command that is declared."""
    blueprint = Blueprint("commands", __name__)
    for contract in catalogue.commands():
        door = _Door(contract, entrance, tracking, assertions, sender, seal, clock)
        blueprint.add_url_rule(
            flask_rule(contract), contract.name.replace(".", "-"), door.take, methods=["POST"]
        )
    return blueprint


class _Door:
    """Takes one kind of command in."""

    def __init__(
        self,
        contract: Contract,
        entrance: Entrance,
        tracking: Upstream,
        assertions: Assertions,
        sender: CommandSender,
        seal: Seal,
        clock: Clock,
    ) -> None:
        self._contract = contract
        self._entrance = entrance
        self._tracking = tracking
        self._assertions = assertions
        self._sender = sender
        self._seal = seal
        self._clock = clock

    def take(self, **path: str) -> Response:
        """Answer a POST: 202 with the tracking number, or with ``Prefer: wait`` the outcome."""
        key, wait = _idempotency_key(), _wait_seconds()
        envelope = self._envelope(key, waits=wait > 0, path=path)
        g.facts = {"command_id": envelope.id, "command": self._contract.name}
        sent = self._sender.send(
            Publication(
                exchange=names.COMMANDS, key=self._contract.key, body=encode(envelope), message_id=envelope.id
            )
        )
        try:
            answer = self._answer(envelope, sent, wait)
        finally:
            self._sender.forget(envelope.id, sent)
        answer.headers["Idempotency-Key"] = key
        return answer

    def _envelope(self, key: str, *, waits: bool, path: Mapping[str, str]) -> Envelope:
        contract = self._contract
        session = self._entrance.session()
        message, lender, fault = _load(contract, path)
        places = self._entrance.look_up(contract, message) if message else []
        actor = self._entrance.visitor(session).acting_for(lender)
        self._entrance.check_function(contract, actor)
        if message is None:
            raise fault
        scope = self._entrance.check_places(contract, actor, places)
        id_ = command_id_of(actor.user_id, key)
        trace = request.headers.get("traceparent", "")
        return Envelope(
            id=id_,
            key=contract.key,
            source="gateway",
            time=self._clock(),
            data=sealed(contract, message, self._seal),
            correlation_id=id_,
            subject=path.get("account_id") or path.get("number"),
            actor=actor.user_id,
            on_behalf_of=actor.on_behalf_of,
            channel=Channel.API,
            assertion=self._assertions.of(actor, contract.owner, "tracking"),
            scope=scope,
            fingerprint=self._fingerprint(message, lender),
            trace_parent=trace if _TRACE.match(trace) else None,
            waits=waits,
            expected_version=_expected_version(contract),
            places=self._entrance.places(contract, places),
        )

    def _fingerprint(self, message: Message, lender: str | None) -> str:
        """Return what tells two commands under one key apart: their kind, every field, and for whom."""
        said = [self._contract.key, asdict(message), *([lender] if lender else [])]  # type: ignore[call-overload]
        content = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        # A plain hash of a secret could be guessed at.
        return self._seal.mark(content) if seals_of(self._contract.cls) else sha256(content).hexdigest()

    def _answer(self, envelope: Envelope, sent: Sent, wait: int) -> Response:
        # The number comes after the confirm: whoever waits for it first is woken once.
        with suppress(TookTooLong):
            sent.tracked.exception(TRACKED_SECONDS)
        try:
            sent.confirmed.result(CONFIRM_SECONDS)
        except TookTooLong:
            raise BrokerAway("the broker did not confirm the command in time") from None
        try:
            tracked = sent.tracked.result(0)
        except (TookTooLong, BrokerAway):
            # The command lies safe in its queues; its number follows under the command's own id.
            return _accepted(envelope.id, None, _links(envelope.id))
        number = str(tracked["tracking_number"])
        g.facts["tracking_number"] = number
        if tracked["conflict"]:
            raise _key_reused(number)
        if wait:
            answer = self._outcome(envelope.id, number, sent, wait)
        else:
            answer = _accepted(envelope.id, number, _links(number))
        if tracked["replayed"]:
            answer.headers["Idempotency-Replayed"] = "true"
        return answer

    def _outcome(self, command_id: str, number: str, sent: Sent, wait: float) -> Response:
        """Return the outcome as an answer; where it did not come in time, or is not to come soon, how far it has got."""
        soon, status = min(wait, LOOK_AFTER_SECONDS), RequestStatus.RECEIVED
        for seconds in (soon, wait - soon):
            try:
                return _ended(command_id, number, sent.settled.result(seconds))
            except (TookTooLong, BrokerAway):
                status = self._progress(command_id)
            if status in _NOT_SOON:
                break
        return _accepted(command_id, number, _links(number), status)

    def _progress(self, command_id: str) -> RequestStatus:
        try:
            found = self._tracking.post("/progress", {"command_ids": [command_id]})
        except Unavailable:
            found = {}
        return RequestStatus(found.get(command_id, {}).get("status", RequestStatus.RECEIVED))


def _ended(command_id: str, number: str, settled: Mapping[str, Any]) -> Response:
    named: dict[str, Any] = {"command_id": command_id, "tracking_number": number}
    if settled["status"] != RequestStatus.COMPLETED:
        return _refusal(settled, named)
    done = {**named, "status": settled["status"], "result": settled["result"], "links": _links(number)}
    answer = json_response(done)
    answer.headers["Location"] = _links(number)["self"]
    return answer


def _refusal(settled: Mapping[str, Any], named: Mapping[str, Any]) -> Response:
    """Return the problem of a command that was refused or failed; what is out of sight is not found, as in a read."""
    status, title = 422, "This was refused."
    if settled["status"] == RequestStatus.FAILED:
        status, title = 500, "This could not be carried out."
    elif settled["code"] in _STATUSES:
        status, title = _STATUSES[settled["code"]]
    code, detail, field = settled["code"] or "refused", settled["message"], settled["field"]
    faults = [Fault(f"/{field}", code, detail)] if field else []
    return Problem(status=status, code=code, title=title, detail=detail, errors=faults, **named).response()


def _load(contract: Contract, path: Mapping[str, str]) -> tuple[Message | None, str | None, Any]:
    """Return the message and for whom it is sent, or the fault in it.

    Who may not be here is told that first, and of the fault nothing.
    """
    try:
        body = json_body()
        lender = _lender(body) if contract.lendable else None
        return load_input(contract, path, body), lender, None
    except (ValidationError, HTTPException) as error:
        return None, None, error


def _lender(body: dict[str, Any]) -> str | None:
    """Take out of a body for whom an alternate sends the command (IDN-07)."""
    lender = body.pop("on_behalf_of", None)
    if lender is not None and not (isinstance(lender, str) and 0 < len(lender) <= _LONGEST_USER_ID):
        raise ValidationError({"on_behalf_of": ["Must be a user ID."]})
    return lender


def _idempotency_key() -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return new_message_id()
    if not _KEY.match(key):
        raise Problem(
            status=422, code="bad_idempotency_key", title="The Idempotency-Key is not valid.",
            detail="Send 1 to 255 visible ASCII characters, such as a UUID.",
        )  # fmt: skip
    return key


def _wait_seconds() -> int:
    asked = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(asked[1]), LONGEST_WAIT_SECONDS) if asked else 0


def _expected_version(contract: Contract) -> int | None:
    """Return the version that ``If-Match`` names; raises a problem where it could not be kept to."""
    given = request.headers.get("If-Match", "*")
    if given == "*":
        return None
    named = _VERSION.match(given)
    if VERSIONED.isdisjoint(contract.path_fields) or named is None:
        raise Problem(
            status=422, code="bad_if_match", title="This If-Match cannot be kept to.",
            detail="Send the ETag of the card account or control account that the command is about, as GET answered it.",
        )  # fmt: skip
    return int(named[1])


def _key_reused(number: str) -> Problem:
    return Problem(
        status=422, code="idempotency_key_reused", title="This Idempotency-Key was used for another command.",
        detail="Send a new key for a new command. Nothing was done now; what the key was first used for is linked.",
        tracking_number=number,
    )  # fmt: skip


def _links(number: str) -> dict[str, str]:
    here = f"/api/v1/tracking/{number}"
    return {"self": here, "events": f"{here}/events"}


def _accepted(
    command_id: str,
    number: str | None,
    links: Mapping[str, str],
    status: RequestStatus = RequestStatus.RECEIVED,
) -> Response:
    answer = json_response(
        {"command_id": command_id, "tracking_number": number, "status": status.value, "links": links}, 202
    )
    answer.headers["Location"] = links["self"]
    return answer
