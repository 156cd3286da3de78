"""Pure policies of the ledger: which internal account stands on the other side, how old a debt is, when a cycle closes."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from shared.contracts.accounts import PaymentStatus
from shared.contracts.statements import Ageing, TransactionKind

PURCHASES, PAYMENTS, FEES, SUSPENSE = "purchases", "payments", "fees", "suspense"

COUNTERS: Mapping[TransactionKind, str] = {
    TransactionKind.PURCHASE: PURCHASES,
    TransactionKind.CASH_ADVANCE: PURCHASES,
    TransactionKind.REFUND: PURCHASES,
    TransactionKind.FEE: FEES,
    TransactionKind.PAYMENT: PAYMENTS,
    TransactionKind.CREDIT_REFUND: PAYMENTS,
}
"""On which internal account the other side of each kind stands; a correction stands where what it corrects does."""

USES = (TransactionKind.PURCHASE.value, TransactionKind.CASH_ADVANCE.value)
"""What counts as the use of a card (ACC-22)."""

CREDITS = frozenset({TransactionKind.REFUND, TransactionKind.PAYMENT})
"""What lessens what is owed."""

WINDOW_MONTHS = 6
"""How far back transactions are listed where nobody says how far (STM-02)."""

_AGES = (
    (120, PaymentStatus.PAST_DUE_120),
    (90, PaymentStatus.PAST_DUE_90),
    (60, PaymentStatus.PAST_DUE_60),
    (1, PaymentStatus.PAST_DUE_30),
)


def counter_of(kind: TransactionKind, currency: str) -> str:
    """Return the internal ledger account on the other side of a kind of posting."""
    return f"{COUNTERS[kind]}:{currency}"


def payment_status(due_since: date | None, today: date) -> PaymentStatus:
    """Return the age of a debt that fell due on a day (ACC-21): a day late it counts among those of 30 days (ADR 0018)."""
    late = (today - due_since).days if due_since else 0
    return next((status for days, status in _AGES if late >= days), PaymentStatus.CURRENT)


def unpaid(statements: Sequence[tuple[date, int]], paid: int, due_by: date) -> int:
    """Return what is still owed of the statements that were due by a day, the oldest being paid first.

    ``statements`` has the due date of each and all debits up to it, ``paid`` is all that was ever paid or credited.
    """
    return max(0, max((debits for due_on, debits in statements if due_on <= due_by), default=0) - paid)


def ageing_of(statements: Sequence[tuple[date, int]], paid: int, today: date) -> Ageing:
    """Return what is owed of statements by how long it is overdue (STM-08)."""
    amounts, older = {}, 0
    for status, begins in status_begins(today).items():
        owed = unpaid(statements, paid, begins)
        amounts[status.value] = owed - older
        older = owed
    return Ageing(current=unpaid(statements, paid, date.max) - older, **amounts)


def status_begins(today: date) -> Mapping[PaymentStatus, date]:
    """Return for each status but the current one the latest due date of the debts that have it today, the oldest first."""
    return {status: today - timedelta(days=days) for days, status in _AGES}


def next_closing(after: date, cycle_day: int) -> date:
    """Return the first day after another on which a cycle closes (STM-08); it closes as the day begins."""
    if after.day < cycle_day:
        return after.replace(day=cycle_day)
    return (after.replace(day=1) + timedelta(days=monthrange(after.year, after.month)[1])).replace(
        day=cycle_day
    )


def latest_closing(today: date, cycle_day: int) -> date:
    """Return the latest day up to today on which a cycle closes."""
    if today.day >= cycle_day:
        return today.replace(day=cycle_day)
    return (today.replace(day=1) - timedelta(days=1)).replace(day=cycle_day)
