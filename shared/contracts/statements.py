"""What the statements service tells of the card accounts whose transactions it keeps."""

from datetime import date, datetime
from typing import Annotated

from shared.contracts.accounts import PaymentStatus
from shared.contracts.base import Message, event
from shared.contracts.types import AccountId, Currency, Note


@event("statements")
class AccountStandingChanged(Message):
    """A posting, a payment or the passing of time changed how a card account stands; the latest one alone counts."""

    account_id: AccountId
    as_of: datetime
    balance: Annotated[int, Note("in minor units; what the holder or the company owes")]
    currency: Currency
    payment_status: PaymentStatus
    last_used_on: Annotated[date | None, Note("the day of the latest purchase or cash advance")] = None
    nil_since: Annotated[date | None, Note("since when the balance is nil; null while it is not")] = None
