"""Opening card accounts."""

from typing import Any

from services.accounts.contact import checked_contact
from services.accounts.model import ControlAccount, OrderAct
from services.accounts.opening import name_on_card
from services.accounts.orders import place_order
from services.accounts.rules import check_accounting, check_product
from services.accounts.settings import settings_at
from shared.contracts.accounts import AccountingField, HolderField, OpenAccount
from shared.contracts.outcomes import RequestStatus
from shared.contracts.schema import tolerant
from shared.contracts.structure import Level
from shared.errors import Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction


def open_account(command: OpenAccount, tx: Transaction) -> dict[str, Any]:
    """Have the issuer open a card account under a basic control account; it is there when the issuer has done so."""
    node = basic_control_account(command.control_account, tx)
    settings = settings_at(node, tx)
    check_product(command.product, settings, "product")
    accounting = {field.value: getattr(command, field) for field in AccountingField}
    check_accounting(accounting, accounting, settings)
    contact = {field.value: getattr(command, field) for field in HolderField}
    contact = checked_contact({field: value for field, value in contact.items() if value is not None}, {})
    asked = {**tolerant(OpenAccount).dump(command), **contact, "embossed_name": name_on_card(command)}
    account_id = new_id("acc")
    place_order(tx, OrderAct.OPEN, account_id, card_id=new_id("crd"), facts=asked)
    tx.finish_later(RequestStatus.PROCESSING)
    return {"account_id": account_id}


def basic_control_account(number: str, tx: Transaction) -> ControlAccount:
    """Return the control account of this number, under which card accounts can hang; raises Rejected."""
    node = tx.one(ControlAccount, number, "control_account")
    if node.level is not Level.BASIC:
        raise Rejected(
            "not_a_basic_control_account",
            "Card accounts hang under basic control accounts.",
            "control_account",
        )
    return node
