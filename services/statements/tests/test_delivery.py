"""Whoever gets no statements on paper any more is told so, and whoever has a new one: each holder once (STM-04, NOT-05)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.statements.jobs import closing
from services.statements.model import ready_due
from services.statements.tests.programme import BASICS, KYOTO, SALES, TRAVEL, Programme
from shared.contracts.accounts import AccountDeliveryChanged, StatementDelivery
from shared.contracts.statements import PaperStatementsEnded, StatementAnnounced, StatementsIssued
from shared.contracts.structure import (
    BillingModel,
    ControlAccountSettingsChanged,
    StatementDeliveryChanged,
    StatementOption,
)
from shared.contracts.types import Language

ON, OFF, CHOICE = StatementOption.PAPER_ON, StatementOption.PAPER_OFF, StatementOption.HOLDER_CHOICE
PAPER, PDF = StatementDelivery.PAPER_AND_PDF, StatementDelivery.PDF_ONLY


def changed(
    option: StatementOption, former: StatementOption = ON, version: int = 2
) -> tuple[ControlAccountSettingsChanged, StatementDeliveryChanged]:
    """Return what accounts tells when the option of a control account changes."""
    return (
        ControlAccountSettingsChanged(
            number=SALES, version=version, billing_currency=BASICS[SALES], statement_option=option
        ),
        StatementDeliveryChanged(
            number=SALES, option=option, former=former, version=version, language=Language.GERMAN
        ),
    )


def chosen(account: str, delivery: StatementDelivery, version: int = 2) -> AccountDeliveryChanged:
    return AccountDeliveryChanged(
        account_id=account,
        control_account=SALES,
        delivery=delivery,
        version=version,
        language=Language.FRENCH,
    )


def test_every_holder_below_is_told_once(programme: Programme) -> None:
    ada, bob = programme.open(email="ada@example.org"), programme.open()
    programme.open(KYOTO)
    programme.hear(*changed(OFF))
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
    programme.hear(*changed(OFF), *changed(ON, OFF, 3))
    programme.work()
    assert programme.events(PaperStatementsEnded) == []


def told_of(programme: Programme) -> list[tuple[str, bool, Language]]:
    """Return who was told, a minute on, of the end of paper since the last time, by whose choice, in which language."""
    programme.pass_by(minutes=1)
    told = programme.events(PaperStatementsEnded)
    programme.said.clear()
    return [(event.account_id, event.by_holder, event.language) for event in told]


def test_a_holder_who_wants_no_paper_is_told_so_once(programme: Programme) -> None:
    ada, bob = programme.open(), programme.open()
    programme.hear(*changed(CHOICE))
    programme.hear(chosen(ada, PDF), chosen(bob, PDF), chosen(bob, PAPER, 3))
    assert told_of(programme) == [(ada, True, Language.FRENCH)]
    programme.hear(chosen(ada, PDF), chosen(ada, PAPER, 3))
    assert told_of(programme) == []


def test_what_the_control_account_says_overrides_a_choice(programme: Programme) -> None:
    """Paper for all is paper for all; where the choice is the holders' again, each has what was chosen."""
    ada, bob = programme.open(), programme.open()
    programme.hear(*changed(CHOICE), chosen(ada, PDF), *changed(ON, CHOICE, 3))
    assert told_of(programme) == []
    programme.hear(*changed(CHOICE, ON, 4))
    assert told_of(programme) == [(ada, True, Language.GERMAN)]
    programme.hear(*changed(OFF, CHOICE, 5))
    assert sorted(told_of(programme)) == sorted((id_, False, Language.GERMAN) for id_ in (ada, bob))


def test_a_choice_that_overtakes_the_option_waits_for_it(programme: Programme) -> None:
    ada = programme.open()
    programme.hear(chosen(ada, PDF))
    assert told_of(programme) == []
    programme.hear(*changed(CHOICE))
    assert told_of(programme) == [(ada, True, Language.FRENCH)]


@pytest.mark.parametrize(
    ("option", "choice", "on_paper"),
    [
        (None, None, True),
        (ON, PDF, True),
        (OFF, PAPER, False),
        (OFF, None, False),
        (CHOICE, None, True),
        (CHOICE, PAPER, True),
        (CHOICE, PDF, False),
    ],
)
def test_a_statement_goes_out_on_paper_or_not_as_is_in_force_at_its_closing(
    programme: Programme, option: StatementOption | None, choice: StatementDelivery | None, *, on_paper: bool
) -> None:
    """STM-04: the statement says so, and so does the event that whoever prints hears."""
    account = issued(programme)
    programme.hear(*(changed(option) if option else ()), *([chosen(account, choice)] if choice else ()))
    programme.go_to(date(2026, 3, 10))
    programme.hear(*changed(OFF if on_paper else ON, version=9))
    (made,) = programme.statements(account)
    assert made.on_paper is on_paper
    told = [one for event in programme.events(StatementsIssued) for one in event.statements]
    assert [(one.account_id, one.on_paper) for one in told] == [(account, on_paper)]


def test_a_company_that_is_billed_gets_paper_unless_that_is_off(programme: Programme) -> None:
    """No holder chooses for the company."""
    account = programme.open(TRAVEL)
    programme.spend(account, 100)
    programme.hear(
        ControlAccountSettingsChanged(
            number=TRAVEL, version=2, billing_currency="EUR", billing_model=BillingModel.CENTRAL,
            statement_option=CHOICE,
        ),
        chosen(account, PDF),
    )  # fmt: skip
    programme.go_to(date(2026, 3, 10))
    (made,) = programme.statements(TRAVEL)
    assert made.on_paper


def issued(programme: Programme, **holder: Any) -> str:
    """Have a statement made for a holder, and return the account."""
    account = programme.open(**holder)
    programme.spend(account, 100)
    return account


def test_a_holder_is_told_once_of_each_statement(programme: Programme) -> None:
    """NOT-05: by mail, so whoever has no address is not; in the language in which holders there are written to."""
    programme.hear(*changed(OFF))
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
