"""Building a company's structure (PRG-01)."""

from typing import Any

from services.accounts.model import ControlAccount
from shared.contracts.structure import ControlAccountOpened, Level, OpenControlAccount
from shared.errors import Rejected
from shared.messaging.transaction import Transaction

_PARENT_OF = {Level.MASTER: None, Level.INTERMEDIATE: Level.MASTER, Level.BASIC: Level.INTERMEDIATE}


def open_control_account(command: OpenControlAccount, tx: Transaction) -> dict[str, Any]:
    """Add a node under its parent, or a master with a new company (PRG-01)."""
    parent = _parent_of(command, tx)
    if tx.session.get(ControlAccount, command.number):
        raise Rejected("number_taken", f"There is a control account {command.number} already.", "number")
    company_name = parent.company_name if parent else command.company_name
    company_number = parent.company_number if parent else command.company_number
    if not company_name or not company_number:
        raise Rejected(
            "company_required",
            "A master control account needs the company's name and number.",
            "company_name",
        )
    node = ControlAccount(
        number=command.number, name=command.name, level=command.level, parent=command.parent, contact=command.contact,
        path=f"{parent.path}/{command.number}" if parent else command.number,
        company_name=company_name, company_number=company_number,
    )  # fmt: skip
    tx.session.add(node)
    tx.session.flush()  # a child in the same batch must find it
    tx.publish(
        ControlAccountOpened(number=node.number, parent=node.parent, level=node.level), subject=node.number
    )
    return {"number": node.number}


def _parent_of(command: OpenControlAccount, tx: Transaction) -> ControlAccount | None:
    wanted = _PARENT_OF[command.level]
    if wanted is None:
        if command.parent:
            raise Rejected("parent_not_allowed", "A master control account has no parent.", "parent")
        if not tx.actor.everywhere("control-accounts.open"):
            raise Rejected(
                "function_not_granted", "Only the issuer can open a master control account.", "level"
            )
        return None
    if not command.parent:
        raise Rejected(
            "parent_required", f"A control account at {command.level} level needs a parent.", "parent"
        )
    parent = tx.one(ControlAccount, command.parent, "parent")
    if parent.level is not wanted:
        raise Rejected(
            "wrong_parent_level", f"The parent must be at {wanted} level; it is {parent.level}.", "parent"
        )
    return parent
