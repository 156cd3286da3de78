"""What is posted to an account, once, and how the books stand afterwards (STM-01, ACC-07)."""

from services.statements.tests.programme import Programme
from shared.contracts.statements import AccountStandingChanged


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
