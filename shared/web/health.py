"""``/livez``, ``/readyz`` and ``/metrics``: is the process alive, can it work right now, and how is it doing."""

import threading
from collections.abc import Callable, Mapping

import orjson
from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from shared.observability import Metrics

Check = Callable[[], bool]


def add_health(app: Flask, metrics: Metrics, checks: Mapping[str, Check]) -> None:
    """Add the three endpoints; ``checks`` says, by name, what must be well for the process to be ready."""

    @app.get("/livez")
    def live() -> Response:
        return Response("ok\n", content_type="text/plain; charset=utf-8")

    @app.get("/readyz")
    def ready() -> Response:
        states = {name: check() for name, check in checks.items()}
        words = {name: "ready" if well else "not ready" for name, well in states.items()}
        return Response(
            orjson.dumps(words), 200 if all(states.values()) else 503, content_type="application/json"
        )

    @app.get("/metrics")
    def figures() -> Response:
        return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)


class _Quietly(WSGIRequestHandler):
    """Probes come every few seconds, and are not worth a line in the log."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def serve_health(host: str, port: int, metrics: Metrics, checks: Mapping[str, Check]) -> BaseWSGIServer:
    """Serve the three endpoints of a worker, which has no other HTTP, from a thread of their own."""
    app = Flask("health", static_folder=None)
    add_health(app, metrics, checks)
    server = make_server(host, port, app, threaded=True, request_handler=_Quietly)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
