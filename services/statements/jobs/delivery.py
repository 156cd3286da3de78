"""Telling holders in writing that their statements come online only (STM-04)."""

import sqlalchemy as sa

from services.statements.model import card_account, paper_off_due
from shared.contracts.statements import PaperStatementsEnded
from shared.contracts.types import Language
from shared.messaging.transaction import Transaction

TELL_PAPER_OFF = "tell-paper-off"
_TOLD_AT_ONCE = 500


def tell_paper_off(tx: Transaction) -> int:
    """Tell of the next holders who get no paper any more, and return how many; each is told of by one worker."""
    some = (
        sa.select(card_account, paper_off_due.c.language)
        .join(paper_off_due, paper_off_due.c.account_id == card_account.c.id)
        .limit(_TOLD_AT_ONCE)
        .with_for_update(of=paper_off_due, skip_locked=True)
    )
    holders = tx.session.execute(some).all()
    told_of = [holder.id for holder in holders]
    tx.session.execute(sa.delete(paper_off_due).where(paper_off_due.c.account_id.in_(told_of)))
    for holder in holders:
        told = PaperStatementsEnded(
            account_id=holder.id, control_account=holder.control_account, first_name=holder.first_name,
            last_name=holder.last_name, email=holder.email,
            language=Language(holder.language),
        )  # fmt: skip
        tx.publish(told, subject=holder.id)
    if len(holders) == _TOLD_AT_ONCE:
        tx.wake(TELL_PAPER_OFF)
    return len(holders)
