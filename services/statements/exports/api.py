"""The file of an export in pieces: no contract, as what is answered is a part of a file."""

import sqlalchemy as sa
from flask import Blueprint, Response, g

from services.statements.exports.queries import one_export
from services.statements.model import export_piece
from shared.contracts.reconciliation import GetExport, PieceAsked
from shared.contracts.schema import strict
from shared.errors import NotFound
from shared.messaging.transaction import Reader
from shared.service import Running
from shared.web.app import json_body
from shared.web.problems import function_not_granted


def export_endpoints(running: Running) -> Blueprint:
    """Return ``POST /exports/{export_id}/piece``, which the gateway asks for one piece after the other."""
    endpoints = Blueprint("exports", __name__)
    function = GetExport.contract.function or ""

    @endpoints.post("/exports/<export_id>/piece")
    def piece(export_id: str) -> Response:
        asked: PieceAsked = strict(PieceAsked).load(json_body())
        if not g.actor.may(function):
            raise function_not_granted(function)
        with running.database.read() as session:
            found = one_export(
                export_id, Reader(session, g.actor, function, running.clock(), running.settings)
            )
            content = session.scalar(
                sa.select(export_piece.c.content).where(
                    export_piece.c.export_id == found.id, export_piece.c.begins_at == asked.begins_at
                )
            )
        if content is None:
            raise NotFound("piece", "begins_at")
        return Response(content, content_type="application/octet-stream")

    return endpoints
