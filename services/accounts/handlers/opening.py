"""Opening card accounts."""

from typing import Any

from services.accounts.model import ControlAccount, OrderAct
from services.accounts.opening import name_on_card
from services.accounts.orders import place_order
from shared.contracts.accounts import OpenAccount
from shared.contracts.outcomes import RequestStatus
from shared.contracts.schema import tolerant
from shared.contracts.structure import Level
from shared.errors import Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction


def open_account(command: OpenAccount, tx: Transaction) -> dict[str, Any]:
    """Have the issuer open a card account under a basic control account; it is there when the issuer has done so."""
    node = tx.one(ControlAccount, command.control_account, "control_account")
    if node.level is not Level.BASIC:
        raise Rejected(
            "not_a_basic_control_account",
            "Card accounts hang under basic control accounts.",
            "control_account",
        )
    asked = {**tolerant(OpenAccount).dump(command), "embossed_name": name_on_card(command)}
    account_id = new_id("acc")
    place_order(tx, OrderAct.OPEN, account_id, card_id=new_id("crd"), facts=asked)
    tx.finish_later(RequestStatus.PROCESSING)
    return {"account_id": account_id}
