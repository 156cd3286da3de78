"""How card accounts stand, told where it has changed: by a posting, or because a debt has grown older (ACC-21, ACC-22)."""

from typing import Any

import sqlalchemy as sa

from services.statements.ledger import TELL_STANDINGS
from services.statements.model import card_account, ledger_account, standing_due
from services.statements.queries.billing import BILLED_IN, SET_UP
from services.statements.rules import payment_status, status_begins
from shared.contracts.accounts import PaymentStatus
from shared.contracts.statements import AccountStandingChanged
from shared.database import insert, is_postgresql
from shared.days import day_of
from shared.messaging.transaction import Transaction

AGE_DEBTS = "age-debts"
TOLD_AT_ONCE = 500
_AGED_AT_ONCE = 5000


def tell_standings(tx: Transaction) -> int:
    """Tell how the next card accounts stand, and return how many; each is told by one worker.

    A mark is taken away before the account is read: whoever changes it meanwhile waits to set another one.
    """
    some = sa.select(standing_due.c.account_id).limit(TOLD_AT_ONCE).with_for_update(skip_locked=True)
    ids = tx.session.scalars(some).all()
    if not ids:
        return 0
    tx.session.execute(sa.delete(standing_due).where(standing_due.c.account_id.in_(ids)))
    today = day_of(tx.now, tx.settings.time_zone)
    statuses: dict[PaymentStatus, list[str]] = {}
    found = tx.session.execute(_standings().where(card_account.c.id.in_(ids))).all()
    for row in found:
        status = payment_status(row.due_since, today)
        tx.publish(_standing(row, status, tx), subject=row.id)
        if row.payment_status is not None and row.payment_status != status:
            statuses.setdefault(status, []).append(row.id)
    for status, changed in statuses.items():
        tx.session.execute(
            sa.update(ledger_account)
            .where(ledger_account.c.id.in_(changed))
            .values(payment_status=status.value)
        )
    if len(ids) == TOLD_AT_ONCE:
        tx.wake(TELL_STANDINGS)
    return len(found)


def age_debts(tx: Transaction) -> int:
    """Mark the accounts whose debts have grown into another bucket since they were told, and return how many (ACC-21)."""
    today = day_of(tx.now, tx.settings.time_zone)
    since = ledger_account.c.due_since
    status = sa.case(
        *((since <= begins, status.value) for status, begins in status_begins(today).items()),
        else_=PaymentStatus.CURRENT.value,
    )
    aged = (
        sa.select(ledger_account.c.id)
        .join(card_account, card_account.c.id == ledger_account.c.id)
        .where(since.is_not(None), ledger_account.c.payment_status != status)
        .limit(_AGED_AT_ONCE)
    )
    marked = insert(standing_due, postgresql_=is_postgresql(tx.session)).from_select(["account_id"], aged)
    once = marked.on_conflict_do_nothing().returning(standing_due.c.account_id)
    count = len(tx.session.scalars(once).all())
    if count:
        tx.wake(TELL_STANDINGS)
    return count


def _standings() -> sa.Select[Any]:
    return (
        sa.select(
            card_account.c.id, card_account.c.last_used_on, card_account.c.opened_on,
            BILLED_IN.label("currency"), ledger_account.c.balance, ledger_account.c.due_since,
            ledger_account.c.nil_since, ledger_account.c.payment_status,
        )
        .join(SET_UP, SET_UP.c.number == card_account.c.control_account)
        .outerjoin(ledger_account, ledger_account.c.id == card_account.c.id)
    )  # fmt: skip


def _standing(row: Any, status: PaymentStatus, tx: Transaction) -> AccountStandingChanged:
    """Return how an account stands; one that is billed centrally owes nothing itself, and is nil since it was used last."""
    owes = bool(row.balance)
    nil_since = row.nil_since or (None if owes else row.last_used_on or row.opened_on)
    return AccountStandingChanged(
        account_id=row.id, as_of=tx.now, balance=row.balance or 0, currency=row.currency, payment_status=status,
        last_used_on=row.last_used_on, nil_since=nil_since,
    )  # fmt: skip
