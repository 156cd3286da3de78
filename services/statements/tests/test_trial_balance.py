"""Whatever is wrong with the books is found and named."""

import sqlalchemy as sa

from services.statements.model import entry, ledger_account
from services.statements.tests.programme import KYOTO, Programme
from services.statements.trial_balance import Difference, differences, totals


def test_books_that_balance(programme: Programme) -> None:
    euros, yen = programme.open(), programme.open(KYOTO)
    programme.spend(euros, 500)
    programme.pay(euros, 700)
    programme.spend(yen, 300, currency="JPY")
    with programme.database.read() as session:
        found = {total.currency: total for total in totals(session)}
        assert differences(session) == []
    assert {currency: total.balance for currency, total in found.items()} == {"EUR": 0, "JPY": 0}
    assert {currency: total.owed for currency, total in found.items()} == {"EUR": 0, "JPY": 300}


def test_a_balance_that_somebody_changed(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 500)
    with programme.database.write() as session:
        session.execute(sa.update(ledger_account).where(ledger_account.c.id == account).values(balance=499))
    with programme.database.read() as session:
        assert [total.balance for total in totals(session)] == [-1]
        assert differences(session) == [Difference(ledger_account=account, balance=499, entries=500)]


def test_an_entry_that_is_gone(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 500)
    with programme.database.write() as session:
        session.execute(sa.delete(entry))
    with programme.database.read() as session:
        wrong = {one.ledger_account: one.entries for one in differences(session)}
    assert wrong == {account: 0, "purchases:EUR": 0}


def test_an_entry_in_another_currency(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 500)
    with programme.database.write() as session:
        session.execute(sa.update(entry).values(currency="USD"))
    with programme.database.read() as session:
        assert {one.ledger_account for one in differences(session)} == {account, "purchases:EUR"}
