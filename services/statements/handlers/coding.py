"""Coding: how the client books what was spent, beside the posting, which nobody changes (Part 2 no. 15)."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.statements.model import change, coding, exported, posting
from services.statements.queries.scope import transaction_paths
from shared.contracts.reconciliation import CodeTransactions, CodingField, TransactionsCoded
from shared.database import insert, is_postgresql
from shared.errors import NotFound, Rejected
from shared.history import note_change
from shared.messaging.transaction import Transaction

_FIELDS = tuple(field.value for field in CodingField)


def code_transactions(command: CodeTransactions, tx: Transaction) -> dict[str, Any]:
    """Code transactions, all or none; a history says how each was coded before."""
    changes = _changes(command)
    ids = list(dict.fromkeys(command.transaction_ids))
    found = _lock(ids, tx)
    _must_be_free(ids, tx)
    before = {
        row.posting_id: {name: getattr(row, name) for name in _FIELDS}
        for row in tx.session.execute(sa.select(coding).where(coding.c.posting_id.in_(ids)))
    }
    after = {id_: {**dict.fromkeys(_FIELDS), **before.get(id_, {}), **changes} for id_ in ids}
    for id_ in ids:
        _note(found[id_], before.get(id_, {}), after[id_], tx)
    _keep(after, tx)
    told = {name: getattr(command, name) for name in (*_FIELDS, "clear")}
    tx.publish(TransactionsCoded(transaction_ids=ids, **told))
    return {"transactions": len(ids)}


def _changes(command: CodeTransactions) -> dict[str, str | None]:
    """Return what is set and, as null, what is emptied; raises Rejected where that is nothing or contradicts itself."""
    given = {name: value for name in _FIELDS if (value := getattr(command, name)) is not None}
    cleared = {field.value for field in command.clear or ()}
    if not (given or cleared):
        raise Rejected(
            "nothing_to_code", "Say at least one of the fields by which the transactions are booked."
        )
    both = sorted(cleared & given.keys())
    if both:
        raise Rejected("set_and_cleared", f"The {both[0]} cannot be set and emptied at once.", both[0])
    return {**given, **dict.fromkeys(cleared)}


def _lock(ids: Sequence[str], tx: Transaction) -> Mapping[str, Any]:
    """Return postings that the actor may code, locked in the order in which an export locks them."""
    locked = tx.session.execute(
        sa.select(posting).where(posting.c.id.in_(ids)).order_by(posting.c.id).with_for_update()
    )
    found = {row.id: row for row in locked}
    paths = transaction_paths(tx.session, ids)
    for place, id_ in enumerate(ids):
        if id_ not in found or not tx.actor.covers(tx.function or "", paths[id_]):
            raise NotFound("transaction", f"transaction_ids/{place}")
    return found


def _must_be_free(ids: Sequence[str], tx: Transaction) -> None:
    held = {
        row.posting_id: row.export_id
        for row in tx.session.execute(sa.select(exported).where(exported.c.posting_id.in_(ids)))
    }
    for place, id_ in enumerate(ids):
        if id_ in held:
            raise Rejected(
                "transaction_exported",
                f"This transaction is in the export {held[id_]}; cancel that export to code it anew.",
                f"transaction_ids/{place}",
            )


def _note(posted: Any, before: Mapping[str, Any], after: Mapping[str, Any], tx: Transaction) -> None:
    """Write down what changes, where nothing was coded from what was posted."""
    for name in _FIELDS:
        as_posted = getattr(posted, name, None)
        old, new = before.get(name) or as_posted, after[name] or as_posted
        if old != new:
            note_change(tx, change, posted.id, name, old, new)


def _keep(after: Mapping[str, Mapping[str, Any]], tx: Transaction) -> None:
    by = {"coded_by": tx.actor.user_id, "coded_at": tx.now}
    rows = [{"posting_id": id_, **fields, **by} for id_, fields in after.items() if any(fields.values())]
    if rows:
        kept = insert(coding, postgresql_=is_postgresql(tx.session)).values(rows)
        anew = {name: kept.excluded[name] for name in (*_FIELDS, *by)}
        tx.session.execute(kept.on_conflict_do_update(index_elements=[coding.c.posting_id], set_=anew))
    empty = [id_ for id_, fields in after.items() if not any(fields.values())]
    if empty:
        tx.session.execute(sa.delete(coding).where(coding.c.posting_id.in_(empty)))
