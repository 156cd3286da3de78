"""Posting transactions and payments that the issuer sends; what was seen before posts nothing (Part 2 no. 13)."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from services.statements import ledger
from services.statements.model import posting
from services.statements.payments import tell_payment
from services.statements.queries.billing import Billed, billed_accounts, centrally_billed
from services.statements.rules import CREDITS, counter_of
from shared.contracts.statements import (
    NewPayment,
    NewTransaction,
    PostPayments,
    PostTransactions,
    TransactionKind,
)
from shared.contracts.types import Money
from shared.days import day_of
from shared.errors import NotFound, Rejected
from shared.folding import fold_name
from shared.ids import new_id
from shared.messaging.transaction import Transaction

TRANSACTIONS, PAYMENTS = "api", "api-payments"
"""The sources as which a key that comes with a request counts."""


def post_transactions(command: PostTransactions, tx: Transaction) -> dict[str, Any]:
    """Post purchases, cash advances, refunds and fees, all or none."""
    accounts = billed_accounts(tx.session, {one.account_id for one in command.transactions})
    rows = []
    for place, one in enumerate(command.transactions):
        field = f"transactions/{place}"
        billed = _may_post(accounts.get(one.account_id), tx, "card account", f"{field}/account_id")
        _check_amount(one.amount, billed, f"{field}/amount")
        _check_day(one.transacted_on, tx, f"{field}/transacted_on")
        rows.append(_transaction(one, billed, tx))
    return _posted(rows, TRANSACTIONS, post(rows, tx), tx)


def post_payments(command: PostPayments, tx: Transaction) -> dict[str, Any]:
    """Post money received, all or none; each payment that is new is told."""
    accounts = billed_accounts(tx.session, {one.account_id for one in command.payments if one.account_id})
    central = centrally_billed(
        tx.session, {one.control_account for one in command.payments if one.control_account}
    )
    rows = []
    for place, one in enumerate(command.payments):
        field = f"payments/{place}"
        billed = _payer(one, accounts, central, field, tx)
        _check_amount(one.amount, billed, f"{field}/amount")
        _check_day(one.received_on, tx, f"{field}/received_on")
        rows.append(
            row_of(
                TransactionKind.PAYMENT, one.amount.amount, billed, tx,
                transacted_on=one.received_on, source=PAYMENTS, source_key=one.source_key,
            )
        )  # fmt: skip
    new = post(rows, tx)
    for row in rows:
        if row["id"] in new:
            tell_payment(row, tx)
    return _posted(rows, PAYMENTS, new, tx)


def row_of(
    kind: TransactionKind, amount: int, billed: Billed, tx: Transaction, **more: Any
) -> dict[str, Any]:
    """Return a row to post; ``amount`` is what is owed more, or less where the kind is a credit."""
    return {
        "id": new_id("txn"),
        "account_id": billed.account_id,
        "control_account": billed.control_account,
        "ledger_account": billed.ledger_account,
        "counter": None if kind is TransactionKind.CORRECTION else counter_of(kind, billed.currency),
        "kind": kind.value,
        "amount": -amount if kind in CREDITS else amount,
        "currency": billed.currency,
        "posted_on": day_of(tx.now, tx.settings.time_zone),
        "command_id": tx.envelope.correlation_id,
        **more,
    }


def post(rows: Sequence[Mapping[str, Any]], tx: Transaction) -> frozenset[str]:
    """Post rows, have the standings told, and return the ids of the rows that were new."""
    tx.wake(ledger.TELL_STANDINGS)
    return frozenset(ledger.post(tx.session, rows, tx.now))


def _transaction(one: NewTransaction, billed: Billed, tx: Transaction) -> dict[str, Any]:
    return row_of(
        TransactionKind(one.kind), one.amount.amount, billed, tx,
        original_amount=one.original and one.original.amount, original_currency=one.original and one.original.currency,
        rate=one.rate, merchant=one.merchant, merchant_key=one.merchant and fold_name(one.merchant)[:100],
        merchant_category=one.merchant_category, city=one.city, country=one.country, transacted_on=one.transacted_on,
        cost_centre=one.cost_centre or billed.cost_centre, ledger_code=one.ledger_code, purpose=one.purpose,
        source=TRANSACTIONS, source_key=one.source_key,
    )  # fmt: skip


def _payer(
    one: NewPayment,
    accounts: Mapping[str, Billed],
    central: Mapping[str, Billed],
    field: str,
    tx: Transaction,
) -> Billed:
    if bool(one.account_id) == bool(one.control_account):
        raise Rejected(
            "one_payer", "Name the card account or the control account that the payment is for.", field
        )
    if one.account_id:
        return _may_post(accounts.get(one.account_id), tx, "card account", f"{field}/account_id")
    found = central.get(one.control_account or "")
    return _may_post(found, tx, "centrally billed control account", f"{field}/control_account")


def _may_post(billed: Billed | None, tx: Transaction, noun: str, field: str) -> Billed:
    if billed is None or not (tx.function and tx.actor.covers(tx.function, billed.path)):
        raise NotFound(noun, field)
    return billed


def _check_amount(amount: Money, billed: Billed, field: str) -> None:
    if amount.amount <= 0:
        raise Rejected(
            "amount_not_positive", "The amount must be above zero; its kind says which way it goes.", field
        )
    check_currency(amount, billed, field)


def check_currency(amount: Money, billed: Billed, field: str) -> None:
    """Raise Rejected where an amount is not in the currency of the account."""
    if amount.currency != billed.currency:
        raise Rejected(
            "wrong_currency", f"This account is billed in {billed.currency}, not in {amount.currency}.", field
        )


def _check_day(day: date, tx: Transaction, field: str) -> None:
    if day > day_of(tx.now, tx.settings.time_zone):
        raise Rejected("date_in_future", "This day is yet to come.", field)


def _posted(
    rows: Sequence[Mapping[str, Any]], source: str, new: frozenset[str], tx: Transaction
) -> dict[str, Any]:
    """Return what became of each row: posted now, or seen before, and then under which id."""
    old = {row["source_key"] for row in rows if row["id"] not in new}
    known: dict[str, str] = {}
    if old:
        seen = sa.select(posting.c.source_key, posting.c.id).where(
            posting.c.source == source, posting.c.source_key.in_(old)
        )
        known = {row.source_key: row.id for row in tx.session.execute(seen)}
    return {
        "posted": len(new),
        "seen": len(rows) - len(new),
        "items": [
            {
                "source_key": row["source_key"],
                "transaction_id": row["id"] if row["id"] in new else known[row["source_key"]],
                "posted": row["id"] in new,
            }
            for row in rows
        ],
    }
