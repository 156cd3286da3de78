"""Statements as files: the statements service writes them, accounts knows whom they go to."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Response, request

from services.gateway.entrance import Entrance
from services.gateway.upstream import Upstream
from shared.actor import Actor
from shared.contracts.accounts import GetAccount
from shared.contracts.papers import PaperForm
from shared.contracts.schema import strict
from shared.contracts.statements import GetStatement, ListStatementTransactions
from shared.contracts.structure import GetControlAccount
from shared.contracts.types import Language
from shared.errors import Rejected
from shared.rights import may_send

_ADDRESS = ("address_line_1", "address_line_2", "address_line_3")


def paper_routes(entrance: Entrance, upstreams: Mapping[str, Upstream]) -> Blueprint:
    """Return ``GET /statements/{statement_id}.pdf``, and the same as CSV and XLSX (STM-01, STM-07)."""
    blueprint = Blueprint("papers", __name__)
    statements, accounts = upstreams["statements"], upstreams["accounts"]

    def paper(statement_id: str, form: PaperForm) -> Response:
        actor = entrance.visitor(entrance.session()).actor
        for read in (GetStatement, ListStatementTransactions):
            entrance.check_function(read.contract, actor)
            question = strict(read).load({"statement_id": statement_id})
            entrance.check_places(read.contract, actor, entrance.look_up(read.contract, question))
        asked: dict[str, Any] = {"form": form, "language": _language()}
        made = statements.get(f"/statements/{statement_id}", {}, actor)
        addressee = _addressee(made, accounts, actor)
        if addressee:
            asked["addressee"] = addressee
        content = statements.fetch(f"/statements/{statement_id}/paper", asked, actor)
        answer = Response(content, content_type=form.media_type)
        answer.headers["Content-Disposition"] = f'attachment; filename="{statement_id}.{form}"'
        return answer

    for form in PaperForm:
        blueprint.add_url_rule(
            f"/statements/<statement_id>.{form}", f"statement-as-{form}", partial(paper, form=form)
        )
    return blueprint


def _language() -> Language:
    wanted = request.args.get("language", Language.ENGLISH)
    try:
        return Language(wanted)
    except ValueError:
        known = ", ".join(Language)
        raise Rejected("unknown_language", f"Statements are written in {known}.", "language") from None


def _addressee(made: Mapping[str, Any], accounts: Upstream, actor: Actor) -> dict[str, Any] | None:
    """Return whom the statement goes to, as far as the caller may see that."""
    if made["account_id"] is None:
        if not may_send(actor, GetControlAccount.contract):
            return None
        node = accounts.get(f"/control-accounts/{made['control_account']}", {}, actor)
        named = (node["company_name"], node["name"], node["contact"])
        return {"lines": list(dict.fromkeys(filter(None, named)))}
    if not may_send(actor, GetAccount.contract):
        return None
    holder = accounts.get(f"/accounts/{made['account_id']}", {}, actor)
    city = " ".join(filter(None, (holder["postcode"], holder["city"])))
    lines = (holder["full_name"], holder["company_name"], *(holder[name] for name in _ADDRESS), city)
    return {
        "lines": list(filter(None, lines)),
        **({"country": holder["country"]} if holder["country"] else {}),
    }
