"""Cards of an account: made, shipped, activated, replaced, and brought back with an account (ACC-09, ACC-13, P2-12)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.accounts.issuer import IssuerSimulator, Plastic, WantedCard
from services.accounts.model import cards_of
from services.accounts.tests.programme import MASTER, Programme, user
from services.accounts.vault import vault_of
from shared.contracts.accounts import (
    AccountOpened,
    CancelAccount,
    CancelReason,
    FindAccountsByCard,
    GetAccountHistory,
    Product,
    SuspendAccount,
)
from shared.contracts.cards import (
    ActivateCard,
    CardActivated,
    CardClosed,
    CardIssued,
    CardShipped,
    ReinstateAccount,
    ReplaceCard,
    ReplacementReason,
)

CONTACT = {"contact_name": "Bob", "contact_phone": "+44 1632 960001"}

THERE = {
    "delivery_line_1": "2 Low Road",
    "delivery_city": "Hull",
    "delivery_postcode": "HU1 1AA",
    "delivery_country": "GB",
}


@pytest.fixture
def account(programme: Programme) -> str:
    """An account whose card is active."""
    id_ = programme.open()
    programme.send(ActivateCard(account_id=id_))
    return id_


def replacing(account: str, reason: ReplacementReason, **facts: Any) -> ReplaceCard:
    return ReplaceCard(account_id=account, reason=reason, **{**CONTACT, **facts})


def loss(
    programme: Programme, account: str, reason: ReplacementReason = ReplacementReason.LOST, **more: Any
) -> ReplaceCard:
    facts = {
        "last_seen_at": programme.now,
        "last_seen_where": "Leeds station",
        "circumstances": "Left in a taxi.",
    }
    return replacing(account, reason, **{**facts, **more})


def cancelling(account: str) -> CancelAccount:
    return CancelAccount(account_id=account, reason=CancelReason.NOT_NEEDED)


def reinstating(account: str) -> ReinstateAccount:
    return ReinstateAccount(account_id=account, comment="The wrong one was cancelled.")


def test_a_new_accounts_card_is_shipped_and_then_activated(programme: Programme) -> None:
    id_ = programme.open()
    assert programme.profile(id_).card_state == "shipped"
    asked = programme.send(ActivateCard(account_id=id_), user(MASTER))
    assert programme.outcomes(asked) == ["processing", "completed"]
    (card,) = programme.cards(id_)
    assert (card.state, card.usable, card.card_number) == ("active", True, programme.profile(id_).card_number)
    for event in (AccountOpened, CardIssued, CardShipped, CardActivated):
        assert len(programme.events(event, id_)) == 1
    again = programme.send(ActivateCard(account_id=id_))
    assert programme.outcomes(again) == ["card_active"]


def test_a_business_travel_account_has_a_number_but_nothing_to_ship(programme: Programme) -> None:
    id_ = programme.open(product=Product.BUSINESS_TRAVEL_ACCOUNT)
    assert programme.states(id_) == ["active"]
    assert programme.events(CardShipped, id_) == []
    damaged = programme.send(replacing(id_, ReplacementReason.DAMAGED))
    assert programme.outcomes(damaged) == ["no_plastic"]
    programme.send(loss(programme, id_))
    assert programme.states(id_) == ["active", "closed"]


@pytest.mark.parametrize(
    "reason", [ReplacementReason.LOST, ReplacementReason.STOLEN, ReplacementReason.NOT_RECEIVED]
)
def test_a_card_that_may_be_in_wrong_hands_is_closed_at_once(
    programme: Programme, account: str, reason: ReplacementReason
) -> None:
    """ACC-09: even while the issuer is away; the new card has a new number."""
    before = programme.profile(account).card_number
    programme.close_the_issuer()
    asked = programme.send(loss(programme, account, reason))
    assert programme.outcomes(asked) == ["processing"]
    assert programme.states(account) == ["closed"]
    assert programme.kinds(account) == ["replacement"]
    assert len(programme.events(CardClosed, account)) == 1

    programme.open_the_issuer()
    programme.pass_by(minutes=5)
    assert programme.outcomes(asked) == ["processing", "completed"]
    assert programme.states(account) == ["shipped", "closed"]
    assert programme.profile(account).card_number != before
    assert programme.kinds(account) == []
    programme.send(ActivateCard(account_id=account))
    assert [card.usable for card in programme.cards(account)] == [True, False]


def test_a_damaged_card_works_until_the_new_one_of_the_same_number_is_activated(
    programme: Programme, account: str
) -> None:
    """ACC-09."""
    before = programme.profile(account).card_number
    asked = programme.send(replacing(account, ReplacementReason.DAMAGED))
    assert programme.outcomes(asked) == ["processing", "completed"]
    assert programme.states(account) == ["shipped", "active"]
    assert programme.profile(account).card_state == "active"
    programme.send(ActivateCard(account_id=account))
    assert programme.states(account) == ["active", "closed"]
    assert programme.profile(account).card_number == before
    assert {card.card_number for card in programme.cards(account)} == {before}


def test_an_account_is_found_once_by_a_number_that_two_plastics_bear(
    programme: Programme, account: str
) -> None:
    number = number_of(programme, account)
    programme.send(replacing(account, ReplacementReason.DAMAGED))
    assert len(programme.cards(account)) == 2
    found = programme.read(FindAccountsByCard(card_numbers=[number])).data
    assert [row.account_id for row in found] == [account]


def number_of(programme: Programme, account: str) -> str:
    """Return what only the vault knows."""
    with programme.database.read() as session:
        card = cards_of(session, [account])[0]
        return vault_of(programme.settings).decrypt(card.number_encrypted, card.id)


def test_a_number_that_was_lost_is_never_given_out_again(
    programme: Programme, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even to the account that it was given out to."""
    lost, make, asked = number_of(programme, account), IssuerSimulator.replace, []

    def careless(_: IssuerSimulator, reference: str, wanted: WantedCard) -> Plastic:
        asked.append(reference)
        plastic = make(_, reference, wanted)
        return plastic if len(asked) > 1 else replace(plastic, number=lost)

    monkeypatch.setattr(IssuerSimulator, "replace", careless)
    programme.send(loss(programme, account))
    programme.run_jobs()
    assert len(asked) == 2
    assert programme.states(account) == ["shipped", "closed"]
    assert number_of(programme, account) != lost


def test_a_card_stolen_while_another_is_made_in_its_place(programme: Programme, account: str) -> None:
    """The number that is given up gets no new plastic, and its request comes to an end."""
    programme.close_the_issuer()
    damaged = programme.send(replacing(account, ReplacementReason.DAMAGED))
    stolen = programme.send(loss(programme, account, ReplacementReason.STOLEN))
    assert programme.outcomes(damaged) == ["processing", "superseded"]
    assert programme.states(account) == ["closed"]
    again = programme.send(loss(programme, account, ReplacementReason.STOLEN))
    assert programme.outcomes(again) == ["new_card_on_its_way"]
    programme.open_the_issuer()
    programme.pass_by(minutes=5)
    assert programme.outcomes(stolen) == ["processing", "completed"]
    assert programme.states(account) == ["shipped", "closed"]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"last_seen_where": None}, "facts_required"),
        ({"circumstances": None}, "facts_required"),
        ({"last_seen_at": None}, "facts_required"),
        ({"contact_phone": None}, "contact_required"),
        ({"contact_phone": "12345678901234567890"}, "not_a_phone_number"),
        ({"delivery_line_1": "1 High Street"}, "delivery_address_incomplete"),
        ({**THERE, "delivery_country": "UK"}, "unknown_country"),
        ({**THERE, "delivery_country": "FR"}, "postcode_not_of_country"),
    ],
)
def test_what_the_issuer_could_not_act_on_is_refused(
    programme: Programme, account: str, facts: dict[str, Any], code: str
) -> None:
    """ACC-09: nothing is closed, and the field at fault is named."""
    asked = programme.send(loss(programme, account, **facts))
    assert programme.outcomes(asked) == [code]
    assert programme.rejection(asked)["field"] in (*facts, "delivery_city", "delivery_postcode")
    assert programme.states(account) == ["active"]


def test_a_card_cannot_have_been_seen_tomorrow(programme: Programme, account: str) -> None:
    asked = programme.send(loss(programme, account, last_seen_at=programme.now + timedelta(days=1)))
    assert programme.outcomes(asked) == ["last_seen_in_future"]


def test_a_card_goes_where_it_is_wanted_else_to_the_holder(
    programme: Programme, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(IssuerSimulator, "ship", lambda *said: sent.append(said[-1]))
    there = {"line_2": None, "line_3": None} | {
        name.removeprefix("delivery_"): value for name, value in THERE.items()
    }
    programme.send(replacing(account, ReplacementReason.NOT_RECEIVED, **THERE))
    programme.send(replacing(account, ReplacementReason.NOT_RECEIVED))
    assert sent == [there, dict.fromkeys(there)]  # this holder has no address


def test_only_a_cancelled_account_is_reinstated_and_never_its_card(
    programme: Programme, account: str
) -> None:
    """ACC-13, Part 2 no. 10."""
    before = programme.profile(account).card_number
    refused = programme.send(reinstating(account))
    assert programme.outcomes(refused) == ["not_cancelled"]
    programme.send(cancelling(account))
    assert programme.states(account) == ["closed"]

    programme.close_the_issuer()
    asked = programme.send(reinstating(account))
    again = programme.send(reinstating(account))
    assert programme.outcomes(again) == ["already_under_way"]
    assert programme.profile(account).status == "cancelled"
    programme.open_the_issuer()
    programme.pass_by(minutes=5)

    assert programme.outcomes(asked) == ["processing", "completed"]
    profile = programme.profile(account)
    assert (profile.status, profile.cancel_reason, profile.cancelled_at) == ("active", None, None)
    assert profile.card_number != before
    assert programme.states(account) == ["shipped", "closed"]


def test_a_reinstatement_does_not_overtake_the_cancellation_before_it(
    programme: Programme, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the processor would close the new card, too."""
    heard: list[str] = []
    for name in ("replace", "cancel"):
        monkeypatch.setattr(IssuerSimulator, name, listening(name, heard))
    programme.close_the_issuer()
    programme.send(cancelling(account))
    for _ in range(10):  # by now the cancellation is tried only every few minutes
        programme.pass_by(minutes=5)
    programme.send(reinstating(account))
    programme.open_the_issuer()
    programme.pass_by(seconds=5)
    assert heard == []
    programme.pass_by(minutes=5)
    assert heard == ["cancel", "replace"]
    assert programme.states(account) == ["shipped", "closed"]


def listening(name: str, heard: list[str]) -> Callable[..., Any]:
    """Return a method of the simulator that also notes what was asked of it and done."""
    act = getattr(IssuerSimulator, name)

    def answer(*asked: Any) -> Any:
        answered = act(*asked)
        heard.append(name)
        return answered

    return answer


def test_a_reinstated_account_is_as_suspended_as_it_was(programme: Programme, account: str) -> None:
    programme.send(SuspendAccount(account_id=account))
    programme.send(cancelling(account))
    programme.send(reinstating(account))
    programme.send(ActivateCard(account_id=account))
    assert programme.profile(account).status == "suspended"
    assert not any(card.usable for card in programme.cards(account))


def test_a_card_that_is_made_for_an_account_cancelled_meanwhile_is_nobodys(
    programme: Programme, account: str
) -> None:
    programme.close_the_issuer()
    asked = programme.send(loss(programme, account))
    programme.send(cancelling(account))
    programme.open_the_issuer()
    programme.pass_by(minutes=5)
    assert programme.outcomes(asked) == ["processing", "account_cancelled"]
    assert programme.states(account) == ["closed"]
    activating = programme.send(ActivateCard(account_id=account))
    assert programme.outcomes(activating) == ["account_cancelled"]


def test_what_becomes_of_a_card_stands_in_the_history(programme: Programme, account: str) -> None:
    """Part 2 no. 9."""
    asked = programme.send(loss(programme, account))
    changes = programme.read(GetAccountHistory(account_id=account)).data
    ours = [change for change in changes if change.command_id == asked and change.field == "card_state"]
    assert [change.new.rsplit(" ", 1)[1] for change in reversed(ours)] == ["closed", "ordered", "shipped"]
    assert {change.command for change in ours} == {"accounts.replace-card"}
