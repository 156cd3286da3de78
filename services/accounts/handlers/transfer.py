"""Transferring card accounts to another basic control account (ACC-15)."""

from services.accounts.handlers.holder import accounting_of
from services.accounts.handlers.opening import basic_control_account
from services.accounts.model import CardAccount
from services.accounts.rules import check_accounting, check_product
from services.accounts.settings import settings_at
from shared.contracts.accounts import AccountingField, AccountTransferred, TransferAccount
from shared.contracts.structure import FieldUse
from shared.errors import Rejected
from shared.messaging.transaction import Transaction


def transfer_account(command: TransferAccount, tx: Transaction) -> None:
    """Hang an account under another basic control account; what does not exist there is emptied (ACC-15)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    target = basic_control_account(command.control_account, tx)
    if target.number == account.control_account:
        raise Rejected(
            "already_there", "The card account hangs under this control account already.", "control_account"
        )
    settings = settings_at(target, tx)
    check_product(account.product, settings, "control_account")
    given = {field.value: getattr(command, field) for field in AccountingField}
    kept = {
        field.value: None if getattr(settings, field) is FieldUse.ABSENT else getattr(account, field)
        for field in AccountingField
    }
    after = {field: given[field] or kept[field] for field in given}
    check_accounting(given, after, settings)
    changed = any(getattr(account, field) != value for field, value in after.items())
    former = account.control_account
    account.hang_under(target)
    for field, value in after.items():
        setattr(account, field, value)
    tx.publish(
        AccountTransferred(
            account_id=account.id, control_account=target.number, former_control_account=former,
            version=account.version + 1,
        ),
        subject=account.id,
    )  # fmt: skip
    if changed:
        tx.publish(accounting_of(account), subject=account.id)
