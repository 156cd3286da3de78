"""Enrolment, forgotten passwords, and what users do about their own access: identity decides, the gateway lets through.

None of it is a command: a secret never enters a message (ADR 0012). What is sent is checked here for its form, as it is
declared in `shared.contracts.access`, and passed on; what concerns a signed-in user goes under that user's assertion.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request

from services.gateway.entrance import Entrance
from services.gateway.rates import RateLimit
from services.gateway.upstream import Upstream
from shared.contracts import access as language
from shared.contracts.schema import UNKNOWN, strict
from shared.web.app import json_body, json_response
from shared.web.problems import invalid_input


@dataclass(frozen=True, slots=True)
class _Passage:
    """A route that stands at identity under the same path; ``shape`` is what is sent, ``status`` what success is."""

    method: str
    path: str
    status: int
    shape: type[Any] | None = None


_FOR_EVERYBODY = (
    _Passage("POST", "/enrolment", 201, language.Enrolment),
    _Passage("POST", "/password-reset", 202, language.PasswordForgotten),
    _Passage("POST", "/password-reset/confirm", 204, language.PasswordReset),
)
_FOR_THE_SIGNED_IN = (
    _Passage("GET", "/me/sessions", 200),
    _Passage("DELETE", "/me/sessions", 204),
    _Passage("DELETE", "/me/sessions/<session_id>", 204),
    _Passage("POST", "/me/password", 204, language.PasswordChange),
    _Passage("GET", "/me/second-factor", 200),
    _Passage("POST", "/me/second-factor", 200),
    _Passage("POST", "/me/second-factor/confirm", 200, language.OneTimePassword),
    _Passage("POST", "/me/second-factor/recovery-codes", 200, language.OneTimePassword),
    _Passage("POST", "/me/second-factor/remove", 204, language.OneTimePassword),
)


def access_routes(entrance: Entrance, identity: Upstream, sign_in_rate: RateLimit) -> Blueprint:
    """Return the routes; whoever is not signed in is counted as one who tries to sign in."""
    blueprint = Blueprint("access", __name__)
    for passage in _FOR_EVERYBODY:
        _add(blueprint, passage, _open_door(passage, identity, sign_in_rate))
    for passage in _FOR_THE_SIGNED_IN:
        _add(blueprint, passage, _own_door(passage, identity, entrance))
    return blueprint


def _add(blueprint: Blueprint, passage: _Passage, view: Callable[..., Response]) -> None:
    name = f"{passage.method} {passage.path}".replace("/", "-")
    blueprint.add_url_rule(passage.path, name, view, methods=[passage.method])


def _open_door(passage: _Passage, identity: Upstream, rate: RateLimit) -> Callable[..., Response]:
    def view() -> Response:
        rate.count(request.remote_addr or "unknown")
        return _answer(passage, identity.post(passage.path, _body(passage)))

    return view


def _own_door(passage: _Passage, identity: Upstream, entrance: Entrance) -> Callable[..., Response]:
    def view(session_id: str = "") -> Response:
        actor = entrance.visitor(entrance.session()).actor
        path = passage.path.replace("<session_id>", quote(session_id, safe=""))
        if passage.method == "POST":
            return _answer(passage, identity.post(path, _body(passage), actor))
        if passage.method == "GET":
            return _answer(passage, identity.get(path, {}, actor))
        identity.delete(path, actor)
        return _answer(passage, None)

    return view


def _body(passage: _Passage) -> dict[str, Any]:
    """Return what was sent; raises ValidationError or a 422 problem naming every field that is wrong."""
    body = json_body()
    if passage.shape:
        strict(passage.shape).load(body)
    elif body:
        raise invalid_input({name: [UNKNOWN] for name in body}, in_body=True)
    return body


def _answer(passage: _Passage, content: Any) -> Response:
    return Response(status=204) if passage.status == 204 else json_response(content, passage.status)
