"""The two tables that decide what may become of an account and of a card, against the promises that they stand for."""

import pytest

from services.accounts.lifecycle import (
    ACCOUNTS,
    CARDS,
    AccountAct,
    CardAct,
    Refusal,
    account_after,
    card_after,
)
from shared.contracts.accounts import AccountStatus
from shared.contracts.cards import CardState
from shared.errors import Rejected


def test_every_state_answers_every_act() -> None:
    assert set(ACCOUNTS) == set(AccountStatus)
    assert set(CARDS) == set(CardState)
    assert all(set(acts) == set(AccountAct) for acts in ACCOUNTS.values())
    assert all(set(acts) == set(CardAct) for acts in CARDS.values())


@pytest.mark.parametrize("state", [CardState.CLOSED, CardState.EXPIRED])
@pytest.mark.parametrize("act", CardAct)
def test_a_card_that_has_ended_is_never_revived(state: CardState, act: CardAct) -> None:
    """Part 2 no. 10."""
    with pytest.raises(Rejected) as refused:
        card_after(state, act)
    assert refused.value.code == f"card_{state}"


@pytest.mark.parametrize("act", sorted(set(AccountAct) - {AccountAct.REINSTATE}))
def test_only_reinstatement_leads_out_of_a_cancellation(act: AccountAct) -> None:
    """ACC-13."""
    with pytest.raises(Rejected) as refused:
        account_after(AccountStatus.CANCELLED, act)
    assert refused.value.code == "account_cancelled"


@pytest.mark.parametrize(("status", "act"), [(status, act) for status in AccountStatus for act in AccountAct])
def test_what_an_account_refuses_it_refuses_in_words(status: AccountStatus, act: AccountAct) -> None:
    step = ACCOUNTS[status][act]
    if isinstance(step, Refusal):
        with pytest.raises(Rejected, match=r"\.$") as refused:
            account_after(status, act)
        assert refused.value.code == step.value
    else:
        assert account_after(status, act) is step


@pytest.mark.parametrize(("state", "act"), [(state, act) for state in CardState for act in CardAct])
def test_what_a_card_refuses_it_refuses_in_words(state: CardState, act: CardAct) -> None:
    step = CARDS[state][act]
    if isinstance(step, Refusal):
        with pytest.raises(Rejected, match=r"\.$") as refused:
            card_after(state, act)
        assert refused.value.code == step.value
    else:
        assert card_after(state, act) is step
