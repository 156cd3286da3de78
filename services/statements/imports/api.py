"""Uploading a file: no command, as it posts nothing that anybody could ask about (TRK-01)."""

from flask import Blueprint, Response, g, request

from services.statements.imports.layout import Layout
from services.statements.imports.layout_file import known_layouts, read_layout_file
from services.statements.imports.queries import import_row_of
from services.statements.imports.taking_in import take_in
from services.statements.layout_files import BadLayout
from shared.contracts.imports import PostImport
from shared.errors import NotFound, Rejected
from shared.service import Running
from shared.web.app import json_response
from shared.web.problems import function_not_granted

_PIECE = 64 * 1024


def import_endpoints(running: Running) -> Blueprint:
    """Return ``POST /imports/{layout}``, which takes the file itself as its body."""
    endpoints = Blueprint("imports", __name__)
    function = PostImport.contract.function or ""

    @endpoints.post("/imports/<name>")
    def upload(name: str) -> Response:
        if not g.actor.everywhere(function):
            raise function_not_granted(function)
        layout = _layout(name, running)
        request.max_content_length = running.settings.import_bytes
        try:
            import_id = take_in(
                request.stream,
                layout,
                running,
                uploaded_by=g.actor.user_id,
                file_name=request.args.get("file_name"),
                control_account=request.args.get("control_account"),
                mended="mended" in request.args,
            )
        finally:
            while request.stream.read(_PIECE):
                pass  # a server that hangs up on what is still to come takes the answer with it
        with running.database.read() as session:
            return json_response(import_row_of(import_id, session), 201)

    return endpoints


def _layout(name: str, running: Running) -> Layout:
    """Return a layout that is shipped or lies in the folder of the operator's own; a name never leads anywhere else."""
    file = known_layouts(running.settings.layouts_directory).get(name)
    if file is None:
        raise NotFound("layout")
    try:
        return read_layout_file(file)
    except BadLayout as error:
        raise Rejected("bad_layout", str(error)) from None
