"""What is owed of which statement; the oldest debt is paid first, so nothing needs to be kept of what paid what."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import ledger_account, statement


def statements_of(ledger_account_id: str, session: orm.Session) -> list[tuple[date, int]]:
    """Return the due date of each statement that is not paid in full, and all debits up to it, the oldest first."""
    paid = ledger_account.c.credits + ledger_account.c.payments
    found = (
        sa.select(statement.c.due_on, statement.c.debits_to_date)
        .join(ledger_account, ledger_account.c.id == statement.c.ledger_account)
        .where(statement.c.ledger_account == ledger_account_id, statement.c.debits_to_date > paid)
        .order_by(statement.c.cycle)
    )
    return [(due_on, debits) for due_on, debits in session.execute(found)]
