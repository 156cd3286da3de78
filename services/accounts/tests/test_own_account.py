"""What a holder sees of the own card accounts and does with them, and that there is nothing else to see (IDN-06, STM-04, STM-07)."""

from typing import Any

import pytest

from services.accounts.tests.programme import FIELD, LEGAL, MASTER, NORTH, SALES, Programme, holder, user
from shared.actor import Actor, Party
from shared.contracts.accounts import (
    AccountDeliveryChanged,
    CancelAccount,
    CancelReason,
    ChooseStatementDelivery,
    FindAccounts,
    FindAccountsByCard,
    GetAccount,
    GetAccountHistory,
    StatementDelivery,
    SuspendAccount,
    TransferAccount,
)
from shared.contracts.cards import ListCards, ListPendingChanges
from shared.contracts.structure import (
    BillingModel,
    ChangeControlAccountSettings,
    ChangeStatementDelivery,
    ListControlAccounts,
    StatementOption,
)
from shared.contracts.types import Language
from shared.errors import NotFound

PA = user(MASTER)
CHOICE, ON, OFF = StatementOption.HOLDER_CHOICE, StatementOption.PAPER_ON, StatementOption.PAPER_OFF
PAPER, PDF = StatementDelivery.PAPER_AND_PDF, StatementDelivery.PDF_ONLY


def choice(account: str, delivery: StatementDelivery = PDF, **facts: Any) -> ChooseStatementDelivery:
    return ChooseStatementDelivery(
        account_id=account,
        delivery=delivery,
        **{"terms_accepted": True, "language": Language.FRENCH, **facts},
    )


def let(programme: Programme, option: StatementOption, number: str = SALES) -> None:
    """Have an administrator set the option of a basic control account."""
    programme.done(ChangeStatementDelivery(number=number, option=option, terms_accepted=True), PA)


def delivery(programme: Programme, account: str, actor: Actor) -> tuple[StatementDelivery, bool]:
    profile = programme.read(GetAccount(account_id=account), actor)
    return profile.statement_delivery, profile.delivery_is_holders


def rows(programme: Programme, actor: Actor, **criteria: Any) -> list[str]:
    page = programme.read(FindAccounts(**criteria), actor)
    assert page.total == len(page.data)
    return [row.account_id for row in page.data]


def test_a_holder_reads_the_own_accounts_alone(programme: Programme) -> None:
    mine, other, beside = programme.open(SALES), programme.open(LEGAL), programme.open(SALES)
    hal = holder(mine, other)
    for account in (mine, other):
        assert programme.read(GetAccount(account_id=account), hal).account_id == account
        assert len(programme.read(ListCards(account_id=account), hal).data) == 1
    for question in (GetAccount(account_id=beside), ListCards(account_id=beside)):
        with pytest.raises(NotFound):
            programme.read(question, hal)
    assert sorted(rows(programme, hal)) == sorted([mine, other])
    assert rows(programme, holder(beside)) == [beside]
    assert rows(programme, holder()) == []


@pytest.mark.parametrize(
    ("criteria", "fits"),
    [
        ({"last_name": "Love"}, True),
        ({"name_part": "ovel"}, True),
        ({"company_number": "2"}, False),
        ({"control_account": SALES}, True),
        ({"control_account": LEGAL}, False),
        ({"status": ["cancelled"]}, False),
        ({"limit": 1}, True),
    ],
)
def test_criteria_narrow_the_own_accounts(programme: Programme, criteria: dict[str, Any], fits: bool) -> None:
    mine = programme.open(SALES)
    programme.open(SALES)
    assert rows(programme, holder(mine), **criteria) == ([mine] if fits else [])


def test_the_own_accounts_come_page_by_page_in_order_of_name(programme: Programme) -> None:
    mine = [programme.open(last_name=name) for name in ("Cole", "Abel", "Bell")]
    programme.open(last_name="Bade")
    hal, seen, cursor = holder(*mine), [], None
    while True:
        page = programme.read(FindAccounts(limit=1, cursor=cursor), hal)
        seen += [row.last_name for row in page.data]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == ["Abel", "Bell", "Cole"]


def test_who_is_granted_a_place_and_holds_an_account_elsewhere_sees_both(programme: Programme) -> None:
    field, mine, _ = programme.open(FIELD), programme.open(LEGAL), programme.open(SALES)
    both = Actor(
        user_id="pat", party=Party.CLIENT, grants={"accounts.view": frozenset([FIELD])}, own_accounts=frozenset([mine])
    )  # fmt: skip
    assert sorted(rows(programme, both)) == sorted([field, mine])
    assert rows(programme, both, control_account=SALES) == []
    assert rows(programme, both, control_account=LEGAL) == [mine]
    assert programme.read(GetAccount(account_id=mine), both).account_id == mine


def test_what_is_not_for_holders_stays_shut(programme: Programme) -> None:
    """By the web, where a function is asked for, and behind it, where nothing is seen."""
    mine = programme.open(SALES)
    hal = holder(mine)
    for path in (
        f"/accounts/{mine}/history",
        f"/accounts/{mine}/pending",
        "/control-accounts",
        f"/control-accounts/{SALES}",
    ):
        assert programme.get(path, hal, 403)["code"] == "function_not_granted"
    for question in (GetAccountHistory(account_id=mine), ListPendingChanges(account_id=mine)):
        with pytest.raises(NotFound):
            programme.read(question, hal)
    assert programme.read(FindAccountsByCard(card_numbers=["4" * 16]), hal).data == []
    assert programme.read(ListControlAccounts(), hal).data == []
    assert programme.get(f"/accounts/{mine}", hal)["account_id"] == mine
    assert [row["account_id"] for row in programme.get("/accounts", hal)["data"]] == [mine]


def test_what_others_wrote_about_a_hold_is_not_for_the_holder(programme: Programme) -> None:
    """That there is one, whose and until when, is."""
    mine = programme.open(SALES)
    programme.done(SuspendAccount(account_id=mine, comment="Unusual use; wait before you ask."))
    (shown,) = programme.read(GetAccount(account_id=mine), holder(mine)).holds
    (told,) = programme.read(GetAccount(account_id=mine), PA).holds
    assert (shown.origin, shown.ends_at, shown.comment) == (told.origin, told.ends_at, None)
    assert told.comment == "Unusual use; wait before you ask."


def test_a_holder_does_nothing_else_with_the_own_account(programme: Programme) -> None:
    mine = programme.open(SALES)
    for command in (
        CancelAccount(account_id=mine, reason=CancelReason.NOT_NEEDED),
        SuspendAccount(account_id=mine),
        TransferAccount(account_id=mine, control_account=FIELD),
        ChangeStatementDelivery(number=SALES, option=OFF, terms_accepted=True),
    ):
        assert programme.refused(command, holder(mine))[0] == "function_not_granted"


def test_a_holder_chooses_where_the_control_account_leaves_it_to_holders(programme: Programme) -> None:
    """STM-04: with accepted terms on record, at once, and told."""
    mine = programme.open(SALES)
    hal = holder(mine)
    assert delivery(programme, mine, hal) == (PAPER, False)
    let(programme, CHOICE)
    assert delivery(programme, mine, hal) == (PAPER, True)
    assert programme.refused(choice(mine, terms_accepted=False), hal) == (
        "terms_not_accepted",
        "terms_accepted",
    )
    assert programme.refused(choice(mine, PAPER), hal) == ("delivered_so_already", "delivery")
    programme.done(choice(mine), hal)
    assert delivery(programme, mine, hal) == (PDF, True)
    assert programme.refused(choice(mine), hal) == ("delivered_so_already", "delivery")

    (told,) = programme.events(AccountDeliveryChanged, mine)
    version = programme.profile(mine).version
    assert (told.delivery, told.control_account, told.language, told.version) == (
        PDF,
        SALES,
        Language.FRENCH,
        version,
    )
    lines = {line.field: line for line in programme.changes(mine)[:2]}
    assert (lines["chosen_delivery"].old, lines["chosen_delivery"].new) == (None, "pdf_only")
    assert lines["delivery_terms_at"].new == programme.now.isoformat()
    assert {line.actor for line in lines.values()} == {"hal"}
    programme.done(choice(mine, PAPER), hal)
    assert delivery(programme, mine, hal) == (PAPER, True)


@pytest.mark.parametrize(("option", "then"), [(ON, PAPER), (OFF, PDF)])
def test_the_control_accounts_own_option_overrides_a_choice(
    programme: Programme, option: StatementOption, then: StatementDelivery
) -> None:
    """And where the choice is the holders' again, each has what was chosen last."""
    mine, beside = programme.open(SALES), programme.open(SALES)
    let(programme, CHOICE)
    programme.done(choice(mine), holder(mine))
    let(programme, option)
    assert delivery(programme, mine, PA) == delivery(programme, beside, PA) == (then, False)
    for wanted in StatementDelivery:
        assert programme.refused(choice(mine, wanted), holder(mine)) == ("not_holders_choice", "delivery")
    let(programme, CHOICE)
    assert delivery(programme, mine, PA) == (PDF, True)
    assert delivery(programme, beside, PA) == (PAPER, True)


def test_what_is_inherited_counts_as_what_is_set(programme: Programme) -> None:
    mine = programme.open(SALES)
    programme.done(ChangeControlAccountSettings(number=NORTH, statement_option=CHOICE))
    programme.done(choice(mine), holder(mine))
    programme.done(TransferAccount(account_id=mine, control_account=LEGAL))
    assert delivery(programme, mine, holder(mine)) == (PAPER, False)


def test_there_is_nothing_to_choose_where_the_company_is_billed(programme: Programme) -> None:
    mine = programme.open(SALES)
    programme.done(
        ChangeControlAccountSettings(
            number=SALES, statement_option=CHOICE, billing_model=BillingModel.CENTRAL
        )
    )
    assert delivery(programme, mine, holder(mine)) == (PAPER, False)
    assert programme.refused(choice(mine), holder(mine)) == ("not_holders_choice", "delivery")


def test_nobody_chooses_for_a_holder(programme: Programme) -> None:
    """No role brings the function; a holder of another account finds none here."""
    mine, beside = programme.open(SALES), programme.open(SALES)
    let(programme, CHOICE)
    without = user(MASTER, granted=["accounts.holder", "control-accounts.configure"])
    assert programme.refused(choice(mine), without)[0] == "function_not_granted"
    assert programme.refused(choice(mine), holder(beside)) == ("not_found", "account_id")
    assert programme.refused(choice(mine), holder()) == ("function_not_granted", None)
