"""When a holder owes too much or too little: reminders of what is overdue, and credit balances paid out (ACC-19, STM-03)."""

from typing import Any

import sqlalchemy as sa

from services.statements.handlers.posting import check_currency, post, row_of
from services.statements.model import card_account, ledger_account, posting
from services.statements.queries.billing import Billed, billed_accounts
from services.statements.queries.debts import statements_of
from services.statements.rules import payment_status, unpaid
from shared.contracts.accounts import PaymentStatus
from shared.contracts.statements import (
    CreditBalanceRefunded,
    CreditOrigin,
    PaymentReminderAsked,
    RefundCreditBalance,
    SendPaymentReminder,
    TransactionKind,
)
from shared.days import day_of
from shared.errors import NotFound, Rejected
from shared.folding import fold_name
from shared.messaging.transaction import Transaction

SOURCE = "credit-refund"
_CREDITED_BY = {
    CreditOrigin.OVERPAYMENT: TransactionKind.PAYMENT,
    CreditOrigin.MISPOSTED_PAYMENT: TransactionKind.PAYMENT,
    CreditOrigin.MERCHANT_REFUND: TransactionKind.REFUND,
}


def refund_credit_balance(command: RefundCreditBalance, tx: Transaction) -> dict[str, Any]:
    """Pay out a credit balance, or a part of it, once holder and origin are as the asker says (STM-03)."""
    billed = _own(command.account_id, tx)
    check_currency(command.amount, billed, "amount")
    _verify_holder(command, tx)
    # Locked: two that are asked for at once must not both find the same credit.
    owed = tx.session.execute(
        sa.select(ledger_account).where(ledger_account.c.id == billed.ledger_account).with_for_update()
    ).one_or_none()
    credit = max(0, -owed.balance) if owed else 0
    if not 0 < command.amount.amount <= credit:
        raise Rejected("not_that_much_credit", f"There is a credit of {credit} in minor units.", "amount")
    _verify_origin(command, billed, tx)
    row = row_of(
        TransactionKind.CREDIT_REFUND, command.amount.amount, billed, tx,
        transacted_on=day_of(tx.now, tx.settings.time_zone), purpose=command.comment and command.comment[:250],
        source=SOURCE, source_key=tx.envelope.correlation_id,
    )  # fmt: skip
    post([row], tx)
    tx.publish(
        CreditBalanceRefunded(
            transaction_id=row["id"], account_id=command.account_id, control_account=billed.control_account,
            amount=command.amount.amount, currency=billed.currency, destination=command.destination,
        ),
        subject=command.account_id,
    )  # fmt: skip
    return {"transaction_id": row["id"]}


def send_payment_reminder(command: SendPaymentReminder, tx: Transaction) -> None:
    """Have the holder reminded of what is overdue (ACC-19)."""
    billed = _own(command.account_id, tx)
    today = day_of(tx.now, tx.settings.time_zone)
    owed = tx.session.execute(
        sa.select(ledger_account).where(ledger_account.c.id == billed.ledger_account)
    ).one_or_none()
    status = payment_status(owed.due_since if owed else None, today)
    if owed is None or status is PaymentStatus.CURRENT:
        raise Rejected("not_overdue", "Nothing is overdue on this account.", "account_id")
    holder = tx.session.execute(sa.select(card_account).where(card_account.c.id == command.account_id)).one()
    if not holder.email:
        raise Rejected("no_email", "No e-mail address of the holder is known.", "account_id")
    late = [(due_on, debits) for due_on, debits in statements_of(owed.id, tx.session) if due_on < today]
    tx.publish(
        PaymentReminderAsked(
            account_id=holder.id, control_account=billed.control_account, first_name=holder.first_name,
            last_name=holder.last_name, email=holder.email, overdue=unpaid(late, owed.credits + owed.payments, today),
            currency=owed.currency, due_since=owed.due_since, payment_status=status, comment=command.comment,
            language=command.language,
        ),
        subject=holder.id,
    )  # fmt: skip


def _own(account_id: str, tx: Transaction) -> Billed:
    """Return a card account that the actor may act on and that is billed itself."""
    billed = billed_accounts(tx.session, [account_id]).get(account_id)
    if billed is None or not tx.actor.covers(tx.function or "", billed.path):
        raise NotFound("card account", "account_id")
    if billed.ledger_account != account_id:
        raise Rejected(
            "billed_centrally",
            "This account is billed centrally: it has no balance of its own.",
            "account_id",
        )
    return billed


def _verify_holder(command: RefundCreditBalance, tx: Transaction) -> None:
    holder = tx.session.execute(sa.select(card_account).where(card_account.c.id == command.account_id)).one()
    if fold_name(command.last_name) != fold_name(holder.last_name):
        raise Rejected("holder_mismatch", "This is not the last name of the holder.", "last_name")
    if holder.employee_id != command.employee_id:
        raise Rejected("holder_mismatch", "This is not the employee ID of the holder.", "employee_id")


def _verify_origin(command: RefundCreditBalance, billed: Billed, tx: Transaction) -> None:
    kind = _CREDITED_BY[command.origin]
    found = sa.exists().where(
        posting.c.account_id == command.account_id,
        posting.c.ledger_account == billed.ledger_account,
        posting.c.kind == kind.value,
        posting.c.corrected_by.is_(None),
    )
    if not tx.session.scalar(sa.select(found)):
        raise Rejected("origin_not_found", f"No {kind} on this account could have made the credit.", "origin")
