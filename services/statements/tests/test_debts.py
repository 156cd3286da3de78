"""What is overdue, for how long, and what follows: standings, reminders, credits paid out (ACC-07, ACC-19, ACC-21, STM-03)."""

from collections import deque
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.statements.rules import ageing_of, payment_status
from services.statements.tests.programme import SALES, TRAVEL, Programme
from shared.actor import Actor, Party
from shared.contracts.accounts import AccountTransferred, PaymentStatus
from shared.contracts.statements import (
    AccountStandingChanged,
    CreditBalanceRefunded,
    CreditOrigin,
    GetAccountSummary,
    GetDashboard,
    PaymentReminderAsked,
    RefundCreditBalance,
    RefundDestination,
    SendPaymentReminder,
)
from shared.contracts.types import Money
from shared.errors import NotFound

CLOSING = date(2026, 3, 10)
DUE = CLOSING + timedelta(days=28)
CURRENT, PAST_30, PAST_60, PAST_90, PAST_120 = PaymentStatus


def standing(programme: Programme, account: str) -> AccountStandingChanged:
    """Return how an account stands, as it was told last."""
    told: AccountStandingChanged = programme.events(AccountStandingChanged, account)[-1]
    return told


def in_debt(programme: Programme, amount: int = 100, **facts: str) -> str:
    """Return an account with a statement that has not been paid."""
    account = programme.open(**facts)
    programme.spend(account, amount)
    programme.go_to(CLOSING)
    return account


@pytest.mark.parametrize(
    ("days", "status"),
    [(0, CURRENT), (1, PAST_30), (59, PAST_30), (60, PAST_60), (89, PAST_60), (90, PAST_90), (120, PAST_120), (400, PAST_120)],
)  # fmt: skip
def test_a_debt_grows_older(programme: Programme, days: int, status: PaymentStatus) -> None:
    account = in_debt(programme)
    programme.go_to(DUE + timedelta(days=days))
    assert standing(programme, account).payment_status is status
    assert programme.summary(account).payment_status is status


def test_a_new_bucket_is_told_once(programme: Programme) -> None:
    account = in_debt(programme)
    programme.go_to(DUE + timedelta(days=1))
    told = len(programme.events(AccountStandingChanged, account))
    for _ in range(3):
        programme.pass_by(hours=1)
    assert len(programme.events(AccountStandingChanged, account)) == told


def test_who_pays_is_current_again_at_once(programme: Programme) -> None:
    account = in_debt(programme)
    programme.go_to(DUE + timedelta(days=70))
    programme.pay(account, 99)
    assert standing(programme, account).payment_status is PAST_60, "a part is still owed"
    programme.pay(account, 1)
    assert (standing(programme, account).payment_status, standing(programme, account).balance) == (CURRENT, 0)


def test_a_payment_reaches_the_oldest_statement_first(programme: Programme) -> None:
    account = in_debt(programme, 100)
    programme.spend(account, 40)
    programme.go_to(date(2026, 4, 10))
    programme.go_to(DUE + timedelta(days=61))
    assert programme.summary(account).payment_status is PAST_60
    programme.pay(account, 100)
    summary = programme.summary(account)
    assert (summary.payment_status, summary.overdue, summary.payment_due) == (PAST_30, 40, 40)


def test_what_was_paid_too_much_counts_towards_what_comes(programme: Programme) -> None:
    account = programme.open()
    programme.pay(account, 100)
    programme.spend(account, 80)
    programme.go_to(CLOSING)
    programme.go_to(DUE + timedelta(days=5))
    assert programme.summary(account).payment_status is CURRENT
    assert programme.summary(account).current_balance == -20


def test_the_summary_of_an_account(programme: Programme) -> None:
    """ACC-07."""
    account = in_debt(programme, 500)
    programme.spend(account, 300)
    programme.pay(account, 200)
    programme.go_to(date(2026, 4, 10))
    programme.spend(account, 70)
    programme.spend(account, 20, "refund")
    programme.pay(account, 100)

    summary = programme.summary(account)
    assert (summary.previous_statement_balance, summary.statement_balance, summary.closed_on) == (
        500,
        600,
        date(2026, 4, 10),
    )
    assert (summary.statement_debits, summary.statement_payments, summary.statement_credits) == (300, 200, 0)
    assert (summary.recent_debits, summary.recent_credits, summary.recent_payments) == (70, 20, 100)
    assert (summary.current_balance, summary.payment_due, summary.overdue) == (550, 480, 180)


def test_not_available_is_a_value(programme: Programme) -> None:
    summary = programme.summary(programme.open())
    assert (summary.current_balance, summary.statement_balance, summary.closed_on) == (None, None, None)
    assert summary.payment_status is CURRENT


def test_use_and_nil_balance_are_two_facts(programme: Programme) -> None:
    """ACC-22."""
    account = programme.open()
    opened = programme.today
    assert (standing(programme, account).last_used_on, standing(programme, account).nil_since) == (
        None,
        opened,
    )
    used = opened - timedelta(days=3)
    programme.spend(account, 100, transacted_on=used)
    assert (standing(programme, account).last_used_on, standing(programme, account).nil_since) == (used, None)
    programme.pass_by(days=2)
    programme.pay(account, 100)
    assert standing(programme, account).nil_since == opened + timedelta(days=2)
    programme.spend(account, 50, "fee")
    assert standing(programme, account).last_used_on == used, "a fee is no use"


def test_a_transferred_account_takes_its_debt_along(programme: Programme) -> None:
    account = in_debt(programme)
    programme.hear(
        AccountTransferred(
            account_id=account, control_account=TRAVEL, former_control_account=SALES, version=2
        )
    )
    programme.pay(TRAVEL, 30)
    programme.go_to(DUE + timedelta(days=1))
    summary = programme.summary(account)
    assert (summary.central_billing, summary.current_balance, summary.payment_status) == (True, 100, PAST_30)


# Reminders


def test_a_holder_who_is_late_is_reminded(programme: Programme) -> None:
    account = in_debt(programme, email="ada@example.org")
    programme.spend(account, 900)
    programme.go_to(DUE + timedelta(days=1))
    assert programme.send(SendPaymentReminder(account_id=account, comment="Please.")) == {}
    (told,) = programme.events(PaymentReminderAsked, account)
    assert (told.overdue, told.due_since, told.payment_status) == (100, DUE, PAST_30)
    assert (told.email, told.last_name, told.comment) == ("ada@example.org", "Lovelace", "Please.")


def test_who_is_not_late_is_not_reminded(programme: Programme) -> None:
    account = in_debt(programme, email="ada@example.org")
    assert programme.send(SendPaymentReminder(account_id=account))["code"] == "not_overdue"
    mute = programme.open()
    programme.spend(mute, 100)
    programme.go_to(CLOSING.replace(month=4))
    programme.go_to(date(2026, 8, 1))
    assert programme.send(SendPaymentReminder(account_id=mute))["code"] == "no_email"


# Credit balances


def refund(account: str, amount: int, **facts: object) -> RefundCreditBalance:
    given = {
        "origin": CreditOrigin.OVERPAYMENT, "destination": RefundDestination.HOLDER, "last_name": "lovelace",
        "employee_id": "E1", **facts,
    }  # fmt: skip
    return RefundCreditBalance(
        account_id=account,
        amount=Money(amount=amount, currency="EUR"),
        **given,  # type: ignore[arg-type]
    )


def test_a_credit_balance_is_paid_out(programme: Programme) -> None:
    """STM-03."""
    account = programme.open(employee_id="E1")
    programme.spend(account, 100)
    programme.pay(account, 150)
    assert "transaction_id" in programme.send(refund(account, 50))
    assert programme.summary(account).current_balance == 0
    (told,) = programme.events(CreditBalanceRefunded, account)
    assert (told.amount, told.destination) == (50, RefundDestination.HOLDER)
    assert programme.send(refund(account, 1))["code"] == "not_that_much_credit"
    programme.go_to(CLOSING)
    programme.go_to(DUE + timedelta(days=1))
    assert programme.summary(account).payment_status is CURRENT, "what was paid back had paid for nothing"
    programme.check_the_books()


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"last_name": "Byron"}, "holder_mismatch"),
        ({"employee_id": None}, "holder_mismatch"),
        ({"origin": CreditOrigin.MERCHANT_REFUND}, "origin_not_found"),
    ],
    ids=["name", "employee", "origin"],
)
def test_holder_and_origin_are_verified(programme: Programme, facts: dict[str, object], code: str) -> None:
    account = programme.open(employee_id="E1")
    programme.pay(account, 150)
    assert programme.send(refund(account, 50, **facts))["code"] == code
    assert programme.summary(account).current_balance == -150


# The home page


def test_the_buckets_of_the_home_page_sum_to_all_accounts(programme: Programme) -> None:
    """RPT-05: each counts the accounts that were told to stand so."""
    late = in_debt(programme, 100)
    rich = programme.open()
    programme.pay(rich, 70)
    programme.open(TRAVEL)
    programme.go_to(DUE + timedelta(days=1))
    board = programme.ask(GetDashboard())
    assert board.accounts == sum(board.payment_status.values()) == 3
    assert (board.payment_status["past_due_30"], board.payment_status["current"]) == (1, 2)
    assert standing(programme, late).payment_status is PAST_30
    (euros,) = board.spend
    assert (euros.balance, euros.credit, euros.due, euros.overdue) == (30, 70, 100, 100)
    assert programme.ask(GetDashboard(control_account=TRAVEL)).accounts == 1


def test_nobody_sees_what_lies_outside_the_own_control_accounts(programme: Programme) -> None:
    account = in_debt(programme)
    functions = dict.fromkeys(("statements.view", "transactions.view"), frozenset({TRAVEL}))
    stranger = Actor(user_id="x", party=Party.CLIENT, grants=functions)
    with pytest.raises(NotFound):
        programme.ask(GetAccountSummary(account_id=account), stranger)
    board = programme.ask(GetDashboard(), stranger)
    assert (board.accounts, board.spend) == (0, [])


# Against a model in which each payment is matched with the oldest debt that is left

MONTH = timedelta(days=30)
MONTHS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 700)), min_size=1, max_size=8)


@given(months=MONTHS, days=st.integers(0, 300))
def test_sums_age_debts_as_matching_each_payment_does(months: list[tuple[int, int]], days: int) -> None:
    start = date(2026, 1, 1)
    open_items: deque[list[object]] = deque()
    statements: list[tuple[date, int]] = []
    credit = debits = paid = 0
    for place, (debit, payment) in enumerate(months):
        due_on, debits, paid = start + place * MONTH, debits + debit, paid + payment
        statements.append((due_on, debits))
        open_items.append([due_on, debit])
        credit += payment
        while open_items and credit:
            left = open_items[0]
            used = min(credit, int(left[1]))  # type: ignore[call-overload]
            left[1], credit = int(left[1]) - used, credit - used  # type: ignore[call-overload]
            if left[1]:
                break
            open_items.popleft()
    today = start + timedelta(days=days)
    expected = dict.fromkeys(PaymentStatus, 0)
    for due, amount in open_items:
        expected[payment_status(due, today)] += amount  # type: ignore[arg-type, operator]
    ageing = ageing_of(statements, paid, today)
    assert {status: getattr(ageing, status) for status in PaymentStatus} == expected
