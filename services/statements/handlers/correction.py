"""Putting right what was posted wrongly: by an entry of its own, as none is ever changed."""

from typing import Any

import sqlalchemy as sa

from services.statements.handlers.posting import check_currency, post, row_of
from services.statements.imports import suspense
from services.statements.model import entry, ledger_account, posting, suspended
from services.statements.queries.billing import Billed
from services.statements.queries.scope import transaction_paths
from services.statements.rules import CREDITS, counter_of
from shared.contracts.statements import CorrectTransaction, TransactionKind
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Transaction

SOURCE = "correction"


def correct_transaction(command: CorrectTransaction, tx: Transaction) -> dict[str, Any]:
    """Post the difference to what a transaction should have been, on the account and against the account that it moved."""
    wrong = _wrong(command.transaction_id, tx)
    billed = Billed(
        wrong.control_account, (), wrong.ledger_account, wrong.currency, account_id=wrong.account_id
    )
    difference = _right(command, billed, wrong) - wrong.amount
    if not difference:
        raise Rejected("nothing_to_correct", "This is what the transaction says already.", "amount")
    row = row_of(
        TransactionKind.CORRECTION, difference, billed, tx,
        counter=_counter(wrong, tx), merchant=wrong.merchant, merchant_key=wrong.merchant_key,
        transacted_on=wrong.transacted_on, cost_centre=wrong.cost_centre, ledger_code=wrong.ledger_code,
        purpose=command.comment[:250], source=SOURCE, source_key=wrong.id, corrects=wrong.id,
    )  # fmt: skip
    post([row], tx)
    tx.session.execute(sa.update(posting).where(posting.c.id == wrong.id).values(corrected_by=row["id"]))
    return {"transaction_id": row["id"]}


def _wrong(id_: str, tx: Transaction) -> Any:
    """Return a posting, locked, that the actor may correct and that nobody has corrected yet."""
    waiting = sa.select(suspended.c.posting_id).where(suspended.c.posting_id == id_)
    is_suspended = tx.session.scalar(waiting.with_for_update()) is not None
    paths = transaction_paths(tx.session, [id_])
    found = tx.session.execute(
        sa.select(posting, ledger_account.c.control_account)
        .join(ledger_account, ledger_account.c.id == posting.c.ledger_account)
        .where(posting.c.id == id_)
        .with_for_update(of=posting)
    ).one_or_none()
    if found is None or not tx.actor.covers(tx.function or "", paths[id_]):
        raise NotFound("transaction", "transaction_id")
    if is_suspended:
        raise Rejected(
            "in_suspense",
            "Nobody knows yet whose this is; match it, and correct what is on the account then.",
            "transaction_id",
        )
    if found.kind == TransactionKind.CORRECTION:
        raise Rejected(
            "is_correction", "A correction is not corrected; correct what it stands for.", "transaction_id"
        )
    if found.corrected_by:
        raise Rejected(
            "already_corrected", f"This was corrected already, by {found.corrected_by}.", "transaction_id"
        )
    return found


def _right(command: CorrectTransaction, billed: Billed, wrong: Any) -> int:
    if command.amount is None:
        return 0
    check_currency(command.amount, billed, "amount")
    if command.amount.amount < 0:
        raise Rejected(
            "amount_below_zero",
            "The amount must not be below zero; its kind says which way it goes.",
            "amount",
        )
    return -command.amount.amount if wrong.kind in CREDITS else command.amount.amount


def _counter(wrong: Any, tx: Transaction) -> str:
    """Return the internal ledger account on the other side of what was wrong, that before suspense where it came from there."""
    first = wrong.source_key if wrong.source == suspense.SOURCE else wrong.id
    sides = tx.session.execute(
        sa.select(entry.c.debit, entry.c.credit).where(entry.c.posting_id == first, entry.c.place == 1)
    ).one_or_none()
    if sides is None:  # nothing was moved
        return counter_of(TransactionKind(wrong.kind), wrong.currency)
    return str(sides.credit if wrong.amount > 0 else sides.debit)
