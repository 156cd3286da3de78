"""What was posted before anybody knew whose it is: it goes to its account by a posting of its own, as none is ever changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import sqlalchemy as sa

from services.statements import ledger
from services.statements.ledger import COLUMNS, suspense_of
from services.statements.model import change, import_finding, posting, suspended, suspense_due
from services.statements.payments import tell_payment
from services.statements.queries.billing import Billed, billed_accounts, centrally_billed
from services.statements.rules import SUSPENSE
from shared.contracts.imports import MatchTransaction, RowOutcome
from shared.contracts.statements import TransactionKind
from shared.database import (
    given_rows,
    given_values,
    is_postgresql,
    rows_parameter,
    update_rows,
    values_parameter,
)
from shared.days import day_of
from shared.errors import NotFound, Rejected
from shared.history import note_change
from shared.ids import new_id
from shared.messaging.transaction import Transaction

MATCH_SUSPENSE = "match-suspense"
"""The errand that looks again at what waits; whoever makes something known wakes it."""

WHY_NOBODY: Mapping[str, str] = {
    code: f"{why} It stands in suspense until it is matched."
    for code, why in {
        "other_currency": "Its account is billed in another currency.",
        "several_accounts": "More than one account fits.",
        "unknown_account": "No account fits.",
    }.items()
}
"""Why a row is in suspense, by the code of its finding."""

SOURCE = "suspense"
_FACTS = COLUMNS.keys() & posting.c.keys()


def look_again(subject: str, tx: Transaction) -> None:
    """Have suspense looked through for what a card account or control account could own, or for all of one file."""
    envelope = tx.envelope
    tx.insert(
        suspense_due, id=new_id("sus"), subject=subject, through="", because=envelope.key,
        command_id=envelope.correlation_id,
    )  # fmt: skip
    tx.wake(MATCH_SUSPENSE)


@dataclass(frozen=True, slots=True)
class Leaving:
    """A posting that leaves suspense.

    ``found`` is its row of `posting` with ``import_id`` and ``line`` of `suspended`, which is locked; ``tx`` says by whom
    and why.
    """

    found: sa.RowMapping
    billed: Billed
    tx: Transaction


def leave_suspense(leaving: Sequence[Leaving]) -> Sequence[str]:
    """Post each to its account, against suspense, and return the ids of the new postings; some thousands at most at once."""
    tx = leaving[0].tx
    today = day_of(tx.now, tx.settings.time_zone)
    rows = [_row(each, today) for each in leaving]
    olds = [each.found["id"] for each in leaving]
    tx.wake(ledger.TELL_STANDINGS)
    ledger.post(tx.session, rows, tx.now)
    follows = [[old, row["id"]] for old, row in zip(olds, rows, strict=True)]
    update_rows(tx.session, posting, ("id", "corrected_by"), follows)
    tx.session.execute(_GONE[is_postgresql(tx.session)], values_parameter(olds))
    findings = [
        (each.found["import_id"], each.found["line"], RowOutcome.MATCHED.value, "matched", _matched(row))
        for each, row in zip(leaving, rows, strict=True)
    ]
    note_findings(findings, tx)
    for each, row in zip(leaving, rows, strict=True):
        whose = row["account_id"] or row["control_account"]
        note_change(each.tx, change, row["id"], "account", SUSPENSE, whose)
        if row["kind"] == TransactionKind.PAYMENT.value and row["amount"] < 0:
            tell_payment(row, each.tx)
    return [row["id"] for row in rows]


def _row(leaving: Leaving, today: date) -> dict[str, Any]:
    found, billed = leaving.found, leaving.billed
    return {
        **{name: found[name] for name in _FACTS},
        "id": new_id("txn"),
        "account_id": billed.account_id,
        "control_account": billed.control_account,
        "ledger_account": billed.ledger_account,
        "counter": suspense_of(billed.currency),
        "cost_centre": found["cost_centre"] or billed.cost_centre,
        "posted_on": today,
        "source": SOURCE,
        "source_key": found["id"],
        "command_id": leaving.tx.envelope.correlation_id,
    }


def _matched(row: Mapping[str, Any]) -> str:
    return f"It stood in suspense; since {row['posted_on']} it is {row['id']} of {row['account_id'] or row['control_account']}."


def note_findings(findings: Sequence[tuple[str, int, str, str, str]], tx: Transaction) -> None:
    """Say anew what there is to say of rows: import and line, outcome, code and message of each."""
    tx.session.execute(
        _said_anew(postgresql_=is_postgresql(tx.session)), rows_parameter(tx.session, findings)
    )


@cache
def _said_anew(*, postgresql_: bool) -> sa.Update:
    names = ("import_id", "line", "outcome", "code", "message")
    columns = {name: import_finding.c[name].type for name in names}
    given = given_rows(columns, postgresql_=postgresql_).subquery("said")
    same = sa.and_(import_finding.c.import_id == given.c.import_id, import_finding.c.line == given.c.line)
    return sa.update(import_finding).where(same).values({name: given.c[name] for name in names[2:]})


_GONE = {
    postgresql_: sa.delete(suspended).where(suspended.c.posting_id.in_(given_values(postgresql_=postgresql_)))
    for postgresql_ in (False, True)
}


# By hand


def match_transaction(command: MatchTransaction, tx: Transaction) -> dict[str, Any]:
    """Post what stands in suspense to an account, against suspense; raises Rejected where it cannot be its."""
    waiting = sa.select(suspended.c.posting_id).where(suspended.c.posting_id == command.transaction_id)
    if tx.session.scalar(waiting.with_for_update()) is None:
        raise NotFound("transaction in suspense", "transaction_id")
    wanted = sa.select(posting, suspended.c.import_id, suspended.c.line).join(
        suspended, suspended.c.posting_id == posting.c.id
    )
    found = tx.session.execute(wanted.where(posting.c.id == command.transaction_id)).mappings().one()
    billed = _billed(command, tx)
    if billed.currency != found["currency"]:
        raise Rejected(
            "wrong_currency",
            f"This account is billed in {billed.currency}, not in {found['currency']}.",
            "account_id",
        )
    (matched,) = leave_suspense([Leaving(found, billed, tx)])
    return {"transaction_id": matched}


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
