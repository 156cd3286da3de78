"""Cards in motion: made, shipped, activated, closed, expired; one of an account is active at most."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache

import sqlalchemy as sa

from services.accounts.issuer import Plastic
from services.accounts.lifecycle import OPEN_CARDS, CardAct
from services.accounts.model import Base, Card, CardAccount, OrderAct, change
from services.accounts.orders import place_order
from services.accounts.vault import mask, vault_of
from shared.contracts.accounts import Product
from shared.contracts.cards import CardActivated, CardClosed, CardIssued, CardShipped, CardState
from shared.database import given_values, is_postgresql, values_parameter
from shared.history import note_change
from shared.messaging.transaction import Transaction

CARDLESS = frozenset({Product.BUSINESS_TRAVEL_ACCOUNT})


class NumberTaken(Exception):
    """The processor gave out a number that it had given out before."""


def add_card(
    account: CardAccount,
    card_id: str,
    plastic: Plastic,
    tx: Transaction,
    *,
    cards: Sequence[Card],
    keeps_number: bool,
    ship_to: dict[str, str | None],
) -> Card:
    """Add a card as the processor made it, and have it shipped; a number without a plastic is active at once.

    ``cards`` are those that the account has, the newest first. Raises NumberTaken, having changed nothing, where a number
    was given out before, be it to this account, and is not one to keep.
    """
    vault = vault_of(tx.settings)
    found_by = vault.hash(plastic.number)
    alike = [card.sequence for card in cards if card.number_hash == found_by] if keeps_number else []
    if not alike and tx.session.scalar(sa.select(sa.exists().where(Card.number_hash == found_by))):
        raise NumberTaken
    card = Card(
        id=card_id, account_id=account.id, number_encrypted=vault.encrypt(plastic.number, card_id),
        number_hash=found_by, sequence=max(alike, default=0) + 1, last_four=plastic.number[-4:],
        issued_on=plastic.issued_on, expires_on=plastic.expires_on, state=CardState.ORDERED, since=tx.now, live=False,
        due_on=plastic.expires_on - timedelta(days=tx.settings.renewal_days),
    )  # fmt: skip
    tx.session.add(card)
    tx.publish(
        CardIssued(
            account_id=account.id, control_account=account.control_account, card_id=card.id, expires_on=card.expires_on,
            last_four=card.last_four, number_hash=found_by,
        ),
        subject=account.id,
    )  # fmt: skip
    note_change(tx, change, account.id, "card_state", None, _told(card))
    if account.product in CARDLESS:
        ship(account, card, tx)
        activate(account, card, tx, cards=[card, *cards])
    else:
        show_by([card, *cards], tx)
        place_order(tx, OrderAct.SHIP, account.id, card_id=card.id, facts=ship_to)
    return card


def ship(account: CardAccount, card: Card, tx: Transaction) -> None:
    """Note that a card is on its way."""
    _become(account, card, CardAct.SHIP, tx)
    if account.product not in CARDLESS:
        told = CardShipped(account_id=account.id, control_account=account.control_account, card_id=card.id)
        tx.publish(told, subject=account.id)


def activate(account: CardAccount, card: Card, tx: Transaction, *, cards: Sequence[Card]) -> None:
    """Make a card usable, and close the others; ``cards`` are all of the account, the newest first."""
    _become(account, card, CardAct.ACTIVATE, tx)
    told = CardActivated(account_id=account.id, control_account=account.control_account, card_id=card.id)
    tx.publish(told, subject=account.id)
    close([other for other in cards if other is not card], account, tx)
    show_by(cards, tx)


def close(cards: Sequence[Card], account: CardAccount, tx: Transaction) -> None:
    """Close those of these cards that are still of use."""
    for card in cards:
        if card.is_open:
            _become(account, card, CardAct.CLOSE, tx)
            told = CardClosed(account_id=account.id, control_account=account.control_account, card_id=card.id)
            tx.publish(told, subject=account.id)


def expire(account: CardAccount, card: Card, tx: Transaction, *, cards: Sequence[Card]) -> None:
    """Note that a card's last day is over."""
    _become(account, card, CardAct.EXPIRE, tx)
    show_by(cards, tx)


def show_by(cards: Sequence[Card], tx: Transaction) -> None:
    """Let an account be shown by its active card; without one by the newest that may yet be of use, or the newest."""
    active = next((card for card in cards if card.state is CardState.ACTIVE), None)
    shown = active or next((card for card in cards if card.is_open), None) or cards[0]
    if not shown.live:
        for card in cards:
            card.live = False
        tx.session.flush()  # there may be but one, at any moment
        shown.live = True
        tx.session.flush()


def close_for_good(accounts: Iterable[str], tx: Transaction) -> None:
    """Close every card of cancelled accounts, by one statement."""
    statement = _closing(postgresql_=is_postgresql(tx.session))
    tx.session.execute(statement, {**values_parameter(accounts), "now": tx.now})


@cache
def _closing(*, postgresql_: bool) -> sa.Update:
    card = Base.metadata.tables["card"]
    theirs = card.c.account_id.in_(given_values(postgresql_=postgresql_))
    ended = {"state": CardState.CLOSED, "since": sa.bindparam("now", type_=card.c.since.type)}
    return sa.update(card).where(theirs, card.c.state.in_(OPEN_CARDS)).values(ended)


def _become(account: CardAccount, card: Card, act: CardAct, tx: Transaction) -> None:
    before = _told(card)
    card.become(act, tx.now)
    note_change(tx, change, account.id, "card_state", before, _told(card))


def _told(card: Card) -> str:
    return f"{mask(card.last_four)} {card.state}"
