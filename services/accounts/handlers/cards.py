"""Replacing and activating cards, and bringing back an account with a new one (ACC-09, ACC-13, Part 2 no. 12)."""

from collections.abc import Sequence
from typing import Any

from services.accounts.contact import check_place, checked_phone
from services.accounts.fulfilment import refuse
from services.accounts.lifecycle import AccountAct, CardAct, account_after, card_after
from services.accounts.model import Card, CardAccount, Order, OrderAct, cards_of
from services.accounts.orders import making_orders, place_order, refuse_while_under_way
from services.accounts.plastics import CARDLESS, close, show_by
from services.accounts.rules import check_replacement, keeps_number
from shared.contracts.cards import ActivateCard, CardState, ReinstateAccount, ReplaceCard
from shared.contracts.outcomes import RequestStatus
from shared.contracts.schema import tolerant
from shared.errors import Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction


def replace_card(command: ReplaceCard, tx: Transaction) -> None:
    """Order a card in place of another, which is closed at once unless it may work on (ACC-09)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    check_replacement(command, tx.now)
    check_place(command.delivery_country, command.delivery_postcode, of="delivery_")
    facts: dict[str, Any] = tolerant(ReplaceCard).dump(command)
    if command.contact_phone:
        facts["contact_phone"] = checked_phone(command.contact_phone, account.country, "contact_phone")
    under_way = making_orders(tx, account.id)
    if any(not order.keeps_number for order in under_way):
        raise Rejected("new_card_on_its_way", "A card with a new number is being made already.", "account_id")
    cards = cards_of(tx.session, [account.id])
    if keeps_number(command.reason):
        facts["replaces"] = _damaged(account, cards, under_way).id
    else:
        for order in under_way:
            refuse(order, Rejected("superseded", "The number is given up, for a card with a new one."), tx)
        close(cards, account, tx)
        show_by(cards, tx)
    place_order(tx, OrderAct.REPLACE, account.id, card_id=new_id("crd"), facts=facts)
    tx.finish_later(RequestStatus.PROCESSING)


def activate_card(command: ActivateCard, tx: Transaction) -> None:
    """Have the newest card made usable (Part 2 no. 12)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    card = cards_of(tx.session, [account.id])[0]
    card_after(card.state, CardAct.ACTIVATE)
    refuse_while_under_way(tx, account.id, OrderAct.ACTIVATE)
    place_order(tx, OrderAct.ACTIVATE, account.id, card_id=card.id)
    tx.finish_later(RequestStatus.PROCESSING)


def reinstate_account(command: ReinstateAccount, tx: Transaction) -> None:
    """Order a new card with a new number for a cancelled account; with it, the account comes back (ACC-13)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account_after(account.status, AccountAct.REINSTATE)
    refuse_while_under_way(tx, account.id, OrderAct.REINSTATE)
    place_order(tx, OrderAct.REINSTATE, account.id, card_id=new_id("crd"))
    tx.finish_later(RequestStatus.PROCESSING)


def _damaged(account: CardAccount, cards: Sequence[Card], under_way: Sequence[Order]) -> Card:
    """Return the card that works on until the one in its place is activated."""
    newest = cards[0]
    if account.product in CARDLESS:
        raise Rejected(
            "no_plastic", "This account has a number but no plastic that could be damaged.", "reason"
        )
    card_after(newest.state, CardAct.CLOSE)
    if newest.state is not CardState.ACTIVE or under_way:
        raise Rejected("new_card_on_its_way", "A new card is on its way already.", "account_id")
    return newest
