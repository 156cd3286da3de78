"""Opening card accounts."""

from typing import Any

from services.accounts.contact import checked_contact
from services.accounts.issuer import IssuerSimulator
from services.accounts.model import Card, CardAccount, ControlAccount
from services.accounts.rules import check_accounting, check_product, embossed
from services.accounts.settings import settings_at
from services.accounts.vault import vault_of
from shared.contracts.accounts import (
    AccountingField,
    AccountOpened,
    AccountStatus,
    HolderField,
    OpenAccount,
    PaymentStatus,
)
from shared.contracts.structure import Level
from shared.errors import Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction

issuer = IssuerSimulator()


def open_account(command: OpenAccount, tx: Transaction) -> dict[str, Any]:
    """Open a card account under a basic control account and have its first card made."""
    node = basic_control_account(command.control_account, tx)
    settings = settings_at(node, tx)
    check_product(command.product, settings, "product")
    accounting = {field.value: getattr(command, field) for field in AccountingField}
    check_accounting(accounting, accounting, settings)
    contact = {field.value: getattr(command, field) for field in HolderField}
    contact |= checked_contact({field: value for field, value in contact.items() if value is not None}, {})
    account = CardAccount(
        id=new_id("acc"), control_account=node.number, product=command.product, opened_at=tx.now, version=0,
        status=AccountStatus.ACTIVE, payment_status=PaymentStatus.CURRENT,
        **accounting, **contact,
    )  # fmt: skip
    account.rename(
        command.first_name,
        command.last_name,
        command.embossed_name or embossed(command.first_name, command.last_name),
    )
    tx.add(account)
    tx.session.add(_new_card(account, tx))
    tx.publish(
        AccountOpened(
            account_id=account.id, control_account=node.number, product=account.product, first_name=account.first_name,
            last_name=account.last_name, embossed_name=account.embossed_name,
        ),
        subject=account.id,
    )  # fmt: skip
    return {"account_id": account.id}


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


def _new_card(account: CardAccount, tx: Transaction) -> Card:
    plastic = issuer.make_card(tx.now.date())
    vault, card_id = vault_of(tx.settings), new_id("crd")
    return Card(
        id=card_id, account_id=account.id, number_encrypted=vault.encrypt(plastic.number, card_id),
        number_hash=vault.hash(plastic.number), last_four=plastic.number[-4:], issued_on=plastic.issued_on,
        expires_on=plastic.expires_on, live=True,
    )  # fmt: skip
