"""What the demonstration programme owes stands in the books, and is as old as accounts says (RPT-05)."""

from datetime import UTC, datetime, timedelta

import pytest

from services.statements.demonstration import KnownAccount, Purchase, is_loaded, load
from services.statements.model import ledger_account
from services.statements.tests.programme import MASTER, SALES, Programme
from shared.contracts.accounts import PaymentStatus
from shared.contracts.statements import AccountStandingChanged, GetDashboard
from shared.contracts.structure import Level
from shared.ids import new_id

NOW = datetime(2026, 3, 17, 12, tzinfo=UTC)


def known(status: PaymentStatus, used_days_ago: int | None) -> KnownAccount:
    used = None if used_days_ago is None else NOW.date() - timedelta(days=used_days_ago)
    return KnownAccount(
        new_id("acc"), SALES, "corporate_gold", status.value, "Ada", "Lovelace", "lovelace ada", "ADA LOVELACE", None,
        "E1", "CC1", None, NOW - timedelta(days=900), used, 3, new_id("hsh").ljust(64, "0"), "1234",
    )  # fmt: skip


@pytest.fixture
def loaded(programme: Programme) -> list[KnownAccount]:
    """An account of each payment status, and one that was never used."""
    programme.now = NOW
    accounts = [*(known(status, 3) for status in PaymentStatus), known(PaymentStatus.CURRENT, None)]
    structure = [(MASTER, None, Level.MASTER, 1), (SALES, None, Level.BASIC, 1)]
    load(
        programme.database, programme.settings, NOW, accounts, structure,
        lambda _: Purchase(123_45, "Café", "5812", "Paris", "FR"),
    )  # fmt: skip
    return accounts


def test_each_is_as_late_as_accounts_says(programme: Programme, loaded: list[KnownAccount]) -> None:
    assert is_loaded(programme.database)
    programme.check_the_books()
    programme.work()
    for account in loaded[:-1]:
        summary = programme.summary(account.id)
        assert (summary.payment_status, summary.current_balance) == (account.payment_status, 123_45)
        (told,) = programme.events(AccountStandingChanged, account.id)
        assert (told.payment_status, told.balance) == (account.payment_status, 123_45)
    assert programme.ask(GetDashboard()).payment_status == {
        **dict.fromkeys(PaymentStatus, 1),
        PaymentStatus.CURRENT: 2,
    }


def test_life_goes_on_from_there(programme: Programme, loaded: list[KnownAccount]) -> None:
    late = loaded[1].id
    programme.spend(late, 10_00)
    programme.go_to(datetime(2026, 4, 20, tzinfo=UTC).date())
    newest, oldest = programme.statements(late)
    assert (newest.previous_balance, newest.debits, newest.balance) == (123_45, 10_00, 133_45)
    assert oldest.balance == 123_45
    programme.pay(late, 133_45)
    assert programme.summary(late).payment_status == PaymentStatus.CURRENT
    assert programme.rows(ledger_account)
    programme.check_the_books()
