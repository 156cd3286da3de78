"""Cancelling card accounts (ACC-10)."""

from services.accounts.model import CardAccount
from services.accounts.rules import check_comment
from shared.contracts.accounts import (
    AccountCancelled,
    CancelAccount,
)
from shared.messaging.transaction import Transaction


def cancel_account(command: CancelAccount, tx: Transaction) -> None:
    """Cancel a card account in real time (ACC-10)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    check_comment(command.reason, command.comment)
    account.cancel(reason=command.reason, now=tx.now)
    tx.publish(
        AccountCancelled(
            account_id=account.id, control_account=account.control_account, reason=command.reason
        ),
        subject=account.id,
    )
