"""Signing in and out, and who one is (API, *Auth*)."""

from typing import Any

from flask import Blueprint, Response, request

from services.gateway.entrance import Entrance, Visitor
from services.gateway.rates import RateLimit
from services.gateway.upstream import Upstream
from shared.contracts.access import SignIn
from shared.contracts.schema import strict
from shared.web.app import json_body, json_response

_LONGEST_AGENT = 200


def session_routes(entrance: Entrance, identity: Upstream, sign_in_rate: RateLimit) -> Blueprint:
    """Return ``POST /sessions``, ``GET /me`` and ``DELETE /sessions/current``."""
    blueprint = Blueprint("sessions", __name__)

    @blueprint.post("/sessions")
    def sign_in() -> Response:
        sign_in_rate.count(request.remote_addr or "unknown")
        body = json_body()
        strict(SignIn).load(body)
        answer = identity.post("/sessions", {**body, "address": request.remote_addr, "agent": _agent()})
        session = answer["session"]
        opened = {
            "token": answer["token"],
            "expires_at": session["expires_at"],
            "user": {name: session[name] for name in ("user_id", "name", "role", "company")},
            "device": answer["device"],
        }
        return json_response(opened, 201)

    @blueprint.get("/me")
    def me() -> Response:
        return json_response(_described(entrance.visitor(entrance.session())))

    @blueprint.delete("/sessions/current")
    def sign_out() -> Response:
        visitor = entrance.visitor(entrance.session())
        identity.delete(f"/sessions/{visitor.actor.session_id}")
        return Response(status=204)

    return blueprint


def _agent() -> str | None:
    """Return what the client calls itself, for its user to recognise the session by."""
    named = request.headers.get("User-Agent", "")
    return "".join(filter(str.isprintable, named))[:_LONGEST_AGENT] or None


def _described(visitor: Visitor) -> dict[str, Any]:
    actor = visitor.actor
    return {
        "user_id": actor.user_id,
        "name": visitor.name,
        "role": visitor.role,
        "company": actor.company,
        "functions": sorted(actor.grants),
        "control_accounts": sorted(set().union(*actor.grants.values())),
        "own_accounts": sorted(actor.own_accounts),
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
