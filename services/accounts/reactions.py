"""What accounts hears of other services: how a card account stands, by which it is found (ACC-05, ACC-21, ACC-22)."""

import sqlalchemy as sa

from services.accounts.model import CardAccount
from shared.contracts.statements import AccountStandingChanged
from shared.messaging.transaction import Transaction


def note_standing(event: AccountStandingChanged, tx: Transaction) -> None:
    """Keep how an account stands, unless something later is known already: events may overtake each other."""
    newer = sa.or_(CardAccount.standing_as_of.is_(None), CardAccount.standing_as_of < event.as_of)
    tx.session.execute(
        sa.update(CardAccount)
        .where(CardAccount.id == event.account_id, newer)
        .values(
            balance=event.balance,
            currency=event.currency,
            payment_status=event.payment_status,
            last_used_on=event.last_used_on,
            nil_since=event.nil_since,
            standing_as_of=event.as_of,
        ),
        execution_options={"synchronize_session": False},
    )
