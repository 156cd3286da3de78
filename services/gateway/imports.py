"""Files of transactions and payments through the gateway: what comes goes through, refused rows are made a file again."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request, stream_with_context

from services.gateway.entrance import Entrance
from services.gateway.files import csv_of, length_of_file
from services.gateway.upstream import Upstream
from shared.actor import Actor
from shared.contracts.imports import ListImportFindings, PostImport, RowOutcome
from shared.settings import Settings
from shared.web.app import json_response, load_input
from shared.web.cells import cell

_MOST_ROWS = 500
_OPTIONS = ("file_name", "control_account", "mended")


def import_routes(entrance: Entrance, statements: Upstream, settings: Settings) -> Blueprint:
    """Return ``POST /imports/{layout}`` and ``GET /imports/{import_id}/refused`` (Part 2 no. 17)."""
    blueprint = Blueprint("imports", __name__)

    @blueprint.post("/imports/<layout>")
    def upload(layout: str) -> Response:
        actor = entrance.visitor(entrance.session()).actor
        entrance.check_function(PostImport.contract, actor)
        length = length_of_file(settings.import_bytes)
        options = {name: request.args[name] for name in _OPTIONS if name in request.args}
        found = statements.upload(
            f"/imports/{layout}", request.stream, length, request.mimetype, actor, options
        )
        here = f"/api/v1/imports/{found['import_id']}"
        links = {
            "self": here,
            "findings": f"{here}/findings",
            "refused": f"{here}/refused",
            "post": f"{here}/post",
        }
        return json_response({**found, "links": links}, 201)

    @blueprint.get("/imports/<import_id>/refused")
    def refused(import_id: str) -> Response:
        actor = entrance.visitor(entrance.session()).actor
        entrance.check_function(ListImportFindings.contract, actor)
        load_input(ListImportFindings.contract, {"import_id": import_id})
        columns = statements.get(f"/imports/{import_id}", {}, actor)["columns"]
        answer = Response(
            stream_with_context(_refused(statements, import_id, columns, actor)),
            content_type="text/csv; charset=utf-8",
        )
        answer.headers["Content-Disposition"] = f'attachment; filename="{import_id}-refused.csv"'
        return answer

    return blueprint


def _refused(statements: Upstream, import_id: str, columns: list[str], actor: Actor) -> Iterator[str]:
    """Make the file page by page; loaded again as ``mended``, its rows are what the uploaded file should have had."""
    yield csv_of([["line", "reason", *columns]])
    criteria: dict[str, Any] = {"outcome": RowOutcome.REFUSED.value, "limit": _MOST_ROWS}
    while True:
        page = statements.get(f"/imports/{import_id}/findings", criteria, actor)
        yield csv_of([[row["line"], row["message"], *map(cell, row["cells"] or ())] for row in page["data"]])
        if not page["next_cursor"]:
            return
        criteria["cursor"] = page["next_cursor"]
