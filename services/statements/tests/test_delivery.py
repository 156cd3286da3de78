"""Whoever gets no statements on paper any more is told so, and whoever has a new one: each holder once (STM-04, NOT-05)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.statements.jobs import closing
from services.statements.model import ready_due
from services.statements.tests.programme import KYOTO, SALES, TRAVEL, Programme
from shared.contracts.statements import PaperStatementsEnded, StatementAnnounced
from shared.contracts.structure import StatementDeliveryChanged, StatementOption
from shared.contracts.types import Language

ON, OFF = StatementOption.PAPER_ON, StatementOption.PAPER_OFF


def changed(option: StatementOption, former: StatementOption = ON) -> StatementDeliveryChanged:
    return StatementDeliveryChanged(
        number=SALES, option=option, former=former, version=2, language=Language.GERMAN
    )


def test_every_holder_below_is_told_once(programme: Programme) -> None:
    ada, bob = programme.open(email="ada@example.org"), programme.open()
    programme.open(KYOTO)
    programme.hear(changed(OFF))
    programme.work()
    programme.pass_by(days=1)
    told = {event.account_id: event for event in programme.events(PaperStatementsEnded)}
    assert told.keys() == {ada, bob}
    assert len(programme.events(PaperStatementsEnded)) == 2
    assert (told[ada].email, told[ada].language, told[bob].email) == (
        "ada@example.org",
        Language.GERMAN,
        None,
    )


def test_nobody_is_told_what_is_taken_back_before(programme: Programme) -> None:
    programme.open()
    programme.hear(changed(OFF), changed(ON, OFF))
    programme.work()
    assert programme.events(PaperStatementsEnded) == []


def issued(programme: Programme, **holder: Any) -> str:
    """Have a statement made for a holder, and return the account."""
    account = programme.open(**holder)
    programme.spend(account, 100)
    return account


def test_a_holder_is_told_once_of_each_statement(programme: Programme) -> None:
    """NOT-05: by mail, so whoever has no address is not; in the language in which holders there are written to."""
    programme.hear(changed(OFF))
    ada = issued(programme, email="ada@example.org")
    issued(programme)
    yen = programme.open(KYOTO, email="kei@example.org")
    programme.spend(yen, 300, "refund", currency="JPY")
    programme.go_to(date(2026, 3, 10))
    for _ in range(3):
        programme.pass_by(hours=1)
    told = {event.account_id: event for event in programme.events(StatementAnnounced)}
    assert len(programme.events(StatementAnnounced)) == len(told) == 2
    (made,) = programme.statements(ada)
    assert (told[ada].statement_id, told[ada].email, told[ada].language) == (
        made.statement_id,
        "ada@example.org",
        Language.GERMAN,
    )
    assert (told[ada].balance, told[ada].closed_on, told[ada].due_on) == (100, made.closed_on, made.due_on)
    assert (told[yen].balance, told[yen].currency, told[yen].language) == (-300, "JPY", Language.ENGLISH)
    programme.go_to(date(2026, 4, 10))
    programme.pass_by(hours=1)
    assert len(programme.events(StatementAnnounced)) == 4
    assert programme.rows(ready_due) == []


def test_a_company_that_is_billed_gets_no_holders_told(programme: Programme) -> None:
    programme.spend(programme.open(TRAVEL, email="ada@example.org"), 100)
    programme.go_to(date(2026, 3, 10))
    programme.pass_by(hours=1)
    assert len(programme.statements(TRAVEL)) == 1
    assert programme.events(StatementAnnounced) == []


def test_two_workers_tell_of_each_statement_once(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSED_AT_ONCE", 3)
    accounts = [issued(programme, email="ada@example.org") for _ in range(10)]
    programme.now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    for _ in range(4):
        programme.now += timedelta(minutes=1)
        workers = [programme.new_worker() for _ in range(2)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(programme.work, workers))
    for _ in range(4):
        programme.pass_by(minutes=1)
    told = [event.account_id for event in programme.events(StatementAnnounced)]
    assert sorted(told) == sorted(accounts)
