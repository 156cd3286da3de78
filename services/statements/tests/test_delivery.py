"""Whoever gets no statements on paper any more is told so, each holder once (STM-04)."""

from services.statements.tests.programme import KYOTO, SALES, Programme
from shared.contracts.statements import PaperStatementsEnded
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
