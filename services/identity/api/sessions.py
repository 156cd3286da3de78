"""Sign in, check sessions, sign out."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from flask import Blueprint, Response

from services.identity.sessions import check_sessions, revoke_session
from services.identity.sign_in import Visit, sign_in
from shared.contracts.schema import strict
from shared.contracts.types import Items
from shared.service import Running
from shared.web.app import json_body, json_response, only_the_gateway

MOST_TOKENS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of the requests that the gateway has in hand.

    A token may be any text at all: refusing one would refuse everybody whose request is checked with it. ``used`` says
    whether somebody uses these sessions just now, which keeps them alive.
    """

    tokens: Annotated[list[str], Items(0, MOST_TOKENS)]
    used: bool = True


def session_endpoints(running: Running) -> Blueprint:
    """Return ``POST /sessions``, ``POST /sessions/check`` and ``DELETE /sessions/{session_id}``."""
    endpoints = Blueprint("sessions", __name__)
    endpoints.before_request(only_the_gateway)
    database, clock, settings = running.database, running.clock, running.settings
    lifetime = timedelta(minutes=settings.session_minutes)

    @endpoints.post("/sessions")
    def begin_session() -> Response:
        visit: Visit = strict(Visit).load(json_body())
        return json_response(sign_in(database, visit, now=clock(), settings=settings), 201)

    @endpoints.post("/sessions/check")
    def check() -> Response:
        given: Tokens = strict(Tokens).load(json_body())
        return json_response(
            {
                "sessions": check_sessions(
                    database, given.tokens, now=clock(), lifetime=lifetime, used=given.used
                )
            }
        )

    @endpoints.delete("/sessions/<session_id>")
    def end_session(session_id: str) -> Response:
        with database.write() as session:
            revoke_session(session, session_id, clock())
        return Response(status=204)

    return endpoints
