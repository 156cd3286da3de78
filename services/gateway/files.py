"""Files through the gateway: an upload goes through as it comes, a result file is made as it is fetched.

Neither is a command or a plain read, and no file is ever held in memory here.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, request, stream_with_context

from services.gateway.cells import cell
from services.gateway.entrance import Entrance
from services.gateway.upstream import Upstream
from shared.actor import Actor
from shared.contracts.base import Contract, catalogue
from shared.contracts.bulk import BulkKind, ListBulkItems
from shared.errors import NOT_FOUND
from shared.settings import Settings
from shared.web.app import json_response, load_input
from shared.web.problems import Problem

_COLUMNS = ("row", "account_id", "outcome", "code", "column", "message")
_MOST_ROWS = 500


def file_routes(entrance: Entrance, accounts: Upstream, settings: Settings) -> Blueprint:
    """Return ``POST /bulk/{kind}`` and ``GET /bulk/{bulk_id}/result`` (Part 2 no. 8)."""
    blueprint = Blueprint("files", __name__)
    submissions = _submissions()

    @blueprint.post("/bulk/<kind>")
    def upload(kind: str) -> Response:
        visitor = entrance.visitor(entrance.session())
        contract = submissions.get(kind)
        if contract is None:
            raise _no_such_kind(submissions)
        lender = request.args.get("on_behalf_of") if contract.lendable else None
        actor = visitor.acting_for(lender)
        entrance.check_function(contract, actor)
        length = _length(settings.bulk_bytes)
        found = accounts.upload(f"/bulk/{kind}", request.stream, length, request.mimetype, actor)
        return json_response(_with_links(found, contract), 201)

    @blueprint.get("/bulk/<bulk_id>/result")
    def result(bulk_id: str) -> Response:
        actor = entrance.visitor(entrance.session()).actor
        contract = ListBulkItems.contract
        entrance.check_function(contract, actor)
        question = load_input(contract, {"bulk_id": bulk_id})
        entrance.check_places(contract, actor, entrance.look_up(contract, question))
        first = _page(accounts, bulk_id, actor, None)
        answer = Response(
            stream_with_context(_lines(accounts, bulk_id, actor, first)),
            content_type="text/csv; charset=utf-8",
        )
        answer.headers["Content-Disposition"] = f'attachment; filename="{bulk_id}.csv"'
        return answer

    return blueprint


def _submissions() -> Mapping[str, Contract]:
    """Return the command that submits a file of each kind: whoever may send it may upload one."""
    routes = {contract.route: contract for contract in catalogue.commands("accounts")}
    return {kind.value: routes[f"/bulk/{kind}/{{bulk_id}}/submit"] for kind in BulkKind}


def _no_such_kind(known: Iterable[str]) -> Problem:
    return Problem(
        status=404, code=NOT_FOUND, title="There is no such kind of file.",
        detail=f"A file can hold: {', '.join(known)}.",
    )  # fmt: skip


def _length(most: int) -> int:
    """Let a file of at most ``most`` bytes through, and return how long this one is."""
    request.max_content_length = most
    length = request.content_length
    if length is None:
        raise Problem(
            status=411,
            code="length_required",
            title="Say how long the file is.",
            detail="Send its Content-Length.",
        )
    if length > most:
        raise Problem(
            status=413, code="file_too_large", title="The file is too large.",
            detail=f"A file may have at most {most} bytes: split it, and upload the parts.",
        )  # fmt: skip
    return length


def _with_links(bulk: dict[str, Any], contract: Contract) -> dict[str, Any]:
    here = f"/api/v1/bulk/{bulk['bulk_id']}"
    submit = "/api/v1" + (contract.route or "").format(bulk_id=bulk["bulk_id"])
    return {**bulk, "links": {"self": here, "items": f"{here}/items", "submit": submit}}


def _page(accounts: Upstream, bulk_id: str, actor: Actor, cursor: str | None) -> dict[str, Any]:
    criteria = {"limit": _MOST_ROWS, **({"cursor": cursor} if cursor else {})}
    page: dict[str, Any] = accounts.get(f"/bulk/{bulk_id}/items", criteria, actor)
    return page


def _lines(accounts: Upstream, bulk_id: str, actor: Actor, page: dict[str, Any]) -> Iterator[str]:
    """Make the result file page by page, each fetched when the one before has gone out."""
    yield _csv([_COLUMNS])
    while True:
        yield _csv([[cell(row[name]) for name in _COLUMNS] for row in page["data"]])
        if not page["next_cursor"]:
            return
        page = _page(accounts, bulk_id, actor, page["next_cursor"])


def _csv(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
