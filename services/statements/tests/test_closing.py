"""Billing cycles: each is closed once, on its day, whoever does it and however late (STM-01, STM-08)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.statements.jobs import closing
from services.statements.model import ledger_account, statement
from services.statements.rules import latest_closing, next_closing
from services.statements.tests.programme import ABOVE, KYOTO, SALES, Programme
from shared.contracts.statements import GetStatement, ListStatementTransactions, StatementsIssued
from shared.contracts.structure import ControlAccountSettingsChanged

FIRST, SECOND, THIRD = date(2026, 3, 10), date(2026, 4, 10), date(2026, 5, 10)
DAYS = st.dates(date(2020, 1, 1), date(2040, 12, 31))


def test_a_statement_tells_what_happened_since_the_last_one(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 800)
    programme.spend(account, 200, "refund")
    programme.go_to(FIRST)
    programme.spend(account, 300)
    programme.pay(account, 600)
    programme.go_to(SECOND)

    second, first = programme.statements(account)
    assert (first.previous_balance, first.debits, first.credits, first.payments, first.balance) == (
        0,
        800,
        200,
        0,
        600,
    )
    assert (second.previous_balance, second.debits, second.credits, second.payments, second.balance) == (
        600,
        300,
        0,
        600,
        300,
    )
    assert (second.closed_on, second.due_on) == (SECOND, SECOND + timedelta(days=28))
    programme.check_the_books()


def test_the_three_views(programme: Programme) -> None:
    """STM-01: since the last cycle day, the last statement, each earlier one."""
    account = programme.open()
    for amount, day in ((1, FIRST), (2, SECOND), (3, THIRD)):
        programme.spend(account, amount)
        programme.go_to(day)
    programme.spend(account, 4)

    def amounts(view: str) -> list[int]:
        return [line.amount.amount for line in programme.transactions(account, view)]

    assert (amounts("unbilled"), amounts("billed"), amounts("previous")) == ([4], [3], [2, 1])
    assert amounts("all") == [4, 3, 2, 1]
    newest, *_ = programme.statements(account)
    page = programme.ask(ListStatementTransactions(statement_id=newest.statement_id))
    assert [line.statement_id for line in page.data] == [newest.statement_id]


def test_the_announcement_names_every_statement(programme: Programme) -> None:
    ada, bob = programme.open(), programme.open()
    programme.spend(ada, 100)
    programme.pay(bob, 100)
    programme.go_to(FIRST)
    (told,) = programme.events(StatementsIssued, SALES)
    assert {one.account_id: one.balance for one in told.statements} == {ada: 100, bob: -100}
    assert (told.closed_on, told.due_on) == (FIRST, FIRST + timedelta(days=28))


def test_nothing_is_sent_where_nothing_stands_and_nothing_happened(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 100)
    programme.pay(account, 100)
    for day in (FIRST, SECOND, THIRD):
        programme.go_to(day)
    assert len(programme.statements(account)) == 1
    assert len(programme.events(StatementsIssued)) == 1


def test_what_was_missed_while_the_system_was_down_is_closed_day_by_day(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 100)
    programme.go_to(date(2026, 6, 1))
    third, second, first = programme.statements(account)
    assert [made.closed_on for made in (first, second, third)] == [FIRST, SECOND, THIRD]
    assert [made.debits for made in (first, second, third)] == [100, 0, 0]
    assert [made.balance for made in (first, second, third)] == [100, 100, 100]
    programme.check_the_books()


def test_a_cycle_closes_when_its_day_begins_where_the_programme_is(programme: Programme) -> None:
    """In Tokyo the tenth begins nine hours before it does in UTC."""
    programme.settings = type(programme.settings)(
        assertion_public_key=programme.settings.assertion_public_key, time_zone="Asia/Tokyo"
    )
    account = programme.open(KYOTO)
    programme.spend(account, 100, currency="JPY", transacted_on=date(2026, 3, 1))
    programme.now = datetime(2026, 3, 9, 14, 59, tzinfo=UTC)
    programme.work()
    assert programme.statements(account) == []
    programme.now = datetime(2026, 3, 9, 15, 0, tzinfo=UTC)
    programme.work()
    (made,) = programme.statements(account)
    assert made.closed_on == FIRST


def test_the_nearest_control_account_says_when_its_accounts_close(programme: Programme) -> None:
    """PRG-02: the day is inherited; where it changes, the next cycle is shorter or longer."""
    account = programme.open()
    programme.spend(account, 100)
    programme.go_to(FIRST)
    programme.hear(ControlAccountSettingsChanged(number=ABOVE, version=1, billing_cycle_day=20))
    programme.go_to(SECOND)
    assert [made.closed_on for made in programme.statements(account)] == [date(2026, 3, 20), FIRST]


def test_two_workers_close_each_account_once(programme: Programme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "CLOSED_AT_ONCE", 3)
    accounts = [programme.open() for _ in range(10)]
    for place, account in enumerate(accounts):
        programme.spend(account, 100 + place)
    programme.now = datetime(2026, 4, 12, tzinfo=UTC)
    workers = [programme.new_worker() for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(programme.work, workers))
    programme.work()

    made = programme.rows(statement)
    assert sorted((one.ledger_account, one.cycle) for one in made) == sorted(
        (account, cycle) for account in accounts for cycle in (1, 2)
    )
    told = [one.statement_id for event in programme.events(StatementsIssued) for one in event.statements]
    assert sorted(told) == sorted(one.id for one in made)
    programme.check_the_books()


def test_a_closing_that_is_killed_goes_on_where_it_was(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSED_AT_ONCE", 2)
    accounts = [programme.open() for _ in range(5)]
    for account in accounts:
        programme.spend(account, 100)
    programme.now = datetime(2026, 3, 10, 1, tzinfo=UTC)
    published = StatementsIssued.__init__
    times = iter([None, None])

    def killed(*args: object, **values: object) -> None:
        next(times)  # StopIteration, the third time
        published(*args, **values)  # type: ignore[arg-type]

    with monkeypatch.context() as during:
        during.setattr(StatementsIssued, "__init__", killed)
        programme.work()
    assert len(programme.rows(statement)) == 4
    programme.pass_by(minutes=5)

    assert sorted(one.ledger_account for one in programme.rows(statement)) == sorted(accounts)
    assert {row.cycle for row in programme.rows(ledger_account) if row.control_account} == {2}
    told = [one.account_id for event in programme.events(StatementsIssued) for one in event.statements]
    assert sorted(told) == sorted(accounts)
    programme.check_the_books()


def test_one_statement_with_what_is_still_owed_of_it(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 100)
    programme.go_to(FIRST)
    programme.spend(account, 50)
    programme.go_to(SECOND)
    programme.pay(account, 120)
    second, first = (
        programme.ask(GetStatement(statement_id=made.statement_id)) for made in programme.statements(account)
    )
    assert (first.still_owed, second.still_owed) == (0, 30)
    assert (second.ageing.current, second.to_pay) == (30, 150)


@given(after=DAYS, cycle_day=st.integers(1, 28))
def test_closings_follow_each_other(after: date, cycle_day: int) -> None:
    closes = next_closing(after, cycle_day)
    assert closes.day == cycle_day
    assert after < closes <= after + timedelta(days=31)
    assert latest_closing(closes, cycle_day) == closes
    assert latest_closing(closes - timedelta(days=1), cycle_day) <= after
