"""Exports through the gateway: the file goes out piece by piece, each fetched when the one before has gone."""

from collections.abc import Iterator

from flask import Blueprint, Response, stream_with_context

from services.gateway.entrance import Entrance
from services.gateway.upstream import Upstream
from shared.actor import Actor
from shared.contracts.reconciliation import ExportState, GetExport
from shared.errors import Rejected
from shared.web.app import load_input

_NO_FILE = {ExportState.MAKING, ExportState.FAILED}


def export_routes(entrance: Entrance, statements: Upstream) -> Blueprint:
    """Return ``GET /exports/{export_id}/file`` (STM-06)."""
    blueprint = Blueprint("exports", __name__)
    contract = GetExport.contract

    @blueprint.get("/exports/<export_id>/file")
    def file(export_id: str) -> Response:
        actor = entrance.visitor(entrance.session()).actor
        entrance.check_function(contract, actor)
        question = load_input(contract, {"export_id": export_id})
        entrance.check_places(contract, actor, entrance.look_up(contract, question))
        made = statements.get(f"/exports/{export_id}", {}, actor)
        if made["state"] in _NO_FILE:
            raise Rejected(
                "export_not_ready", f"This export has no file: it is {made['state']}.", "export_id"
            )
        size = made["bytes"]
        pieces = stream_with_context(_pieces(statements, export_id, size, actor))
        answer = Response(pieces, content_type=made["media_type"])
        answer.headers["Content-Length"] = str(size)
        answer.headers["Content-Disposition"] = f'attachment; filename="{made["file_name"]}"'
        return answer

    return blueprint


def _pieces(statements: Upstream, export_id: str, size: int, actor: Actor) -> Iterator[bytes]:
    begins_at = 0
    while begins_at < size:
        piece = statements.fetch(f"/exports/{export_id}/piece", {"begins_at": begins_at}, actor)
        yield piece
        begins_at += len(piece)
