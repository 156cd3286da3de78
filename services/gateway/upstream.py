"""The services behind the gateway, over HTTP: one client for each, with time-outs, and an assertion on every request."""

import io
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import IO, Any
from urllib.parse import urlencode

import orjson
from flask import g, has_request_context

from services.gateway.calls import Answer, Body, Call, NoAnswer
from shared.actor import Actor, Party, Signer
from shared.clock import Clock
from shared.errors import Unavailable
from shared.web.problems import NOT_SIGNED_IN, Fault, Problem

GATEWAY = Actor(user_id="gateway", party=Party.SYSTEM)
_RENEWED_AFTER = timedelta(seconds=30)
_MOST_KEPT = 10_000


class Assertions:
    """Signs for users, and keeps a signed assertion while it has half its life before it."""

    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock
        self._kept: dict[tuple[str, tuple[str, ...]], tuple[Actor, datetime, str]] = {}

    def of(self, actor: Actor, *audience: str) -> str:
        """Return an assertion of this actor for these services."""
        now, key = self._clock(), (actor.session_id or actor.user_id, audience)
        kept = self._kept.get(key)
        if kept and kept[0] == actor and now - kept[1] < _RENEWED_AFTER:
            return kept[2]
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        token = self._signer.sign(actor, audience, now)
        self._kept[key] = (actor, now, token)
        return token


class Upstream:
    """One service behind the gateway; safe among threads."""

    def __init__(self, name: str, call: Call, assertions: Assertions) -> None:
        self.name = name
        self._call = call
        self._assertions = assertions

    def get(self, path: str, criteria: Mapping[str, Any], actor: Actor = GATEWAY) -> Any:
        """Return what the service answers; raises its problem, or Unavailable where it does not answer."""
        query = urlencode(criteria, doseq=True)
        return self._ask("GET", f"{path}?{query}" if query else path, actor)

    def post(self, path: str, body: Mapping[str, Any], actor: Actor = GATEWAY) -> Any:
        """Send a body and return the answer; raises as `get` does."""
        return self._ask("POST", path, actor, orjson.dumps(body))

    def upload(
        self,
        path: str,
        file: IO[bytes],
        length: int,
        media_type: str,
        actor: Actor,
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send a file of ``length`` bytes as it is read, and return the answer; raises as `get` does."""
        headers = {"Content-Type": media_type, "Content-Length": str(length)}
        query = urlencode(options or {})
        return self._ask("POST", f"{path}?{query}" if query else path, actor, file, headers)

    def fetch(self, path: str, body: Mapping[str, Any], actor: Actor) -> bytes:
        """Send a body and return the file that the service answers with; raises as `get` does.

        It is sent as a file is, so that as long is waited: a company's statement may have thousands of lines.
        """
        asked = orjson.dumps(body)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(asked))}
        return self._answer("POST", path, actor, io.BytesIO(asked), headers).body

    def delete(self, path: str, actor: Actor = GATEWAY) -> None:
        """Remove what stands at a path; raises as `get` does."""
        self._ask("DELETE", path, actor)

    def _ask(
        self, method: str, target: str, actor: Actor, body: Body = b"", more: Mapping[str, str] | None = None
    ) -> Any:
        answer = self._answer(method, target, actor, body, more)
        return orjson.loads(answer.body) if answer.body else None

    def _answer(
        self, method: str, target: str, actor: Actor, body: Body, more: Mapping[str, str] | None = None
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._assertions.of(actor, self.name)}", **(more or {})}
        if body and more is None:
            headers["Content-Type"] = "application/json"
        if has_request_context():
            headers["X-Request-Id"] = g.request_id
        try:
            answer = self._call(method, target, headers, body)
        except NoAnswer as error:
            raise Unavailable(f"the {self.name} service is away") from error
        if answer.status >= 400:
            raise self._problem(answer)
        return answer

    def _problem(self, answer: Answer) -> Exception:
        """Return the service's own problem as ours; a fault of the service itself is not the caller's to see."""
        foreign = answer.headers.get("content-type") != "application/problem+json"
        body = {} if foreign else orjson.loads(answer.body)
        if foreign or answer.status >= 500 or body.get("code") == NOT_SIGNED_IN:
            return Unavailable(f"the {self.name} service answered {answer.status}")
        for name in ("type", "instance", "request_id", "status"):
            body.pop(name, None)
        headers = {"Retry-After": answer.headers["retry-after"]} if "retry-after" in answer.headers else {}
        faults = [Fault(**fault) for fault in body.pop("errors", ())]
        return Problem(status=answer.status, headers=headers, errors=faults, **body)
