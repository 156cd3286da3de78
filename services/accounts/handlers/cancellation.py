"""Cancelling card accounts, at once or later (ACC-10, ACC-12)."""

from services.accounts.cancellations import cancel, schedule
from services.accounts.model import CardAccount
from services.accounts.rules import cancellation_time, check_comment
from shared.contracts.accounts import CancelAccount
from shared.contracts.outcomes import RequestStatus
from shared.messaging.transaction import Transaction


def cancel_account(command: CancelAccount, tx: Transaction) -> None:
    """Cancel a card account, in real time unless another time is asked for."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    check_comment(command.reason, command.comment)
    effective_at = cancellation_time(command.effective_at, tx.now)
    if effective_at > tx.now:
        schedule(account, command.reason, effective_at, tx)
        tx.finish_later(RequestStatus.SCHEDULED)
    else:
        cancel(account, command.reason, tx)
