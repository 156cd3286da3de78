"""A request's progress, live: server-sent events until it is settled.

Every stream of a process asks through one loader, so that a thousand watchers cost tracking one question at a time, and
no watcher depends on which gateway took the command. A stream outlives neither its watcher's session nor the right to it.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from flask import Blueprint, Response, stream_with_context

from services.gateway.entrance import Entrance
from services.gateway.loader import Loader
from services.gateway.upstream import Upstream
from shared.actor import Actor
from shared.contracts.tracking import GetRequest
from shared.errors import Rejected, Unavailable
from shared.web.app import load_input
from shared.web.problems import Problem, unavailable

LOOK_EVERY_SECONDS = 0.5
ADMIT_EVERY_SECONDS = 2
BEAT_EVERY_SECONDS = 15
LONGEST_SECONDS = 300


def progress_routes(entrance: Entrance, tracking: Upstream, most_streams: int) -> Blueprint:
    """Return ``GET /tracking/{tracking_number}/events``; at most ``most_streams`` are open at once in a process."""
    blueprint = Blueprint("progress", __name__)
    places = threading.BoundedSemaphore(most_streams)

    def ask(command_ids: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = tracking.post("/progress", {"command_ids": list(command_ids)})
        return found

    loader: Loader[str, dict[str, Any]] = Loader("progress", ask)

    @blueprint.get("/tracking/<tracking_number>/events")
    def events(tracking_number: str) -> Response:
        watcher = _Watcher(entrance, tracking, tracking_number)
        command_id = watcher.admit()
        if not places.acquire(blocking=False):
            raise unavailable("too many requests are being watched through this gateway")
        told = stream_with_context(_stream(loader, command_id, watcher))
        stream = Response(told, content_type="text/event-stream")
        stream.headers["Cache-Control"] = "no-store"
        stream.headers["X-Accel-Buffering"] = "no"
        stream.call_on_close(places.release)
        return stream

    return blueprint


class _Watcher:
    """Whoever watches a request, admitted anew now and then: a session ends, and grants are taken away."""

    def __init__(self, entrance: Entrance, tracking: Upstream, tracking_number: str) -> None:
        self._entrance = entrance
        self._tracking = tracking
        self._number = tracking_number
        self._admitted: Actor | None = None
        self._at = 0.0

    def admit(self) -> str:
        """Return the id of the command that is watched; raises a problem where the watcher may not see it."""
        return self._admit(self._entrance.visitor(self._entrance.session()).actor)

    def _admit(self, actor: Actor) -> str:
        self._entrance.check_function(GetRequest.contract, actor)
        load_input(GetRequest.contract, {"tracking_number": self._number})
        detail = self._tracking.get(f"/tracking/{self._number}", {}, actor)
        self._admitted, self._at = actor, time.monotonic()
        return str(detail["command_id"])

    def may_stay(self) -> bool:
        """Return whether the watcher may go on; tracking is asked again only where what the watcher may do changed."""
        if time.monotonic() - self._at < ADMIT_EVERY_SECONDS:
            return True
        try:
            actor = self._entrance.visitor(self._entrance.session(used=False)).actor
            if actor != self._admitted:
                self._admit(actor)
        except (Problem, Rejected, Unavailable):
            return False
        self._at = time.monotonic()
        return True


def _stream(loader: Loader[str, dict[str, Any]], command_id: str, watcher: _Watcher) -> Iterator[bytes]:
    shown: dict[str, Any] | None = None
    begun = beaten = time.monotonic()
    pause = threading.Event()
    while time.monotonic() - begun < LONGEST_SECONDS and watcher.may_stay():
        try:
            state = loader.load(command_id).result()
        except Unavailable:
            state = None
        if state and state != shown:
            shown, beaten = state, time.monotonic()
            yield b"event: status\ndata: " + orjson.dumps({"command_id": command_id, **state}) + b"\n\n"
            if state["settled"]:
                return
        elif time.monotonic() - beaten > BEAT_EVERY_SECONDS:
            beaten = time.monotonic()
            yield b": still here\n\n"
        pause.wait(LOOK_EVERY_SECONDS)
