"""What was posted before anybody knew whose it is: it goes to its account by a posting of its own, as none is ever changed."""

from typing import Any

import sqlalchemy as sa

from services.statements import ledger
from services.statements.ledger import COLUMNS, suspense_of
from services.statements.model import posting, suspended
from services.statements.queries.billing import Billed, billed_accounts, centrally_billed
from shared.contracts.imports import MatchTransaction
from shared.days import day_of
from shared.errors import NotFound, Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction

SOURCE = "suspense"
_FACTS = COLUMNS.keys() & posting.c.keys()


def match_transaction(command: MatchTransaction, tx: Transaction) -> dict[str, Any]:
    """Post what stands in suspense to an account, against suspense; raises Rejected where it cannot be its."""
    waiting = sa.select(suspended.c.posting_id).where(suspended.c.posting_id == command.transaction_id)
    if tx.session.scalar(waiting.with_for_update()) is None:
        raise NotFound("transaction in suspense", "transaction_id")
    found = (
        tx.session.execute(sa.select(posting).where(posting.c.id == command.transaction_id)).mappings().one()
    )
    billed = _billed(command, tx)
    if billed.currency != found["currency"]:
        raise Rejected(
            "wrong_currency",
            f"This account is billed in {billed.currency}, not in {found['currency']}.",
            "account_id",
        )
    row = {
        **{name: found[name] for name in _FACTS},
        "id": new_id("txn"),
        "account_id": billed.account_id,
        "control_account": billed.control_account,
        "ledger_account": billed.ledger_account,
        "counter": suspense_of(billed.currency),
        "cost_centre": found["cost_centre"] or billed.cost_centre,
        "posted_on": day_of(tx.now, tx.settings.time_zone),
        "source": SOURCE,
        "source_key": found["id"],
        "command_id": tx.envelope.correlation_id,
    }
    tx.wake(ledger.TELL_STANDINGS)
    ledger.post(tx.session, [row], tx.now)
    tx.session.execute(sa.update(posting).where(posting.c.id == found["id"]).values(corrected_by=row["id"]))
    tx.session.execute(sa.delete(suspended).where(suspended.c.posting_id == found["id"]))
    return {"transaction_id": row["id"]}


def _billed(command: MatchTransaction, tx: Transaction) -> Billed:
    if bool(command.account_id) == bool(command.control_account):
        raise Rejected(
            "one_account", "Name the card account or the control account that it belongs to.", "account_id"
        )
    if command.account_id:
        field, found = "account_id", billed_accounts(tx.session, [command.account_id]).get(command.account_id)
    else:
        field, number = "control_account", command.control_account or ""
        found = centrally_billed(tx.session, [number]).get(number)
    if found is None or not tx.actor.covers(tx.function or "", found.path):
        raise NotFound("account", field)
    return found
