"""The gateway's Flask app, put together from its parts."""

from collections.abc import Mapping
from typing import Any

from flask import Flask, redirect, request

from services.gateway.access import access_routes
from services.gateway.commands import command_routes
from services.gateway.docs_page import documentation
from services.gateway.entrance import Entrance
from services.gateway.exports import export_routes
from services.gateway.files import file_routes
from services.gateway.imports import import_routes
from services.gateway.papers import paper_routes
from services.gateway.progress import progress_routes
from services.gateway.rates import RateLimit
from services.gateway.reads import read_routes
from services.gateway.sessions import session_routes
from services.gateway.upstream import Assertions, Upstream
from shared.clock import Clock
from shared.messaging.bus import CommandSender
from shared.observability import Metrics
from shared.sealing import Seal
from shared.settings import Settings
from shared.web.app import bare_app

ROOT = "/api/v1"


def gateway_app(
    *,
    settings: Settings,
    upstreams: Mapping[str, Upstream],
    assertions: Assertions,
    sender: CommandSender,
    seal: Seal,
    clock: Clock,
    metrics: Metrics,
    openapi: dict[str, Any],
) -> Flask:
    """Return the portal API; nothing is connected before the first request."""
    # One service that is away does not take the others' reads with it, so only the broker decides.
    checks = {"broker": sender.is_ready}
    app = bare_app("gateway", metrics=metrics, checks=checks, largest_body=settings.largest_body)
    rate = RateLimit(settings.rate_limit)
    entrance = Entrance(upstreams)
    sign_in_rate = RateLimit(settings.sign_in_rate_limit)
    parts = [
        session_routes(entrance, upstreams["identity"], sign_in_rate),
        access_routes(entrance, upstreams["identity"], sign_in_rate),
        progress_routes(entrance, upstreams["tracking"], max(1, settings.web_threads // 2)),
        command_routes(entrance, upstreams["tracking"], assertions, sender, seal, clock),
        read_routes(entrance, upstreams),
        file_routes(entrance, upstreams["accounts"], settings),
        import_routes(entrance, upstreams["statements"], settings),
        paper_routes(entrance, upstreams),
        export_routes(entrance, upstreams["statements"]),
    ]
    for part in parts:
        part.before_request(lambda: rate.count(_caller()))
        app.register_blueprint(part, url_prefix=ROOT)
    app.register_blueprint(documentation(openapi))
    app.add_url_rule(
        "/", "front", lambda: redirect(f"{ROOT}/docs")
    )  # whoever opens the address reads on there
    if settings.secure_transport:
        app.after_request(_demand_secure_transport)
    return app


def _caller() -> str:
    """Return whose requests are counted together: a session's, or an address's where there is none."""
    return request.headers.get("Authorization") or request.remote_addr or "unknown"


def _demand_secure_transport(answer: Any) -> Any:
    answer.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return answer
