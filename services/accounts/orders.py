"""What the issuer's processor is asked to do: written down with the change that wants it, carried out after the commit.

An order is a row as long as it is not done. Whoever takes it up moves its time ahead, so that no other worker does the
same meanwhile; should that worker die, the order falls due again and goes out under the same reference. The orders of an
account go out one after the other, as they were placed: a reinstatement must not overtake the cancellation before it.
"""

import os
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import MAKING, Base, Order, OrderAct, of_request, orders_of
from shared.errors import Rejected
from shared.ids import spell
from shared.messaging.transaction import Transaction

_ORDERS = Base.metadata.tables["issuer_order"]
CARRY_OUT = "carry-out-orders"
_LEASE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(minutes=5)


def new_reference() -> str:
    """Return the id of a new order: in order of time to the nanosecond, as several may be placed in one millisecond."""
    return f"ord_{spell(time.time_ns() << 64 | int.from_bytes(os.urandom(8), 'big'))}"


def place_order(
    tx: Transaction,
    act: OrderAct,
    account_id: str,
    *,
    card_id: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write down what the processor is to do, and have it done right after the commit."""
    order = Order(
        id=new_reference(), act=act, account_id=account_id, card_id=card_id, facts=dict(facts) if facts else None,
        placed_at=tx.now, due_at=tx.now, attempts=0, **of_request(tx),
    )  # fmt: skip
    tx.session.add(order)
    tx.session.flush()  # a later message of the batch must find it
    tx.wake(CARRY_OUT)


def notify_of_cancellation(tx: Transaction, account_id: str) -> None:
    """Write down that the processor is to close an account: nobody waits for it, so that it need not be done at once."""
    tx.insert(
        _ORDERS, id=new_reference(), act=OrderAct.CANCEL.value, account_id=account_id, placed_at=tx.now,
        due_at=tx.now, attempts=0, **of_request(tx),
    )  # fmt: skip


def refuse_while_under_way(tx: Transaction, account_id: str, *acts: OrderAct) -> None:
    """Raise Rejected where the processor is still to do one of these things for an account."""
    if any(order.act in acts for order in orders_of(tx.session, account_id)):
        raise Rejected(
            "already_under_way",
            "The issuer's processor is at work on this already; see the pending changes of the card account.",
            "account_id",
        )


def making_orders(tx: Transaction, account_id: str) -> list[Order]:
    """Return the cards that the processor is still to make for an account."""
    return [order for order in orders_of(tx.session, account_id) if order.act in MAKING]


def take_up(tx: Transaction, most: int) -> list[Order]:
    """Return orders that are due, those due longest first, which are nobody else's for a while.

    Shipping may take days, so nothing waits for it.
    """
    earlier = orm.aliased(Order)
    first = ~sa.exists().where(
        earlier.account_id == Order.account_id, earlier.id < Order.id, earlier.act != OrderAct.SHIP
    )
    due = (
        sa.select(Order)
        .where(Order.due_at <= tx.now, first)
        .order_by(Order.due_at, Order.id)
        .limit(most)
        .with_for_update(skip_locked=True, of=Order)
    )
    orders = list(tx.session.scalars(due))
    for order in orders:
        order.due_at = tx.now + _LEASE
        order.attempts += 1
    return orders


def release(order: Order, now: datetime) -> None:
    """Give back an order that was taken up and not tried."""
    order.due_at, order.attempts = now, order.attempts - 1


def put_off(order: Order, now: datetime) -> None:
    """Let an order wait, the longer the more often it was tried."""
    order.due_at = now + min(timedelta(seconds=2 ** min(order.attempts, 16)), _LONGEST_PAUSE)
