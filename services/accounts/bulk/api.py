"""Uploading a file: no command, as it changes nothing that anybody could ask about (TRK-01)."""

from flask import Blueprint, Response, g, request

from services.accounts.bulk.kinds import KINDS, Kind
from services.accounts.bulk.queries import row_of
from services.accounts.bulk.upload import take_in
from services.accounts.model import Bulk
from shared.contracts.bulk import BulkKind
from shared.errors import NotFound
from shared.service import Running
from shared.web.app import json_response
from shared.web.problems import function_not_granted

_PIECE = 64 * 1024


def bulk_endpoints(running: Running) -> Blueprint:
    """Return ``POST /bulk/{kind}``, which takes the file itself as its body."""
    endpoints = Blueprint("bulk", __name__)

    @endpoints.post("/bulk/<kind>")
    def upload(kind: str) -> Response:
        known = _kind(kind)
        if not g.actor.may(known.function):
            raise function_not_granted(known.function)
        request.max_content_length = running.settings.bulk_bytes
        try:
            bulk_id = take_in(request.stream, request.mimetype, known, g.actor, running)
        finally:
            while request.stream.read(_PIECE):
                pass  # a server that hangs up on what is still to come takes the answer with it
        with running.database.read() as session:
            return json_response(row_of(session.get_one(Bulk, bulk_id), session), 201)

    return endpoints


def _kind(name: str) -> Kind:
    try:
        return KINDS[BulkKind(name)]
    except ValueError:
        raise NotFound("kind of file") from None
