"""Cancelling card accounts, at once or later, and taking that back in time (ACC-10, ACC-12)."""

from services.accounts.cancellations import cancel, schedule, take_back
from services.accounts.model import Cancellation, CardAccount
from services.accounts.rules import cancellation_time, check_comment
from shared.contracts.accounts import CancelAccount, WithdrawCancellation
from shared.contracts.outcomes import RequestStatus
from shared.errors import Rejected
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


def withdraw_cancellation(command: WithdrawCancellation, tx: Transaction) -> None:
    """Take back what is scheduled for an account; that of a file's row has no other way back, as its request has ended."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    scheduled = tx.session.get(Cancellation, account.id)
    if scheduled is None:
        raise Rejected("nothing_scheduled", "No cancellation of this card account is to come.", "account_id")
    take_back(scheduled, tx)
