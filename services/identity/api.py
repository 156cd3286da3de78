"""Identity's endpoints: sign in, check sessions, sign out. Only the gateway, speaking for itself, may call them."""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Annotated

from flask import Blueprint, Response, g

from services.identity.sessions import check_sessions, revoke_session
from services.identity.sign_in import SignInFailed, TooManyAttempts, sign_in
from shared.actor import Party
from shared.contracts.schema import strict
from shared.contracts.types import Items, Text
from shared.service import Running
from shared.web.app import json_body, json_response
from shared.web.problems import Problem

MOST_TOKENS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a user signs in with; any text that a person could type may be tried."""

    user_id: Annotated[str, Text(1, 64, r"^[^\x00-\x1f\x7f]*$", "a user ID")]
    password: Annotated[str, Text(1, 1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The tokens of the requests that the gateway has in hand.

    A token may be any text at all: refusing one would refuse everybody whose request is checked with it.
    """

    tokens: Annotated[list[str], Items(0, MOST_TOKENS)]


def make_endpoints(running: Running) -> Blueprint:
    """Return the blueprint with ``POST /sessions``, ``POST /sessions/check`` and ``DELETE /sessions/{session_id}``."""
    endpoints = Blueprint("sessions", __name__)
    database, clock = running.database, running.clock
    lifetime = timedelta(minutes=running.settings.session_minutes)

    @endpoints.before_request
    def admit_the_gateway() -> None:
        if g.actor.party is not Party.SYSTEM:
            raise Problem(status=403, code="gateway_only", title="Only the gateway may ask this.")

    @endpoints.post("/sessions")
    def begin_session() -> Response:
        given: Credentials = strict(Credentials).load(json_body())
        try:
            token, signed_in = sign_in(
                database, user_id=given.user_id, password=given.password, now=clock(), lifetime=lifetime
            )
        except SignInFailed as refusal:
            raise _sign_in_failed(refusal) from refusal
        except TooManyAttempts as refusal:
            raise _too_many_attempts(refusal) from refusal
        return json_response({"token": token, "session": signed_in}, 201)

    @endpoints.post("/sessions/check")
    def check() -> Response:
        given: Tokens = strict(Tokens).load(json_body())
        return json_response(
            {"sessions": check_sessions(database, given.tokens, now=clock(), lifetime=lifetime)}
        )

    @endpoints.delete("/sessions/<session_id>")
    def end_session(session_id: str) -> Response:
        with database.write() as session:
            revoke_session(session, session_id, clock())
        return Response(status=204)

    return endpoints


def _sign_in_failed(refusal: SignInFailed) -> Problem:
    return Problem(status=401, code=refusal.code, title="You could not be signed in.", detail=refusal.message)


def _too_many_attempts(refusal: TooManyAttempts) -> Problem:
    seconds = ceil(refusal.wait.total_seconds())
    return Problem(
        status=429,
        code=refusal.code,
        title="You cannot sign in just now.",
        detail=f"{refusal.message} Try again in {seconds} seconds.",
        headers={"Retry-After": str(seconds)},
        retry_after=seconds,
    )
