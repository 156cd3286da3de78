"""Telling of payments, however they came: by a request, or in a file."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from shared.contracts.statements import PaymentPosted
from shared.messaging.transaction import Transaction


def tell_payment(row: Mapping[str, Any] | sa.RowMapping, tx: Transaction) -> None:
    """Tell of a payment that was posted from this row (see `ledger.COLUMNS`)."""
    tx.publish(
        PaymentPosted(
            transaction_id=row["id"], account_id=row["account_id"], control_account=row["control_account"],
            amount=-row["amount"], currency=row["currency"], received_on=row["transacted_on"],
        ),
        subject=row["account_id"] or row["control_account"],
    )  # fmt: skip
