"""A card account as it comes into being, once the issuer has opened it."""

from datetime import datetime

from services.accounts.embossing import embossed
from services.accounts.model import CardAccount
from shared.contracts.accounts import (
    AccountingField,
    AccountOpened,
    AccountStatus,
    HolderField,
    OpenAccount,
    PaymentStatus,
)

_FIELDS = tuple(field.value for field in (*AccountingField, *HolderField))


def name_on_card(command: OpenAccount) -> str:
    """Return the name for the plastic, made from the names where none is given."""
    return command.embossed_name or embossed(command.first_name, command.last_name)


def new_account(command: OpenAccount, account_id: str, now: datetime) -> CardAccount:
    """Return the account that was asked for."""
    account = CardAccount(
        id=account_id, control_account=command.control_account, product=command.product, opened_at=now, version=0,
        status=AccountStatus.ACTIVE, payment_status=PaymentStatus.CURRENT,
        **{name: getattr(command, name) for name in _FIELDS},
    )  # fmt: skip
    account.rename(command.first_name, command.last_name, name_on_card(command))
    return account


def opened(account: CardAccount) -> AccountOpened:
    """Return the news of it."""
    return AccountOpened(
        account_id=account.id, control_account=account.control_account, product=account.product,
        first_name=account.first_name, last_name=account.last_name, embossed_name=account.embossed_name,
        email=account.email, employee_id=account.employee_id, cost_centre=account.cost_centre,
        universal_number=account.universal_number,
    )  # fmt: skip
