"""What the gateway asks tracking besides its reads: where many requests stand, for those who watch them live."""

from flask import Blueprint, Response

from services.tracking.queries.requests import get_progress
from shared.actor import EVERYWHERE, Actor, Party
from shared.messaging.transaction import Reader
from shared.service import Running
from shared.web.app import json_body, json_response, only_the_gateway

_MOST_IDS = 1000
_FUNCTION = "tracking.view"


def endpoints(running: Running) -> Blueprint:
    """Return ``POST /progress``: command ids in, the state of each out. The gateway checks who may watch what."""
    blueprint = Blueprint("progress", __name__)

    @blueprint.post("/progress")
    def progress() -> Response:
        only_the_gateway()
        ids = json_body().get("command_ids", [])[:_MOST_IDS]
        everyone = Actor(user_id="gateway", party=Party.SYSTEM, grants={_FUNCTION: frozenset({EVERYWHERE})})
        with running.database.read() as session:
            reader = Reader(session, everyone, _FUNCTION, running.clock(), running.settings)
            return json_response(get_progress(ids, reader))

    return blueprint
