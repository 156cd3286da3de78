"""Shows the API to people: the OpenAPI document, and a page to read and try it, with nothing from another origin.

The page runs only files of this origin: no script stands in it, and its policy allows neither one nor a connection to
anywhere else.
"""

from importlib.resources import files
from typing import Any

import orjson
from flask import Blueprint, Response, request, send_file
from werkzeug.exceptions import NotFound

PREFIX = "/api/v1"
ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # the icons within the style sheet
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_KEPT = "public, max-age=3600"

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Cardwork API</title>
    <link rel="icon" href="docs/assets/favicon-32x32.png">
    <link rel="stylesheet" href="docs/assets/swagger-ui.css">
  </head>
  <body>
    <main id="api"></main>
    <noscript>This page needs JavaScript. The document itself is <a href="openapi.json">openapi.json</a>.</noscript>
    <script src="docs/assets/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
"""
# No validator: it would send the document to another origin. The token is gone when the page is.
_START = """SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  domNode: document.getElementById("api"),
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  persistAuthorization: false,
  tagsSorter: "alpha",
  validatorUrl: null,
});
"""


def documentation(openapi: dict[str, Any]) -> Blueprint:
    """Return ``/api/v1/openapi.json`` and ``/api/v1/docs``, which need no session: they say what this text says too."""
    blueprint = Blueprint("documentation", __name__, url_prefix=PREFIX)
    document = orjson.dumps(openapi)

    @blueprint.get("/openapi.json")
    def machine_readable() -> Response:
        return _conditional(Response(document, content_type="application/json"))

    @blueprint.get("/docs")
    def page() -> Response:
        answer = Response(_PAGE, content_type="text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = _POLICY
        return _conditional(answer)

    @blueprint.get("/docs/start.js")
    def start() -> Response:
        return _conditional(Response(_START, content_type="text/javascript; charset=utf-8"))

    @blueprint.get("/docs/assets/<name>")
    def asset(name: str) -> Response:
        if name not in ASSETS:
            raise NotFound
        answer = send_file(
            str(files("flask_swagger_ui") / "dist" / name), mimetype=ASSETS[name], conditional=True
        )
        answer.headers["Cache-Control"] = _KEPT
        return answer

    return blueprint


def _conditional(answer: Response) -> Response:
    answer.add_etag()
    answer.headers["Cache-Control"] = "no-cache"  # keep it, but ask whether it is still good
    answer.make_conditional(request)
    return answer
