"""Builds the Flask app of a service: its reads, straight from the contracts, and what every service answers."""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import orjson
import structlog
from flask import Flask, Response, g, request
from sqlalchemy import orm
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from shared.actor import BadAssertion, Party, Verifier
from shared.contracts.base import Contract
from shared.contracts.schema import strict
from shared.ids import new_message_id
from shared.messaging.transaction import Reader
from shared.observability import Metrics
from shared.rights import may_send, own_accounts
from shared.service import Running, Service
from shared.web.health import Check, add_health
from shared.web.problems import Problem, answer_with_problems, function_not_granted, not_signed_in

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_MOST_IDS = 1000
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_OPEN = frozenset({"/livez", "/readyz", "/metrics"})
_UNLESS_SET = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)

log = structlog.get_logger()


def bare_app(name: str, *, metrics: Metrics, checks: Mapping[str, Check], largest_body: int) -> Flask:
    """Return an app that answers errors with problems, logs and measures requests, and shows its health."""
    app = Flask(name, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = largest_body
    answer_with_problems(app)
    add_health(app, metrics, checks)

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.match(given) else new_message_id()
        g.started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers.add("X-Request-Id", g.get("request_id", ""))
        _note(name, metrics, response)
        return response

    app.wsgi_app = _with_headers(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def _with_headers(app: "WSGIApplication") -> "WSGIApplication":
    """Add the headers that every answer bears, where it costs next to nothing: as plain text, at the very end."""

    def respond(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            named = {name.lower() for name, _ in headers}
            unset = [header for header in _UNLESS_SET if header[0].lower() not in named]
            return start_response(status, [*headers, *unset, *_ALWAYS], *rest)

        return app(environ, start)

    return respond


def _note(service: str, metrics: Metrics, response: Response) -> None:
    if request.path in _OPEN:
        return
    route = request.url_rule.rule if request.url_rule else "(none)"
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    metrics.http_requests.labels(service, route, request.method, response.status_code).inc()
    metrics.http_seconds.labels(service, route, request.method).observe(seconds)
    # The route and not the path: what a caller typed there may be a card number.
    log.info(
        "answered",
        service=service,
        method=request.method,
        route=route,
        status=response.status_code,
        milliseconds=round(seconds * 1000, 1),
        user=g.actor.user_id if "actor" in g else None,
        **g.get("facts", {}),
    )


def service_app(
    service: Service, running: Running, *, verifier: Verifier, metrics: Metrics, checks: Mapping[str, Check]
) -> Flask:
    """Return the app behind which a service answers its reads; nothing is answered without an assertion made for it."""
    app = bare_app(service.name, metrics=metrics, checks=checks, largest_body=running.settings.largest_body)

    @app.before_request
    def authenticate() -> None:
        if request.path in _OPEN:
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            g.actor = verifier.verify(token if scheme == "Bearer" else None, running.clock())
        except BadAssertion as error:
            raise not_signed_in(str(error)) from error

    for cls, query in service.queries.items():
        _add_read(app, cls.contract, query, running)
    if service.places:
        _add_scopes(app, service, running)
    if service.endpoints:
        app.register_blueprint(service.endpoints(running))
    return app


def _add_read(app: Flask, contract: Contract, query: Callable[[Any, Reader], Any], running: Running) -> None:
    def view(**path: str) -> Response:
        admit(contract)
        question = load_input(contract, path)
        with running.database.read() as session:
            answer = query(question, reader_of(contract, session, running))
        return json_response(answer)

    method = "POST" if contract.sends_body else "GET"
    app.add_url_rule(flask_rule(contract), contract.name, view, methods=[method])


def admit(contract: Contract) -> None:
    """Raise a 403 problem where what a contract declares is not the caller's to ask for."""
    if not may_send(g.actor, contract):
        raise function_not_granted(contract.function or "")


def reader_of(contract: Contract, session: orm.Session, running: Running) -> Reader:
    """Return what the caller sees by a read."""
    own = own_accounts(g.actor, contract)
    return Reader(session, g.actor, contract.function, running.clock(), running.settings, own)


def _add_scopes(app: Flask, service: Service, running: Running) -> None:
    """Add ``POST /scopes``: ids by kind in, the control accounts above each out; what does not exist is left out."""

    def scopes() -> Response:
        only_the_gateway()
        asked = json_body()
        with running.database.read() as session:
            found = {
                kind: find(session, asked[kind][:_MOST_IDS])
                for kind, find in service.places.items()
                if asked.get(kind)
            }
        return json_response(found)

    app.add_url_rule("/scopes", "scopes", scopes, methods=["POST"])


def only_the_gateway() -> None:
    """Raise a 403 problem unless the gateway asks for itself."""
    if g.actor.party is not Party.SYSTEM:
        raise Problem(status=403, code="gateway_only", title="Only the gateway may ask this.")


def flask_rule(contract: Contract) -> str:
    """Return a contract's route in Flask's notation."""
    return re.sub(r"\{(\w+)\}", r"<\1>", contract.route or "")


def json_response(value: Any, status: int = 200) -> Response:
    """Return dataclasses, dicts and lists as JSON."""
    return Response(orjson.dumps(value), status, content_type="application/json")


def load_input(contract: Contract, path: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Any:
    """Return the typed message that a request carries; raises ValidationError naming every field that is wrong.

    ``body`` is what was read of it already, where something was.
    """
    by_body = request.method == "POST"
    given = _criteria(contract) if not by_body else json_body() if body is None else body
    doubled = sorted(given.keys() & path.keys())
    if doubled:
        raise BadRequest(
            f"{', '.join(doubled)} stands in the path; leave it out of the {'body' if by_body else 'query'}."
        )
    return strict(contract.cls).load({**given, **path})


def json_body() -> dict[str, Any]:
    """Return the JSON object in the body, an empty one where there is no body."""
    body = request.get_data()
    if not body:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the body as application/json.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadRequest("The body is not a JSON object.")
    return value


def _criteria(contract: Contract) -> dict[str, Any]:
    hints = get_type_hints(contract.cls)
    many = {
        name
        for name, hint in hints.items()
        if list in {get_origin(hint), *(get_origin(each) for each in get_args(hint))}
    }
    return {
        name: request.args.getlist(name) if name in many else value
        for name, value in request.args.items()
        if name in many or value != ""
    }
