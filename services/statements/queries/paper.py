"""Everything that the paper of a statement shows, as it was at the closing: one printed later shows the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import card_account, card_number, posting, statement
from services.statements.queries.statements import one_statement
from services.statements.rules import ageing_of
from shared.contracts.statements import Ageing
from shared.messaging.transaction import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A statement with its lines; ``made`` is its row, a line is a row of what was posted and of whose account it is.

    ``holder`` is None on the statement of a centrally billed control account.
    """

    made: Any
    lines: Sequence[Any]
    ageing: Ageing
    holder: str | None
    last_four: str | None
    employee_id: str | None
    cost_centre: str | None


def paper_of(statement_id: str, reader: Reader) -> Paper:
    """Return what stands on a statement that the caller may see; raises NotFound."""
    made = one_statement(statement_id, reader)
    account = card_account.c
    owner = reader.session.execute(sa.select(card_account).where(account.id == made.account_id)).one_or_none()
    return Paper(
        made=made,
        lines=_lines(made, reader.session),
        ageing=_ageing(made, reader.session),
        holder=f"{owner.first_name} {owner.last_name}" if owner else None,
        last_four=_last_four(made.account_id, reader.session),
        employee_id=owner.employee_id if owner else None,
        cost_centre=owner.cost_centre if owner else None,
    )


def _lines(made: Any, session: orm.Session) -> Sequence[Any]:
    account = card_account.c
    shown = (
        sa.select(posting, account.first_name, account.last_name, account.embossed_name)
        .outerjoin(card_account, account.id == posting.c.account_id)
        .where(posting.c.ledger_account == made.ledger_account, posting.c.cycle == made.cycle)
    )
    if made.account_id is None:
        shown = shown.order_by(account.name_key, posting.c.account_id)
    return session.execute(shown.order_by(posting.c.transacted_on, posting.c.posted_on, posting.c.id)).all()


def _ageing(made: Any, session: orm.Session) -> Ageing:
    """Return how old was at the closing what was owed then."""
    earlier = sa.select(statement.c.due_on, statement.c.debits_to_date).where(
        statement.c.ledger_account == made.ledger_account, statement.c.cycle <= made.cycle
    )
    debts = [(due_on, debits) for due_on, debits in session.execute(earlier.order_by(statement.c.cycle))]
    paid = made.debits_to_date - made.balance
    return ageing_of(debts, paid, made.closed_on)


def _last_four(account_id: str | None, session: orm.Session) -> str | None:
    """Return the end of the card's number where the account only ever had one: which one it had then is not kept here."""
    numbers = sa.select(card_number.c.last_four).where(card_number.c.account_id == account_id)
    found = session.scalars(numbers).all() if account_id else []
    return found[0] if len(found) == 1 else None
