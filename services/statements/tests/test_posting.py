"""What is posted to an account, once, and how the books stand afterwards (STM-01, ACC-07)."""

from datetime import timedelta

import pytest

from services.statements.model import entry, posting
from services.statements.tests.programme import KUWAIT, KYOTO, SALES, TRAVEL, Programme
from shared.actor import Actor, Party
from shared.contracts.statements import (
    AccountStandingChanged,
    CorrectTransaction,
    NewPayment,
    PaymentPosted,
    PostPayments,
    PostTransactions,
)
from shared.contracts.types import Money

ELSEWHERE = "200000000000001"


def eur(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def test_a_purchase_and_a_payment_move_the_balance(programme: Programme) -> None:
    account = programme.open()
    done = programme.spend(account, 12_50, merchant="Café de Flore", merchant_category="5812")
    assert (done["posted"], done["seen"]) == (1, 0)
    programme.pay(account, 10_00)

    summary = programme.summary(account)
    assert (summary.current_balance, summary.recent_debits, summary.recent_payments) == (2_50, 12_50, 10_00)
    payment, purchase = programme.transactions(account, "unbilled")
    assert (purchase.kind, purchase.amount.amount, purchase.merchant) == ("purchase", 12_50, "Café de Flore")
    assert (payment.kind, payment.amount.amount) == ("payment", -10_00)
    assert programme.events(AccountStandingChanged, account)[-1].balance == 2_50
    programme.check_the_books()


@pytest.mark.parametrize(
    ("kind", "moved"), [("purchase", 700), ("cash_advance", 700), ("fee", 700), ("refund", -700)]
)
def test_each_kind_goes_its_way(programme: Programme, kind: str, moved: int) -> None:
    account = programme.open()
    programme.spend(account, 700, kind)
    assert programme.summary(account).current_balance == moved
    programme.check_the_books()


def test_what_was_seen_before_posts_nothing(programme: Programme) -> None:
    account = programme.open()
    first = programme.spend(account, 100, source_key="7/1")["items"]
    batch = [programme.transaction(account, 100, source_key=key) for key in ("7/1", "7/2", "7/2")]
    again = programme.send(PostTransactions(transactions=batch))

    assert (again["posted"], again["seen"]) == (1, 2)
    assert again["items"][0] == {**first[0], "posted": False}
    assert again["items"][2]["transaction_id"] == again["items"][1]["transaction_id"]
    assert programme.summary(account).current_balance == 200
    programme.check_the_books()


def test_a_payment_that_comes_twice_is_told_once(programme: Programme) -> None:
    account = programme.open()
    programme.pay(account, 100, source_key="wire 1")
    assert programme.pay(account, 100, source_key="wire 1")["seen"] == 1
    (told,) = programme.events(PaymentPosted, account)
    assert (told.amount, told.currency, told.control_account) == (100, "EUR", SALES)


@pytest.mark.parametrize(
    ("number", "currency", "amount"), [(KYOTO, "JPY", 1980), (KUWAIT, "KWD", 12_345), (SALES, "EUR", 12_34)]
)
def test_an_account_is_billed_in_the_currency_of_its_control_account(
    programme: Programme, number: str, currency: str, amount: int
) -> None:
    """Minor units, whether the currency has none, two or three digits of them (ISO 4217)."""
    account = programme.open(number)
    programme.spend(account, amount, currency=currency)
    summary = programme.summary(account)
    assert (summary.current_balance, summary.currency) == (amount, currency)
    other = "EUR" if currency != "EUR" else "JPY"
    assert programme.spend(account, 1, currency=other)["code"] == "wrong_currency"
    programme.check_the_books()


def test_what_was_spent_abroad_says_so(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 12_10, original=Money(amount=1980, currency="JPY"), rate="0.00611111")
    (line,) = programme.transactions(account)
    assert (line.original, line.rate) == (Money(amount=1980, currency="JPY"), "0.00611111")


def test_all_or_none(programme: Programme) -> None:
    account = programme.open()
    good, bad = programme.transaction(account, 100), programme.transaction(account, 0)
    refused = programme.send(PostTransactions(transactions=[good, bad]))
    assert refused == {"code": "amount_not_positive", "field": "transactions/1/amount"}
    assert programme.rows(posting) == []


def test_what_makes_no_sense_is_refused(programme: Programme) -> None:
    account = programme.open()
    tomorrow = programme.today + timedelta(days=1)
    assert programme.spend(account, 1, transacted_on=tomorrow)["code"] == "date_in_future"
    assert programme.spend("acc_" + 26 * "0", 1)["code"] == "not_found"
    assert programme.pay(SALES, 1)["code"] == "not_found", "its accounts are billed, not the control account"
    nobody = NewPayment(amount=eur(1), received_on=programme.today, source_key="x")
    assert programme.send(PostPayments(payments=[nobody]))["code"] == "one_payer"


def test_nobody_posts_outside_the_own_control_accounts(programme: Programme) -> None:
    account = programme.open()
    stranger = Actor(user_id="x", party=Party.ISSUER, grants={"transactions.post": frozenset({ELSEWHERE})})
    command = PostTransactions(transactions=[programme.transaction(account, 1)])
    assert programme.send(command, stranger)["code"] == "not_found"


def test_a_central_account_bills_its_control_account(programme: Programme) -> None:
    """STM-05: each card account shows what it spent, the control account owes it."""
    ada, bob = programme.open(TRAVEL), programme.open(TRAVEL, first_name="Bob")
    programme.spend(ada, 300)
    programme.spend(bob, 500)
    programme.pay(TRAVEL, 100)

    assert [line.amount.amount for line in programme.transactions(ada)] == [300]
    assert programme.summary(ada).central_billing
    assert programme.summary(ada).current_balance is None
    standing = programme.events(AccountStandingChanged, ada)[-1]
    assert (standing.balance, standing.last_used_on) == (0, programme.today)
    programme.go_to(programme.today.replace(day=10))
    (made,) = programme.statements(TRAVEL)
    assert (made.account_id, made.debits, made.payments, made.balance) == (None, 800, 100, 700)
    programme.check_the_books()


# Corrections


def test_a_correction_is_a_new_entry(programme: Programme) -> None:
    account = programme.open()
    wrong = programme.spend(account, 500)["items"][0]["transaction_id"]
    right = programme.send(
        CorrectTransaction(transaction_id=wrong, comment="Typed 5 for 3.", amount=eur(300))
    )

    assert programme.summary(account).current_balance == 300
    correction, corrected = programme.transactions(account)
    assert (correction.transaction_id, correction.amount.amount, correction.corrects) == (
        right["transaction_id"],
        -200,
        wrong,
    )
    assert (corrected.amount.amount, corrected.corrected_by) == (500, right["transaction_id"])
    assert len(programme.rows(entry)) == 2
    programme.check_the_books()


def test_a_transaction_is_corrected_once(programme: Programme) -> None:
    account = programme.open()
    wrong = programme.spend(account, 500)["items"][0]["transaction_id"]
    same = CorrectTransaction(transaction_id=wrong, comment="?", amount=eur(500))
    assert programme.send(same)["code"] == "nothing_to_correct"
    away = CorrectTransaction(transaction_id=wrong, comment="Not theirs.")
    correction = programme.send(away)["transaction_id"]
    assert programme.send(away)["code"] == "already_corrected"
    again = CorrectTransaction(transaction_id=correction, comment="?")
    assert programme.send(again)["code"] == "is_correction"
    assert programme.summary(account).current_balance == 0


def test_a_payment_that_bounced_is_owed_again(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 500)
    programme.go_to(programme.today.replace(day=10))
    paid = programme.pay(account, 500)["items"][0]["transaction_id"]
    assert programme.summary(account).payment_due == 0
    programme.send(CorrectTransaction(transaction_id=paid, comment="Returned by the bank."))
    assert programme.summary(account).payment_due == 500
    programme.check_the_books()
