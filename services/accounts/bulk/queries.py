"""Reads of uploaded files; `may_see` and `_visible` say the same of one file and of a list of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import Bulk, BulkItem, ControlAccount
from services.accounts.queries.scope import under
from shared.actor import Actor
from shared.contracts.base import Page
from shared.contracts.bulk import BulkItemRow, BulkRow, GetBulk, ItemState, ListBulkItems, ListBulks
from shared.errors import NotFound
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of


def bulk_paths(session: orm.Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each uploaded file that exists, the numbers of the control accounts above all that it names."""
    found = session.execute(
        sa.select(Bulk.id, ControlAccount.path)
        .outerjoin(ControlAccount, ControlAccount.number == Bulk.control_account)
        .where(Bulk.id.in_(ids))
    )
    return {id_: path.split("/") if path else [] for id_, path in found}


def may_see(actor: Actor, function: str, bulk: Bulk, path: Sequence[str]) -> bool:
    """Return whether a file is the actor's own, or nothing in it lies outside the actor's control accounts."""
    return bulk.uploaded_by == actor.user_id or actor.covers(function, path)


def list_bulks(query: ListBulks, reader: Reader) -> Page[BulkRow]:
    """List uploaded files, the newest first."""
    last = decode_cursor(query.cursor, str)
    statement = _visible(reader)
    for column in ("kind", "state", "command_id"):
        wanted = getattr(query, column)
        if wanted is not None:
            statement = statement.where(getattr(Bulk, column) == wanted)
    if last:
        statement = statement.where(Bulk.id < last[0])
    found = reader.session.scalars(statement.order_by(Bulk.id.desc()).limit(query.limit + 1)).all()
    counts = counts_of(reader.session, [bulk.id for bulk in found])
    return page_of(found, query.limit, lambda bulk: _row(bulk, counts[bulk.id]), lambda bulk: (bulk.id,))


def get_bulk(query: GetBulk, reader: Reader) -> BulkRow:
    """Return one uploaded file with how many of its rows stand where."""
    return row_of(_one(query.bulk_id, reader), reader.session)


def list_bulk_items(query: ListBulkItems, reader: Reader) -> Page[BulkItemRow]:
    """List the rows of a file in order."""
    bulk = _one(query.bulk_id, reader)
    last = decode_cursor(query.cursor, int)
    statement = sa.select(BulkItem).where(BulkItem.bulk_id == bulk.id)
    if query.outcome:
        statement = statement.where(BulkItem.state == query.outcome)
    if last:
        statement = statement.where(BulkItem.number > last[0])
    found = reader.session.scalars(statement.order_by(BulkItem.number).limit(query.limit + 1)).all()
    counts = counts_of(reader.session, [bulk.id])[bulk.id]
    total = counts[query.outcome] if query.outcome else sum(counts.values())
    return page_of(found, query.limit, _item, lambda item: (item.number,), total)


def row_of(bulk: Bulk, session: orm.Session) -> BulkRow:
    """Return a file as its readers see it."""
    return _row(bulk, counts_of(session, [bulk.id])[bulk.id])


def counts_of(session: orm.Session, bulk_ids: Sequence[str]) -> dict[str, dict[ItemState, int]]:
    """Return, for each file, how many of its rows stand at each state."""
    counts = {id_: dict.fromkeys(ItemState, 0) for id_ in bulk_ids}
    grouped = sa.select(BulkItem.bulk_id, BulkItem.state, sa.func.count())
    for id_, state, count in session.execute(
        grouped.where(BulkItem.bulk_id.in_(bulk_ids)).group_by(BulkItem.bulk_id, BulkItem.state)
    ):
        counts[id_][state] = count
    return counts


def _visible(reader: Reader) -> sa.Select[Bulk]:
    statement = sa.select(Bulk)
    if reader.control_accounts is None:
        return statement
    below = Bulk.control_account.in_(under(reader.control_accounts))
    return statement.where(sa.or_(Bulk.uploaded_by == reader.actor.user_id, below))


def _one(bulk_id: str, reader: Reader) -> Bulk:
    found = reader.session.scalar(_visible(reader).where(Bulk.id == bulk_id))
    if found is None:
        raise NotFound("file", "bulk_id")
    return found


def _row(bulk: Bulk, counts: dict[ItemState, int]) -> BulkRow:
    return BulkRow(
        bulk_id=bulk.id, kind=bulk.kind, state=bulk.state, rows=sum(counts.values()), uploaded_by=bulk.uploaded_by,
        on_behalf_of=bulk.uploaded_for, uploaded_at=bulk.uploaded_at, command_id=bulk.command_id,
        finished_at=bulk.finished_at, **{state.value: count for state, count in counts.items()},
    )  # fmt: skip


def _item(item: BulkItem) -> BulkItemRow:
    return BulkItemRow(
        row=item.number, account_id=item.account_id, outcome=item.state, code=item.code, column=item.field,
        message=item.message,
    )  # fmt: skip
