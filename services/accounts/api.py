"""What the gateway asks accounts besides its reads: where in the structure a thing lies."""

from flask import Blueprint, Response, g

from services.accounts.queries import account_paths, control_account_paths
from shared.actor import Party
from shared.service import Running
from shared.web.app import json_body, json_response
from shared.web.problems import function_not_granted

_MOST_IDS = 1000


def endpoints(running: Running) -> Blueprint:
    """Return ``POST /scopes``: ids by kind in, the control accounts above each out; what does not exist is left out."""
    blueprint = Blueprint("scopes", __name__)

    @blueprint.post("/scopes")
    def scopes() -> Response:
        if g.actor.party is not Party.SYSTEM:
            raise function_not_granted("scopes")
        asked = json_body()
        accounts, nodes = asked.get("account", [])[:_MOST_IDS], asked.get("control_account", [])[:_MOST_IDS]
        with running.database.read() as session:
            found = {
                "account": account_paths(session, accounts) if accounts else {},
                "control_account": control_account_paths(session, nodes) if nodes else {},
            }
        return json_response(found)

    return blueprint
