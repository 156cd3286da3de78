"""Cards that are to be renewed, and cards whose last day is over."""

from datetime import timedelta

import sqlalchemy as sa

from services.accounts.model import Card, CardAccount, OrderAct, cards_of
from services.accounts.orders import making_orders, place_order
from services.accounts.plastics import expire
from shared.contracts.accounts import AccountStatus
from shared.contracts.cards import AccountExpired, CardState
from shared.days import day_of
from shared.ids import new_id
from shared.messaging.transaction import Transaction

AT_MOST = 200
_RENEWED = frozenset({AccountStatus.ACTIVE, AccountStatus.SUSPENDED})


def renew_and_expire_cards(tx: Transaction) -> int:
    """Order a new plastic for cards that expire soon, and end those that have expired; returns how many were looked at.

    Days are those of the programme's time zone. Each card waits for a day; what was missed while the system was down is
    made up for, renewal before expiry. Accounts are locked before their cards are read again.
    """
    today = day_of(tx.now, tx.settings.time_zone)
    found = sa.select(Card.account_id).where(Card.due_on <= today).order_by(Card.due_on).limit(AT_MOST)
    account_ids = sorted(set(tx.session.scalars(found)))
    if not account_ids:
        return 0
    tx.batch.load("account", account_ids)
    looked_at = 0
    for account_id in account_ids:
        account = tx.batch.loaded[CardAccount][account_id]
        tx.watch(account)
        cards = cards_of(tx.session, [account_id])
        for card in cards:
            while card.due_on is not None and card.due_on <= today:
                _look_at(account, card, cards, tx)
                looked_at += 1
    tx.record()
    return looked_at


def _look_at(account: CardAccount, card: Card, cards: list[Card], tx: Transaction) -> None:
    """Do for a card what its day has come for, and set the next one."""
    over_on = card.expires_on + timedelta(days=1)
    if account.status not in _RENEWED or not card.is_open:
        card.due_on = None
    elif card.due_on is not None and card.due_on < over_on:
        card.due_on = over_on
        if _is_renewed(card, cards, tx):
            facts = {"replaces": card.id}
            place_order(tx, OrderAct.RENEW, account.id, card_id=new_id("crd"), facts=facts)
    else:
        card.due_on = None
        expire(account, card, tx, cards=cards)
        if not any(other.is_open for other in cards) and not making_orders(tx, account.id):
            account.expire()
            told = AccountExpired(account_id=account.id, control_account=account.control_account)
            tx.publish(told, subject=account.id)


def _is_renewed(card: Card, cards: list[Card], tx: Transaction) -> bool:
    """Return whether a card gets a successor: it is in use, and no other one is on its way."""
    alone = not any(other.is_open for other in cards if other is not card)
    return card.state is CardState.ACTIVE and alone and not making_orders(tx, card.account_id)
