"""A request's progress, live: server-sent events until it is settled.

Every stream of a process asks through one loader, so that a thousand watchers cost tracking one question at a time, and
no watcher depends on which gateway took the command.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from flask import Blueprint, Response

from services.gateway.entrance import Entrance
from services.gateway.loader import Loader
from services.gateway.upstream import Upstream
from shared.contracts.tracking import GetRequest
from shared.errors import Unavailable
from shared.web.app import load_input
from shared.web.problems import unavailable

LOOK_EVERY_SECONDS = 0.5
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
        contract = GetRequest.contract
        actor = entrance.visitor(entrance.session()).actor
        entrance.check_function(contract, actor)
        load_input(contract, {"tracking_number": tracking_number})
        detail = tracking.get(f"/tracking/{tracking_number}", {}, actor)
        if not places.acquire(blocking=False):
            raise unavailable("too many requests are being watched through this gateway")
        stream = Response(_stream(loader, detail["command_id"]), content_type="text/event-stream")
        stream.headers["Cache-Control"] = "no-store"
        stream.headers["X-Accel-Buffering"] = "no"
        stream.call_on_close(places.release)
        return stream

    return blueprint


def _stream(loader: Loader[str, dict[str, Any]], command_id: str) -> Iterator[bytes]:
    shown: dict[str, Any] | None = None
    begun = beaten = time.monotonic()
    pause = threading.Event()
    while time.monotonic() - begun < LONGEST_SECONDS:
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
