"""Building and rebuilding a company's structure (PRG-01).

Whoever changes the structure has it alone until the commit: what is read of it then is how it stands. Whoever changes
card accounts asks nobody: an account knows the control account above it, and where that lies is looked up.
"""

from typing import Any

import sqlalchemy as sa

from services.accounts.model import ControlAccount, change
from services.accounts.settings import own_settings, set_own
from shared.contracts.structure import (
    ControlAccountMoved,
    ControlAccountOpened,
    ControlAccountSettingsChanged,
    Level,
    MoveControlAccount,
    OpenControlAccount,
    Setting,
)
from shared.database import is_postgresql
from shared.errors import Rejected
from shared.history import note_change
from shared.messaging.transaction import Transaction

_PARENT_OF = {Level.MASTER: None, Level.INTERMEDIATE: Level.MASTER, Level.BASIC: Level.INTERMEDIATE}
_LOCKED = "structure locked"


def open_control_account(command: OpenControlAccount, tx: Transaction) -> dict[str, Any]:
    """Add a node under its parent, or a master with a new company (PRG-01)."""
    lock_structure(tx)
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
        company_name=company_name, company_number=company_number, version=0,
    )  # fmt: skip
    set_own(node, {setting: getattr(command, setting) for setting in Setting})
    tx.add(node)
    tx.session.flush()  # a child in the same batch must find it
    tx.publish(
        ControlAccountOpened(number=node.number, parent=node.parent, level=node.level), subject=node.number
    )
    if any(value is not None for value in own_settings(node).values()):
        tx.publish(
            ControlAccountSettingsChanged(number=node.number, version=1, **own_settings(node)),
            subject=node.number,
        )
    return {"number": node.number}


def move_control_account(command: MoveControlAccount, tx: Transaction) -> dict[str, Any]:
    """Put a node with all below it under another parent; the company follows (PRG-01)."""
    lock_structure(tx)
    node = tx.one(ControlAccount, command.number, "number")
    parent = tx.one(ControlAccount, command.parent, "parent")
    if node.parent is None:
        raise Rejected("master_stays", "A master control account lies under no other.", "number")
    _check_level(parent, node.level)
    if node.parent == parent.number:
        raise Rejected("already_there", "The control account lies under this parent already.", "parent")
    former_parent, former_path, former_company = node.parent, node.path, _company_of(node)
    node.parent, node.path = parent.number, f"{parent.path}/{node.number}"
    node.company_name, node.company_number = parent.company_name, parent.company_number
    _take_along(node, former_path, former_company, tx)
    tx.publish(
        ControlAccountMoved(
            number=node.number, parent=parent.number, former_parent=former_parent, level=node.level,
            company_name=node.company_name, company_number=node.company_number, version=node.version + 1,
        ),
        subject=node.number,
    )  # fmt: skip
    return {"number": node.number, "path": list(node.control_path)}


def lock_structure(tx: Transaction) -> None:
    """Let nobody else change the structure until the commit, and see it as it stands now.

    Only SQLite locks by itself. On PostgreSQL others go on reading, and opening card accounts.
    """
    session = tx.session
    if session.info.get(_LOCKED):
        return
    if is_postgresql(session):
        session.execute(sa.text("lock table control_account in share row exclusive mode"))
    session.info[_LOCKED] = True
    _refresh(tx)


def _parent_of(command: OpenControlAccount, tx: Transaction) -> ControlAccount | None:
    if _PARENT_OF[command.level] is None:
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
    _check_level(parent, command.level)
    return parent


def _check_level(parent: ControlAccount, level: Level) -> None:
    """Raise Rejected where a node of this level cannot lie under a parent; so no node ever lies under itself."""
    wanted = _PARENT_OF[level]
    if parent.level is not wanted:
        raise Rejected(
            "wrong_parent_level", f"The parent must be at {wanted} level; it is {parent.level}.", "parent"
        )


def _company_of(node: ControlAccount) -> dict[str, str]:
    return {"company_name": node.company_name, "company_number": node.company_number}


def _take_along(
    node: ControlAccount, former_path: str, former_company: dict[str, str], tx: Transaction
) -> None:
    """Rewrite the paths and the company of all that lies below a node which moved."""
    tx.session.flush()
    below = ControlAccount.path.startswith(f"{former_path}/", autoescape=True)
    rest = sa.func.substr(ControlAccount.path, len(former_path) + 1)
    company = _company_of(node)
    moving = (
        sa.update(ControlAccount)
        .where(below)
        .values(path=sa.literal(node.path) + rest, **company)
        .returning(ControlAccount.number)
        .execution_options(synchronize_session=False)
    )
    for number in tx.session.scalars(moving).all():
        for field, name in company.items():
            if name != former_company[field]:
                note_change(tx, change, number, field, former_company[field], name)
    _refresh(tx)


def _refresh(tx: Transaction) -> None:
    """Read again what the session knows of the structure."""
    tx.session.flush()
    known = [one.number for one in tx.session.identity_map.values() if isinstance(one, ControlAccount)]
    if known:
        again = sa.select(ControlAccount).where(ControlAccount.number.in_(known))
        tx.session.scalars(again.execution_options(populate_existing=True)).all()
