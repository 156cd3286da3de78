"""How the client books what was spent: coded beside the posting, with a history, by whoever may (Part 2 no. 15)."""

from typing import Any

import pytest

from services.statements.model import coding, posting
from services.statements.tests.programme import KYOTO, SALES, TRAVEL, Programme
from services.statements.tests.test_views import viewer
from shared.actor import Actor, Party
from shared.contracts.reconciliation import (
    CodeTransactions,
    CodingField,
    ListCodingHistory,
    TransactionsCoded,
)
from shared.contracts.statements import FindTransactions
from shared.errors import NotFound

FIRST_FACTS = ("cost_centre", "ledger_code", "tax_code", "project", "note")


def administrator(number: str) -> Actor:
    """Return an administrator of one control account who codes."""
    grants = dict.fromkeys(("transactions.code", "transactions.view"), frozenset({number}))
    return Actor(user_id="pia", party=Party.CLIENT, grants=grants)


def spent(programme: Programme, account: str, amount: int = 100, kind: str = "purchase", **facts: Any) -> str:
    """Spend, and return the id of the transaction."""
    return str(programme.spend(account, amount, kind, **facts)["items"][0]["transaction_id"])


def code(programme: Programme, *ids: str, actor: Actor | None = None, **coded: Any) -> dict[str, Any]:
    return programme.send(CodeTransactions(transaction_ids=list(ids), **coded), actor)


def line(programme: Programme, account: str) -> Any:
    (found,) = programme.transactions(account)
    return found


def test_what_was_posted_stands_until_it_is_coded(programme: Programme) -> None:
    account = programme.open(cost_centre="CC1")
    transaction = spent(programme, account, ledger_code="6000")
    assert (line(programme, account).cost_centre, line(programme, account).coded_by) == ("CC1", None)
    before = programme.rows(posting)

    done = code(
        programme, transaction, cost_centre="CC2", tax_code="V1", project="P-7", note="Fair in Lyon",
        actor=administrator(SALES),
    )  # fmt: skip

    assert done == {"transactions": 1}
    now = line(programme, account)
    assert [getattr(now, name) for name in FIRST_FACTS] == ["CC2", "6000", "V1", "P-7", "Fair in Lyon"]
    assert (now.coded_by, now.coded_at) == ("pia", programme.now)
    assert programme.rows(posting) == before, "a posting is never changed"
    (told,) = programme.events(TransactionsCoded)
    assert (told.transaction_ids, told.cost_centre, told.ledger_code) == ([transaction], "CC2", None)


def test_what_is_left_out_stays_and_what_is_cleared_is_as_it_was_posted(programme: Programme) -> None:
    account = programme.open(cost_centre="CC1")
    transaction = spent(programme, account)
    code(programme, transaction, cost_centre="CC2", project="P-7")
    code(programme, transaction, ledger_code="6000", clear=[CodingField.COST_CENTRE])
    now = line(programme, account)
    assert (now.cost_centre, now.ledger_code, now.project) == ("CC1", "6000", "P-7")

    code(programme, transaction, clear=[CodingField.LEDGER_CODE, CodingField.PROJECT])
    assert programme.rows(coding) == []
    assert line(programme, account).coded_by is None


def test_the_history_says_how_it_was_coded_before(programme: Programme) -> None:
    """Part 2 no. 9: old and new, who and when; what does not change is no change."""
    account = programme.open(cost_centre="CC1")
    transaction = spent(programme, account)
    code(programme, transaction, cost_centre="CC2", tax_code="V1")
    programme.pass_by(hours=1)
    code(programme, transaction, cost_centre="CC3", tax_code="V1", actor=administrator(SALES))

    history = programme.ask(ListCodingHistory(transaction_id=transaction), administrator(SALES)).data
    latest, *earlier = [(one.field, one.old, one.new, one.actor) for one in history]
    assert latest == ("cost_centre", "CC2", "CC3", "pia")
    assert sorted(earlier) == [("cost_centre", "CC1", "CC2", "op"), ("tax_code", None, "V1", "op")]
    assert (history[0].at, history[0].command) == (programme.now, "statements.code-transactions")
    with pytest.raises(NotFound):
        programme.ask(ListCodingHistory(transaction_id=transaction), administrator(KYOTO))


def test_all_are_coded_or_none(programme: Programme) -> None:
    mine, others = spent(programme, programme.open()), spent(programme, programme.open(TRAVEL))
    outside = code(programme, mine, others, note="x", actor=administrator(SALES))
    assert outside == {"code": "not_found", "field": "transaction_ids/1"}
    assert programme.rows(coding) == []
    assert code(programme, mine, others, mine, note="x") == {"transactions": 2}
    assert {row.posting_id for row in programme.rows(coding)} == {mine, others}


@pytest.mark.parametrize(
    ("coded", "problem"),
    [
        ({}, "nothing_to_code"),
        ({"clear": []}, "nothing_to_code"),
        ({"note": "x", "clear": [CodingField.NOTE]}, "set_and_cleared"),
    ],
    ids=["nothing", "nothing cleared", "both"],
)
def test_what_makes_no_sense_is_refused(programme: Programme, coded: dict[str, Any], problem: str) -> None:
    transaction = spent(programme, programme.open())
    assert code(programme, transaction, **coded)["code"] == problem


def test_what_is_coded_is_found_and_what_is_not(programme: Programme) -> None:
    account = programme.open()
    one, other = spent(programme, account, 1), spent(programme, account, 2)
    code(programme, one, note="x")
    for wanted, found in [(True, [one]), (False, [other]), (None, [other, one])]:
        rows = programme.ask(FindTransactions(coded=wanted), viewer(SALES)).data
        assert [row.transaction_id for row in rows] == found
