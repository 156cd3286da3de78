"""Carrying out what the issuer's processor is to do: asked outside of any transaction, each thing once in effect."""

import time
from collections.abc import Sequence

import sqlalchemy as sa
import structlog

from services.accounts.fulfilment import Question, fulfil, question_of, refuse
from services.accounts.issuer import Issuer, IssuerAway, IssuerRefused, Plastic, issuer_of
from services.accounts.model import Order, OrderAct
from services.accounts.orders import new_reference, put_off, release, take_up
from services.accounts.plastics import NumberTaken
from shared.database import DatabaseAway
from shared.messaging.transaction import Transaction
from shared.service import Transact

_MOST_AT_ONCE = 50
# A worker consumes nothing meanwhile, and who cancels a card does not wait for another one's to be made.
LONGEST_RUN_SECONDS = 0.3
_Answer = Plastic | IssuerRefused | IssuerAway | None
_Answered = tuple[Order, _Answer]


class _Defect(IssuerAway):
    """Something is wrong with one order or with the adapter; it is tried again, and the others go on."""


log = structlog.get_logger()


def carry_out_orders(transact: Transact) -> int:
    """Have the issuer's processor do what is due, and finish the requests that wanted it; returns how many were done.

    An order is committed as taken up before the processor hears of it, so that no other worker asks meanwhile; whoever
    asks again after a crash does so under the same reference, and gets the same answer. While the processor is away,
    everything waits, the longer the more often it was tried.
    """
    until = time.perf_counter() + LONGEST_RUN_SECONDS
    done = 0
    while time.perf_counter() < until:
        with transact() as tx:
            issuer = issuer_of(tx.settings)
            taken = [(order, _prepare(order, tx)) for order in take_up(tx, _MOST_AT_ONCE)]
        if not taken:
            break
        answers = _ask(issuer, taken, until)
        done += _settle(answers, transact)
        if len(answers) < len(taken):
            with transact() as tx:
                for order in _still_there([order.id for order, _ in taken[len(answers) :]], tx):
                    release(order, tx.now)
        if any(type(answer) is IssuerAway for _, answer in answers):
            break
    return done


def _prepare(order: Order, tx: Transaction) -> Question:
    """Return what to ask; where that cannot even be put together, a question that fails."""
    try:
        return question_of(order, tx)
    except Exception as error:
        log.exception("order not understood", order=order.id, act=order.act)
        defect = _Defect(repr(error))

    def fail(_: Issuer) -> None:
        raise defect

    return fail


def _ask(issuer: Issuer, taken: Sequence[tuple[Order, Question]], until: float) -> list[_Answered]:
    """Ask one after the other while there is time; once the processor does not answer, the rest is not even asked."""
    answers: list[_Answered] = []
    away: IssuerAway | None = None
    for order, question in taken:
        if time.perf_counter() >= until and not away:
            break
        answer: _Answer
        try:
            answer = away or question(issuer)
        except IssuerRefused as refusal:
            answer = refusal
        except _Defect as defect:
            answer = defect
        except IssuerAway as error:
            log.warning("issuer away", order=order.id, act=order.act, why=str(error))
            answer = away = error
        except Exception as error:
            log.exception("order not carried out", order=order.id, act=order.act)
            answer = _Defect(repr(error))
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
                taken.id = new_reference()  # under which the processor gives out another number
                taken.due_at = tx.now
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
