"""Signing in and out, and who one is (API, *Auth*)."""

from typing import Any

from flask import Blueprint, Response, request

from services.gateway.entrance import Entrance, Visitor
from services.gateway.rates import RateLimit
from services.gateway.upstream import Upstream
from shared.web.app import json_body, json_response
from shared.web.problems import invalid_input

_CREDENTIALS = ("user_id", "password")
_LONGEST = 200


def session_routes(entrance: Entrance, identity: Upstream, sign_in_rate: RateLimit) -> Blueprint:
    """Return ``POST /sessions``, ``GET /me`` and ``DELETE /sessions/current``."""
    blueprint = Blueprint("sessions", __name__)

    @blueprint.post("/sessions")
    def sign_in() -> Response:
        sign_in_rate.count(request.remote_addr or "unknown")
        answer = identity.post("/sessions", _credentials())
        session = answer["session"]
        user = {name: session[name] for name in ("user_id", "name", "role", "company")}
        return json_response(
            {"token": answer["token"], "expires_at": session["expires_at"], "user": user}, 201
        )

    @blueprint.get("/me")
    def me() -> Response:
        return json_response(_described(entrance.visitor(entrance.session())))

    @blueprint.delete("/sessions/current")
    def sign_out() -> Response:
        visitor = entrance.visitor(entrance.session())
        identity.delete(f"/sessions/{visitor.actor.session_id}")
        return Response(status=204)

    return blueprint


def _credentials() -> dict[str, str]:
    body = json_body()
    faults = {name: ["Unknown field."] for name in body if name not in _CREDENTIALS}
    for name in _CREDENTIALS:
        if name not in body:
            faults[name] = ["Missing data for required field."]
        elif not isinstance(body[name], str) or not 0 < len(body[name]) <= _LONGEST:
            faults[name] = [f"Must be a text of 1 to {_LONGEST} characters."]
    if faults:
        raise invalid_input(faults, in_body=True)
    return {name: body[name] for name in _CREDENTIALS}


def _described(visitor: Visitor) -> dict[str, Any]:
    actor = visitor.actor
    return {
        "user_id": actor.user_id,
        "name": visitor.name,
        "role": visitor.role,
        "company": actor.company,
        "functions": sorted(actor.grants),
        "control_accounts": sorted(set().union(*actor.grants.values())),
        "grants": {function: sorted(numbers) for function, numbers in sorted(actor.grants.items())},
        "delegations": [
            {
                "delegation": lent.delegation,
                "lender": lent.lender,
                "lender_name": lent.lender_name,
                "ends_at": lent.ends_at,
                "grants": {function: sorted(numbers) for function, numbers in sorted(lent.grants.items())},
            }
            for lent in visitor.lent
        ],
        "second_factor_needed": visitor.second_factor_needed,
        "session_expires_at": visitor.expires_at,
    }
