"""What may become of a card account and of a card: a state and an act in, the new state or a refusal out.

These two tables are the only place that decides it; docs/lifecycle.md is drawn from them.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from shared.contracts.accounts import AccountStatus
from shared.contracts.cards import CardState
from shared.errors import Rejected

State = TypeVar("State", AccountStatus, CardState)


class AccountAct(StrEnum):
    """What can be done to a card account; ``CHANGE`` stands for whatever leaves its status as it is."""

    CHANGE = "change"
    SUSPEND = "suspend"
    RESUME = "resume"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REINSTATE = "reinstate"


class CardAct(StrEnum):
    """What can be done to a card."""

    SHIP = "ship"
    ACTIVATE = "activate"
    CLOSE = "close"
    EXPIRE = "expire"


class Refusal(StrEnum):
    """The stable codes of what a state does not allow."""

    ACCOUNT_CANCELLED = "account_cancelled"
    ACCOUNT_EXPIRED = "account_expired"
    NOT_CANCELLED = "not_cancelled"
    CARD_NOT_SHIPPED = "card_not_shipped"
    CARD_SHIPPED = "card_shipped"
    CARD_ACTIVE = "card_active"
    CARD_CLOSED = "card_closed"
    CARD_EXPIRED = "card_expired"


_SAYS = {
    Refusal.ACCOUNT_CANCELLED: "This card account is cancelled, and a cancelled card is never revived. The issuer can"
    " reinstate an account that was cancelled by mistake; it then gets a new card.",
    Refusal.ACCOUNT_EXPIRED: "This card account has expired. The issuer can open a new one.",
    Refusal.NOT_CANCELLED: "Only a cancelled card account can be reinstated, and this one is not cancelled.",
    Refusal.CARD_NOT_SHIPPED: "The new card has not been shipped yet; it can be activated once it is on its way.",
    Refusal.CARD_SHIPPED: "This card has been shipped already.",
    Refusal.CARD_ACTIVE: "The card is active already, and no other one waits to be activated.",
    Refusal.CARD_CLOSED: "This card is closed for good. Ask for a new one.",
    Refusal.CARD_EXPIRED: "This card has expired.",
}

_ACTIVE, _SUSPENDED = AccountStatus.ACTIVE, AccountStatus.SUSPENDED
ACCOUNTS: Mapping[AccountStatus, Mapping[AccountAct, AccountStatus | Refusal]] = {
    _ACTIVE: {
        AccountAct.CHANGE: _ACTIVE,
        AccountAct.SUSPEND: _SUSPENDED,
        AccountAct.RESUME: _ACTIVE,
        AccountAct.CANCEL: AccountStatus.CANCELLED,
        AccountAct.EXPIRE: AccountStatus.EXPIRED,
        AccountAct.REINSTATE: Refusal.NOT_CANCELLED,
    },
    _SUSPENDED: {
        AccountAct.CHANGE: _SUSPENDED,
        AccountAct.SUSPEND: _SUSPENDED,
        AccountAct.RESUME: _ACTIVE,
        AccountAct.CANCEL: AccountStatus.CANCELLED,
        AccountAct.EXPIRE: AccountStatus.EXPIRED,
        AccountAct.REINSTATE: Refusal.NOT_CANCELLED,
    },
    AccountStatus.CANCELLED: {
        **dict.fromkeys(AccountAct, Refusal.ACCOUNT_CANCELLED),
        AccountAct.REINSTATE: _ACTIVE,
    },
    AccountStatus.EXPIRED: dict.fromkeys(AccountAct, Refusal.ACCOUNT_EXPIRED),
}
CARDS: Mapping[CardState, Mapping[CardAct, CardState | Refusal]] = {
    CardState.ORDERED: {
        CardAct.SHIP: CardState.SHIPPED,
        CardAct.ACTIVATE: Refusal.CARD_NOT_SHIPPED,
        CardAct.CLOSE: CardState.CLOSED,
        CardAct.EXPIRE: CardState.EXPIRED,
    },
    CardState.SHIPPED: {
        CardAct.SHIP: Refusal.CARD_SHIPPED,
        CardAct.ACTIVATE: CardState.ACTIVE,
        CardAct.CLOSE: CardState.CLOSED,
        CardAct.EXPIRE: CardState.EXPIRED,
    },
    CardState.ACTIVE: {
        CardAct.SHIP: Refusal.CARD_SHIPPED,
        CardAct.ACTIVATE: Refusal.CARD_ACTIVE,
        CardAct.CLOSE: CardState.CLOSED,
        CardAct.EXPIRE: CardState.EXPIRED,
    },
    CardState.CLOSED: dict.fromkeys(CardAct, Refusal.CARD_CLOSED),
    CardState.EXPIRED: dict.fromkeys(CardAct, Refusal.CARD_EXPIRED),
}
OPEN_CARDS = tuple(state for state, acts in CARDS.items() if acts[CardAct.CLOSE] is CardState.CLOSED)


def account_after(status: AccountStatus, act: AccountAct) -> AccountStatus:
    """Return the status of an account after an act; raises Rejected with a code of `Refusal`."""
    return _allowed(ACCOUNTS[status][act])


def card_after(state: CardState, act: CardAct) -> CardState:
    """Return the state of a card after an act; raises Rejected with a code of `Refusal`."""
    return _allowed(CARDS[state][act])


def _allowed(step: State | Refusal) -> State:
    if isinstance(step, Refusal):
        raise Rejected(step, _SAYS[step], "account_id")
    return step
