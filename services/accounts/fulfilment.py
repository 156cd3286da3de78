"""What the issuer's processor is asked for each order, and what becomes of it when the processor has answered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa

from services.accounts.issuer import Issuer, Plastic, WantedCard
from services.accounts.model import Card, CardAccount, ControlAccount, Hold, Order, OrderAct, cards_of
from services.accounts.opening import name_on_card, new_account, opened
from services.accounts.plastics import activate, add_card, close, ship
from services.accounts.rules import DELIVERY
from services.accounts.settings import settings_at
from services.accounts.vault import vault_of
from shared.contracts.accounts import OpenAccount
from shared.contracts.cards import AccountReinstated
from shared.contracts.outcomes import CommandRejected
from shared.contracts.schema import tolerant
from shared.days import day_of
from shared.errors import Rejected
from shared.messaging.transaction import Transaction

Question = Callable[[Issuer], Plastic | None]
Result = Mapping[str, Any] | None


def question_of(order: Order, tx: Transaction) -> Question:
    """Return what to ask the processor: all that it needs to know is read now, as no transaction is open then."""
    match order.act:
        case OrderAct.OPEN:
            wanted = _first_card(order, tx)
            return lambda issuer: issuer.open(order.id, wanted)
        case OrderAct.REPLACE | OrderAct.RENEW | OrderAct.REINSTATE:
            further = _further_card(order, tx)
            return lambda issuer: issuer.replace(order.id, further)
        case OrderAct.SHIP:
            return lambda issuer: issuer.ship(order.id, _card_id(order), order.facts or {})
        case OrderAct.ACTIVATE:
            return lambda issuer: issuer.activate(order.id, _card_id(order))
        case OrderAct.CANCEL:
            return lambda issuer: issuer.cancel(order.id, order.account_id)


def fulfil(order: Order, plastic: Plastic | None, tx: Transaction) -> None:
    """Write down what follows from the processor's answer, and finish the request.

    Where the account was cancelled meanwhile, the request is rejected; what the processor made is closed by the order that
    followed with the cancellation. Raises NumberTaken, in the midst of changes: the transaction is to be rolled back.
    """
    asked = order.request(tx)
    try:
        result = _FULFILMENTS[order.act](order, plastic, asked)
    except Rejected as refusal:
        refuse(order, refusal, tx)
        return
    if order.act in _ASKED_FOR:
        asked.complete(result)
    asked.record()
    tx.session.delete(order)


def refuse(order: Order, why: Rejected, tx: Transaction) -> None:
    """Give an order up, and reject the request that wanted it."""
    asked = order.request(tx)
    if order.act in _ASKED_FOR:
        name = asked.envelope.contract.name
        asked.publish(
            CommandRejected(command_id=order.command_id, command=name, code=why.code, message=why.message)
        )
    tx.session.delete(order)
    tx.session.flush()


# What to ask


def _first_card(order: Order, tx: Transaction) -> WantedCard:
    command = _opening(order)
    return WantedCard(
        account_id=order.account_id, card_id=_card_id(order), product=command.product,
        embossed_name=name_on_card(command), ordered_on=day_of(order.placed_at, tx.settings.time_zone),
        good_for_months=_renewal_months(command.control_account, tx),
    )  # fmt: skip


def _further_card(order: Order, tx: Transaction) -> WantedCard:
    account = tx.session.get_one(CardAccount, order.account_id)
    details = dict(order.facts or {})
    replaced = tx.session.get_one(Card, details["replaces"]) if order.keeps_number else None
    return WantedCard(
        account_id=account.id, card_id=_card_id(order), product=account.product, embossed_name=account.embossed_name,
        ordered_on=day_of(order.placed_at, tx.settings.time_zone), details=details,
        good_for_months=_renewal_months(account.control_account, tx),
        number=vault_of(tx.settings).decrypt(replaced.number_encrypted, replaced.id) if replaced else None,
        good_after=replaced.expires_on if replaced and order.act is OrderAct.RENEW else None,
    )  # fmt: skip


def _renewal_months(number: str, tx: Transaction) -> int:
    """Return for how long a card is good under a control account (PRG-02)."""
    tx.batch.load("control_account", [number])
    return settings_at(tx.batch.loaded[ControlAccount][number], tx).renewal_months


def _card_id(order: Order) -> str:
    assert order.card_id
    return order.card_id


def _opening(order: Order) -> OpenAccount:
    return cast(OpenAccount, tolerant(OpenAccount).load(order.facts or {}))


# What follows


def _open(order: Order, plastic: Plastic | None, tx: Transaction) -> Result:
    account = new_account(_opening(order), order.account_id, tx.now)
    tx.add(account)
    tx.session.flush()
    _add(account, order, plastic, tx, cards=[])
    tx.publish(opened(account), subject=account.id)
    return {"account_id": account.id}


def _replace(order: Order, plastic: Plastic | None, tx: Transaction) -> Result:
    account = _account(order, tx)
    account.must_be_open()
    card = _add(account, order, plastic, tx, cards=cards_of(tx.session, [account.id]))
    return {"card_id": card.id}


def _reinstate(order: Order, plastic: Plastic | None, tx: Transaction) -> Result:
    account = _account(order, tx)
    account.reinstate(held=_is_held(account, tx))
    cards = cards_of(tx.session, [account.id])
    close(cards, account, tx)  # they were closed when it was cancelled; nothing may ever revive one
    card = _add(account, order, plastic, tx, cards=cards)
    told = AccountReinstated(account_id=account.id, control_account=account.control_account)
    tx.publish(told, subject=account.id)
    return {"card_id": card.id}


def _ship(order: Order, _: Plastic | None, tx: Transaction) -> Result:
    account = _account(order, tx)
    ship(account, tx.session.get_one(Card, order.card_id), tx)
    return None


def _activate(order: Order, _: Plastic | None, tx: Transaction) -> Result:
    account = _account(order, tx)
    account.must_be_open()
    cards = cards_of(tx.session, [account.id])
    activate(account, next(card for card in cards if card.id == order.card_id), tx, cards=cards)
    return {"card_id": order.card_id}


def _cancel(order: Order, _: Plastic | None, tx: Transaction) -> Result:  # noqa: ARG001
    return None


def _account(order: Order, tx: Transaction) -> CardAccount:
    account: CardAccount = tx.batch.loaded[CardAccount][order.account_id]
    tx.watch(account)
    return account


def _is_held(account: CardAccount, tx: Transaction) -> bool:
    held = sa.exists().where(Hold.account_id == account.id, Hold.in_force, Hold.closed_at.is_(None))
    return bool(tx.session.scalar(sa.select(held)))


def _add(
    account: CardAccount, order: Order, plastic: Plastic | None, tx: Transaction, *, cards: Sequence[Card]
) -> Card:
    assert plastic
    return add_card(
        account, _card_id(order), plastic, tx, cards=cards, keeps_number=order.keeps_number,
        ship_to=_delivery(order, account),
    )  # fmt: skip


def _delivery(order: Order, account: CardAccount) -> dict[str, str | None]:
    """Return where a card goes: where the requester wants it, else to the holder."""
    wanted = {name: (order.facts or {}).get(f"delivery_{name}") for name in DELIVERY}
    if any(wanted.values()):
        return wanted
    home = (account.address_line_1, account.address_line_2, account.address_line_3)
    return dict(zip(DELIVERY, (*home, account.city, account.postcode, account.country), strict=True))


_FULFILMENTS: Mapping[OrderAct, Callable[[Order, Plastic | None, Transaction], Result]] = {
    OrderAct.OPEN: _open,
    OrderAct.REPLACE: _replace,
    OrderAct.RENEW: _replace,
    OrderAct.REINSTATE: _reinstate,
    OrderAct.SHIP: _ship,
    OrderAct.ACTIVATE: _activate,
    OrderAct.CANCEL: _cancel,
}
_ASKED_FOR = frozenset({OrderAct.OPEN, OrderAct.REPLACE, OrderAct.REINSTATE, OrderAct.ACTIVATE})
