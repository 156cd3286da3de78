"""Carrying out what the issuer's processor is to do: asked outside of any transaction, each thing once in effect."""

from collections.abc import Sequence

import sqlalchemy as sa
import structlog

from services.accounts.fulfilment import Question, fulfil, question_of, refuse
from services.accounts.issuer import Issuer, IssuerAway, IssuerRefused, Plastic, issuer_of
from services.accounts.model import Order, OrderAct
from services.accounts.orders import new_reference, put_off, take_up
from services.accounts.plastics import NumberTaken
from shared.database import DatabaseAway
from shared.messaging.transaction import Transaction
from shared.service import Transact

MOST_AT_ONCE = 50
_ROUNDS = 4
_Answer = Plastic | IssuerRefused | IssuerAway | None
_Answered = tuple[Order, _Answer]

log = structlog.get_logger()


def carry_out_orders(transact: Transact) -> int:
    """Have the issuer's processor do what is due, and finish the requests that wanted it; returns how many were done.

    An order is committed as taken up before the processor hears of it, so that no other worker asks meanwhile; whoever
    asks again after a crash does so under the same reference, and gets the same answer. While the processor is away,
    everything waits, the longer the more often it was tried.
    """
    done = 0
    for _ in range(_ROUNDS):
        with transact() as tx:
            issuer = issuer_of(tx.settings)
            taken = [(order, question_of(order, tx)) for order in take_up(tx, MOST_AT_ONCE)]
        answers = _ask(issuer, taken)
        done += _settle(answers, transact)
        if not taken or any(isinstance(answer, IssuerAway) for _, answer in answers):
            break
    return done


def _ask(issuer: Issuer, taken: Sequence[tuple[Order, Question]]) -> list[_Answered]:
    """Ask one after the other; once the processor does not answer, the rest is not even asked."""
    answers: list[_Answered] = []
    away: IssuerAway | None = None
    for order, question in taken:
        answer: _Answer
        try:
            answer = away or question(issuer)
        except IssuerRefused as refusal:
            answer = refusal
        except IssuerAway as error:
            log.warning("issuer away", order=order.id, act=order.act, why=str(error))
            answer = away = error
        except (
            Exception
        ) as error:  # an adapter's defect with one order must not keep the others from being done
            log.exception("order not carried out", order=order.id, act=order.act)
            answer = IssuerAway(repr(error))
        answers.append((order, answer))
    return answers


def _settle(answers: Sequence[_Answered], transact: Transact) -> int:
    """Write down what became of each order; of those from which nothing follows, all at once."""
    away = [order.id for order, answer in answers if isinstance(answer, IssuerAway)]
    if away:
        with transact() as tx:
            for order in _still_there(away, tx):
                put_off(order, tx.now)
    notices = [order.id for order, answer in answers if order.act is OrderAct.CANCEL and answer is None]
    if notices:
        with transact() as tx:
            tx.session.execute(sa.delete(Order).where(Order.id.in_(notices)))
    told = {*away, *notices}
    others = [(order, answer) for order, answer in answers if order.id not in told]
    return len(notices) + sum(_settle_one(order, answer, transact) for order, answer in others)


def _settle_one(order: Order, answer: _Answer, transact: Transact) -> bool:
    try:
        with transact() as tx:
            _write_down(order, answer, tx)
    except NumberTaken:
        with transact() as tx:
            for taken in _still_there([order.id], tx):
                taken.id, taken.due_at = (
                    new_reference(),
                    tx.now,
                )  # under another reference, it gives out another number
        return False
    except DatabaseAway:
        raise
    except Exception:  # what another worker was quicker with, or a defect; it falls due again
        log.exception("order not settled", order=order.id, act=order.act)
        return False
    return True


def _write_down(order: Order, answer: _Answer, tx: Transaction) -> None:
    if order.act is not OrderAct.OPEN:
        tx.batch.load("account", [order.account_id])  # locked before the order, as handlers do
    for mine in _still_there([order.id], tx):
        if isinstance(answer, IssuerRefused):
            refuse(mine, answer, tx)
        else:
            assert not isinstance(answer, IssuerAway)
            fulfil(mine, answer, tx)


def _still_there(ids: Sequence[str], tx: Transaction) -> list[Order]:
    """Return those of these orders, locked, that nobody else has settled."""
    left = sa.select(Order).where(Order.id.in_(ids)).order_by(Order.id).with_for_update()
    return list(tx.session.scalars(left))
