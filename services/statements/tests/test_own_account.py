"""What a holder reads of the own card accounts, and that nothing of any other comes with it (IDN-06, STM-07)."""

from datetime import date
from typing import Any

import pytest

from services.statements.queries.paper import paper_of
from services.statements.tests.programme import SALES, TRAVEL, Programme
from shared.actor import Actor, Party
from shared.contracts.base import Message
from shared.contracts.statements import (
    FindTransactions,
    GetAccountSummary,
    GetDashboard,
    GetStatement,
    ListAccountStatements,
    ListControlAccountStatements,
    ListStatementTransactions,
    ListTransactions,
    TransactionView,
)
from shared.errors import NotFound
from shared.messaging.transaction import Reader
from shared.rights import own_accounts


def holder(*accounts: str) -> Actor:
    """Return the holder of these card accounts, to whom nothing is granted."""
    return Actor(user_id="hal", party=Party.HOLDER, own_accounts=frozenset(accounts))


def spent(programme: Programme, number: str = SALES) -> str:
    """Open an account, spend with it, and return it."""
    account = programme.open(number)
    programme.spend(account, 100)
    return account


def billed(programme: Programme, *accounts: str) -> None:
    """Close the cycle, then spend again with these accounts."""
    programme.go_to(date(2026, 3, 10))
    for account in accounts:
        programme.spend(account, 7)


def missing(programme: Programme, question: Message, actor: Actor) -> bool:
    with pytest.raises(NotFound):
        programme.ask(question, actor)
    return True


def amounts(programme: Programme, question: Message, actor: Actor) -> list[int]:
    return [line.amount.amount for line in programme.ask(question, actor).data]


def test_a_holder_reads_the_own_account(programme: Programme) -> None:
    mine, others = spent(programme), spent(programme)
    billed(programme, mine, others)
    hal = holder(mine)
    assert programme.ask(GetAccountSummary(account_id=mine), hal).current_balance == 107
    views = {
        view: amounts(programme, ListTransactions(account_id=mine, view=TransactionView(view)), hal)
        for view in ("unbilled", "billed", "previous")
    }
    assert views == {"unbilled": [7], "billed": [100], "previous": []}
    (made,) = programme.ask(ListAccountStatements(account_id=mine), hal).data
    assert programme.ask(GetStatement(statement_id=made.statement_id), hal).balance == 100
    assert amounts(programme, ListStatementTransactions(statement_id=made.statement_id), hal) == [100]
    with programme.database.read() as session:
        own = own_accounts(hal, GetStatement.contract)
        reader = Reader(session, hal, "statements.view", programme.now, programme.settings, own)
        assert [line.account_id for line in paper_of(made.statement_id, reader).lines] == [mine]


def test_another_account_looks_like_one_that_is_not_there(programme: Programme) -> None:
    mine, others = spent(programme), spent(programme)
    billed(programme)
    hal = holder(mine)
    (theirs,) = programme.statements(others)
    for question in (
        GetAccountSummary(account_id=others),
        ListTransactions(account_id=others),
        GetStatement(statement_id=theirs.statement_id),
        ListStatementTransactions(statement_id=theirs.statement_id),
    ):
        assert missing(programme, question, hal)
        assert missing(programme, question, holder())
    assert programme.ask(ListAccountStatements(account_id=others), hal).data == []


def test_what_is_not_for_holders_shows_nothing(programme: Programme) -> None:
    """Nor a figure of what lies above the own account; by the web they do not get as far."""
    mine = spent(programme)
    billed(programme)
    hal = holder(mine)
    for question in (ListControlAccountStatements(number=SALES), FindTransactions()):
        assert programme.ask(question, hal).data == []
    board = programme.ask(GetDashboard(), hal)
    assert (board.accounts, board.spend, sum(board.payment_status.values())) == (0, [], 0)


def test_of_a_company_that_is_billed_a_holder_sees_the_own_lines_alone(programme: Programme) -> None:
    """STM-02: no statement tab; that of the control account is not the holder's to see."""
    mine, others = spent(programme, TRAVEL), spent(programme, TRAVEL)
    billed(programme)
    hal = holder(mine)
    (made,) = programme.statements(TRAVEL)
    for question in (GetStatement, ListStatementTransactions):
        assert missing(programme, question(statement_id=made.statement_id), hal)
    lines: Any = programme.ask(ListTransactions(account_id=mine), hal).data
    assert [line.account_id for line in lines] == [mine]
    assert programme.ask(ListAccountStatements(account_id=mine), hal).data == []
    assert programme.ask(GetAccountSummary(account_id=mine), hal).current_balance is None
    assert missing(programme, ListTransactions(account_id=others), hal)
