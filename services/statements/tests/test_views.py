"""What is found among transactions and statements, and what a caller sees of them (STM-01, STM-02)."""

from datetime import date, timedelta

import pytest

from services.statements.tests.programme import ABOVE, MASTER, SALES, TRAVEL, Programme
from shared.actor import Actor, Party
from shared.contracts.accounts import AccountHolderChanged, AccountingChanged
from shared.contracts.base import Message
from shared.contracts.statements import (
    FindTransactions,
    GetStatement,
    ListAccountStatements,
    ListControlAccountStatements,
    ListTransactions,
)
from shared.errors import NotFound
from shared.errors import Rejected as BadCursor


def viewer(number: str) -> Actor:
    """Return an administrator of one control account."""
    functions = dict.fromkeys(("statements.view", "transactions.view"), frozenset({number}))
    return Actor(user_id="pa", party=Party.CLIENT, grants=functions)


def amounts(programme: Programme, question: Message, actor: Actor | None = None) -> list[int]:
    return [line.amount.amount for line in programme.ask(question, actor).data]


def test_six_months_are_the_window_and_older_is_a_question_away(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 1)
    first_day = programme.today
    programme.go_to(first_day + timedelta(days=200))
    programme.spend(account, 2)
    assert [line.amount.amount for line in programme.transactions(account)] == [2]
    assert [line.amount.amount for line in programme.transactions(account, since=first_day)] == [2, 1]


def test_transactions_are_found_by_each_criterion(programme: Programme) -> None:
    ada = programme.open(employee_id="E1", cost_centre="CC1")
    bob = programme.open(TRAVEL, first_name="Bob", last_name="Böhm", embossed_name="BOB BOEHM")
    programme.spend(ada, 100, merchant="Café de Flore")
    programme.spend(ada, 250, merchant="SNCF")
    programme.spend(bob, 400, merchant="Deutsche Bahn")
    for criteria, found in [
        ({}, [400, 250, 100]),
        ({"merchant": "cafe de f"}, [100]),
        ({"least": 200, "most": 300}, [250]),
        ({"holder": "bohm"}, [400]),
        ({"holder": "bob boe"}, [400]),
        ({"employee_id": "E1"}, [250, 100]),
        ({"cost_centre": "CC1"}, [250, 100]),
        ({"control_account": TRAVEL}, [400]),
        ({"control_account": ABOVE}, [400, 250, 100]),
        ({"until": programme.today - timedelta(days=1)}, []),
    ]:
        assert amounts(programme, FindTransactions(**criteria)) == found, criteria  # type: ignore[arg-type]


def test_pages_follow_each_other(programme: Programme) -> None:
    account = programme.open()
    for amount in range(1, 6):
        programme.spend(account, amount)
    seen: list[int] = []
    cursor = None
    while True:
        page = programme.ask(ListTransactions(account_id=account, cursor=cursor, limit=2))
        seen += [line.amount.amount for line in page.data]
        cursor = page.next_cursor
        if not page.has_more:
            break
    assert seen == [5, 4, 3, 2, 1]
    with pytest.raises(BadCursor):
        programme.ask(ListTransactions(account_id=account, cursor="nonsense"))


def test_a_changed_holder_is_found_by_the_new_name(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 100)
    programme.hear(
        AccountHolderChanged(
            account_id=account, control_account=SALES, first_name="Ada", last_name="King", embossed_name="ADA KING", version=3
        ),
        AccountHolderChanged(
            account_id=account, control_account=SALES, first_name="Ada", last_name="Byron", embossed_name="ADA BYRON", version=2
        ),
        AccountingChanged(
            account_id=account, control_account=SALES, employee_id="E9", cost_centre=None, universal_number=None, version=4
        ),
    )  # fmt: skip
    assert amounts(programme, FindTransactions(holder="king")) == [100]
    assert amounts(programme, FindTransactions(holder="byron")) == []
    assert amounts(programme, FindTransactions(employee_id="E9")) == [100]


def test_a_caller_sees_what_lies_below_the_own_control_accounts(programme: Programme) -> None:
    ada, bob = programme.open(), programme.open(TRAVEL)
    programme.spend(ada, 100)
    programme.spend(bob, 400)
    programme.go_to(date(2026, 3, 10))
    assert amounts(programme, FindTransactions(), viewer(SALES)) == [100]
    assert amounts(programme, FindTransactions(), viewer(MASTER)) == [400, 100]
    assert amounts(programme, FindTransactions(control_account=TRAVEL), viewer(SALES)) == []
    with pytest.raises(NotFound):
        programme.ask(ListTransactions(account_id=bob), viewer(SALES))

    everything = programme.ask(ListControlAccountStatements(number=MASTER), viewer(MASTER)).data
    assert {made.account_id for made in everything} == {ada, None}
    assert programme.ask(ListControlAccountStatements(number=TRAVEL), viewer(SALES)).data == []
    (central,) = programme.ask(ListControlAccountStatements(number=MASTER, central=True)).data
    assert programme.ask(GetStatement(statement_id=central.statement_id), viewer(TRAVEL)).debits == 400
    with pytest.raises(NotFound):
        programme.ask(GetStatement(statement_id=central.statement_id), viewer(SALES))


def test_a_centrally_billed_account_has_no_statements(programme: Programme) -> None:
    account = programme.open(TRAVEL)
    programme.spend(account, 100)
    programme.go_to(date(2026, 3, 10))
    assert programme.ask(ListAccountStatements(account_id=account)).data == []
    (line,) = programme.transactions(account, "billed")
    assert line.statement_id
