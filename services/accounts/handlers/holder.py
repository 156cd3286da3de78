"""What a card account says of its holder and of how the company books it (ACC-08, ACC-16)."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from services.accounts.contact import checked_contact
from services.accounts.embossing import embossed
from services.accounts.model import CardAccount
from services.accounts.rules import check_accounting
from services.accounts.settings import settings_at
from shared.actor import Party
from shared.contracts.accounts import (
    AccountHolderChanged,
    AccountingChanged,
    AccountingField,
    ChangeAccounting,
    ChangeHolder,
    HolderField,
)
from shared.errors import Rejected
from shared.messaging.transaction import Transaction

_NAMES = ("first_name", "last_name", "embossed_name")


def change_holder(command: ChangeHolder, tx: Transaction) -> None:
    """Change address, phones and e-mail, and the names where the issuer asks (ACC-08)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    names = {name: value for name in _NAMES if (value := getattr(command, name)) is not None}
    if names and tx.actor.party is not Party.ISSUER:
        raise Rejected("name_is_the_issuers", "Only the issuer changes a holder's name.", next(iter(names)))
    given = _given(command, HolderField)
    cleared = _cleared(given, command.clear, also=names)
    known = {field.value: None if field in cleared else getattr(account, field) for field in HolderField}
    changes = {**checked_contact(given, known), **dict.fromkeys(cleared)}
    first, last = names.get("first_name", account.first_name), names.get("last_name", account.last_name)
    on_card = names.get("embossed_name") or (embossed(first, last) if names else account.embossed_name)
    _set(account, changes)
    account.rename(first, last, on_card)
    tx.publish(
        AccountHolderChanged(
            account_id=account.id, control_account=account.control_account, first_name=account.first_name,
            last_name=account.last_name, embossed_name=account.embossed_name, email=account.email,
            version=account.version + 1,
        ),
        subject=account.id,
    )  # fmt: skip


def change_accounting(command: ChangeAccounting, tx: Transaction) -> None:
    """Change the fields by which the company books what is spent, as its control account wants them (ACC-16)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    given = _given(command, AccountingField)
    changes = {**given, **dict.fromkeys(_cleared(given, command.clear))}
    after = {field.value: changes.get(field, getattr(account, field)) for field in AccountingField}
    check_accounting(given, after, settings_at(account.structure, tx))
    _set(account, changes)
    tx.publish(accounting_of(account), subject=account.id)


def accounting_of(account: CardAccount) -> AccountingChanged:
    """Return the news of how an account is booked, once the change in hand is done."""
    return AccountingChanged(
        account_id=account.id, control_account=account.control_account, employee_id=account.employee_id,
        cost_centre=account.cost_centre, universal_number=account.universal_number, version=account.version + 1,
    )  # fmt: skip


def _given(command: Any, fields: type[StrEnum]) -> dict[str, str]:
    return {str(field): value for field in fields if (value := getattr(command, field)) is not None}


def _cleared(
    given: Mapping[str, str], clear: Iterable[StrEnum] | None, *, also: Mapping[str, str] | None = None
) -> set[str]:
    """Return the fields to empty; raises Rejected where one is to be set as well, or where nothing is to be done."""
    cleared = {str(field) for field in clear or ()}
    if not (given or cleared or also):
        raise Rejected("nothing_to_change", "Say what is to be changed.")
    both = sorted(cleared & given.keys())
    if both:
        raise Rejected("set_and_cleared", f"The {both[0]} cannot be set and emptied at once.", both[0])
    return cleared


def _set(account: CardAccount, changes: Mapping[str, str | None]) -> None:
    for field, value in changes.items():
        setattr(account, field, value)
