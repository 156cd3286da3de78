"""Telling holders in writing that their statements come online only, and that a new one is ready (STM-04, NOT-05)."""

from collections.abc import Sequence

import orjson
import sqlalchemy as sa

from services.statements.model import card_account, control_account, paper_off_due, ready_due, statement
from services.statements.queries.billing import SET_UP, is_online_only
from services.statements.queries.cycles import cycles_due
from shared.contracts.statements import PaperStatementsEnded, StatementAnnounced
from shared.contracts.structure import StatementOption
from shared.contracts.types import Language
from shared.database import given_values, is_postgresql, values_parameter
from shared.days import day_of
from shared.ids import new_id
from shared.messaging.transaction import Transaction

TELL_PAPER_OFF = "tell-paper-off"
TELL_READY = "tell-statements-ready"
_TOLD_AT_ONCE = 500
_READY_AT_ONCE = 1000
_STEPS_AT_ONCE = 100


def tell_paper_off(tx: Transaction) -> int:
    """Tell of the next holders who get no paper any more, and return how many; each is told of by one worker.

    Who asked for that and what the control account says may be heard in any order: who still gets paper waits.
    """
    some = (
        sa.select(card_account, paper_off_due.c.language, SET_UP.c.statement_option)
        .join(paper_off_due, paper_off_due.c.account_id == card_account.c.id)
        .join(SET_UP, SET_UP.c.number == card_account.c.control_account)
        .where(is_online_only(SET_UP.c.statement_option))
        .limit(_TOLD_AT_ONCE)
        .with_for_update(of=paper_off_due, skip_locked=True)
    )
    holders = tx.session.execute(some).all()
    told_of = [holder.id for holder in holders]
    tx.session.execute(sa.delete(paper_off_due).where(paper_off_due.c.account_id.in_(told_of)))
    for holder in holders:
        told = PaperStatementsEnded(
            account_id=holder.id, control_account=holder.control_account, first_name=holder.first_name,
            last_name=holder.last_name, email=holder.email,
            language=Language(holder.language),
            by_holder=holder.statement_option == StatementOption.HOLDER_CHOICE,
        )  # fmt: skip
        tx.publish(told, subject=holder.id)
    if len(holders) == _TOLD_AT_ONCE:
        tx.wake(TELL_PAPER_OFF)
    return len(holders)


def queue_ready(statements: Sequence[str], tx: Transaction) -> None:
    """Have the holders told whose statements were made; they are told later, so that no closing waits for that."""
    if statements:
        step = {"id": new_id("rdy"), "statements": orjson.dumps(statements).decode()}
        tx.session.execute(sa.insert(ready_due).values(step))


def tell_statements_ready(tx: Transaction) -> int:
    """Tell of the next statements that closings made, and return how many; each is told by one worker.

    While a closing is still going on, those that are left have time: to go on at once would take it from the closing.
    """
    some = sa.select(ready_due).order_by(ready_due.c.id).limit(_STEPS_AT_ONCE)
    found = tx.session.execute(some.with_for_update(skip_locked=True)).all()
    steps: list[str] = []
    made: list[str] = []
    for step in found:
        if len(made) < _READY_AT_ONCE:
            steps.append(step.id)
            made += orjson.loads(step.statements)
    if not steps:
        return 0
    tx.session.execute(sa.delete(ready_due).where(ready_due.c.id.in_(steps)))
    ids = given_values(postgresql_=is_postgresql(tx.session))
    ready = tx.session.execute(
        sa.select(
            statement, card_account.c.first_name, card_account.c.last_name, card_account.c.email,
            card_account.c.control_account.label("lies_at"), control_account.c.language,
        )
        .join(card_account, card_account.c.id == statement.c.account_id)
        .join(control_account, control_account.c.number == card_account.c.control_account)
        .where(statement.c.id.in_(ids), card_account.c.email.is_not(None)),
        values_parameter(made),
    ).all()  # fmt: skip
    for one in ready:
        told = StatementAnnounced(
            statement_id=one.id, account_id=one.account_id, control_account=one.lies_at, first_name=one.first_name,
            last_name=one.last_name, email=one.email, language=Language(one.language or Language.ENGLISH),
            closed_on=one.closed_on, due_on=one.due_on, balance=one.balance, currency=one.currency,
        )  # fmt: skip
        tx.publish(told, subject=one.account_id)
    today = day_of(tx.now, tx.settings.time_zone)
    are_more = len(steps) < len(found) or len(found) == _STEPS_AT_ONCE
    if are_more and not tx.session.execute(cycles_due(today).limit(1)).all():
        tx.wake(TELL_READY)
    return len(ready)
