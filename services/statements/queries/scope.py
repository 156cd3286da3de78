"""What a caller may see: `under` is the only way to it."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import card_account, control_account, export, posting, statement
from services.statements.queries.billing import SET_UP
from shared.messaging.transaction import Reader


def under(numbers: Iterable[str]) -> sa.Select[str]:
    """Select the numbers of the basic control accounts at or below these."""
    wanted = sorted(numbers)
    levels = (SET_UP.c.number, SET_UP.c.intermediate, SET_UP.c.master)
    return sa.select(SET_UP.c.number).where(sa.or_(*(level.in_(wanted) for level in levels)))


def within(
    reader: Reader, column: sa.ColumnElement[str], account: sa.ColumnElement[str] | None = None
) -> Sequence[sa.ColumnElement[bool]]:
    """Return the conditions under which a column names a basic control account that the caller may see.

    What ``account`` names is seen by its holder too, wherever it is.
    """
    if reader.control_accounts is None:
        return []
    seen = column.in_(under(reader.control_accounts))
    if account is None or not reader.own_accounts:
        return [seen]
    return [sa.or_(seen, account.in_(sorted(reader.own_accounts)))]


def transaction_paths(session: orm.Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each transaction that exists, the control accounts above it; above what is in suspense there is none."""
    account = posting.outerjoin(card_account, card_account.c.id == posting.c.account_id)
    place = sa.case(
        (posting.c.account_id.is_not(None), card_account.c.control_account), else_=posting.c.ledger_account
    )
    found = sa.select(posting.c.id, place.label("place")).select_from(account).where(posting.c.id.in_(ids))
    return _paths(session, found)


def statement_paths(session: orm.Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each statement that exists, the control accounts above what it bills."""
    found = (
        sa.select(
            statement.c.id,
            sa.func.coalesce(card_account.c.control_account, statement.c.control_account).label("place"),
        )
        .outerjoin(card_account, card_account.c.id == statement.c.account_id)
        .where(statement.c.id.in_(ids))
    )
    return _paths(session, found)


def export_paths(session: orm.Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each export that exists, the control accounts above what it exports, that one included."""
    found = sa.select(export.c.id, export.c.control_account.label("place")).where(export.c.id.in_(ids))
    return _paths(session, found)


def control_account_paths(session: orm.Session, numbers: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each control account that exists, those above it and itself."""
    number = control_account.c.number
    found = sa.select(number.label("id"), number.label("place")).where(number.in_(numbers))
    return _paths(session, found)


def _paths(session: orm.Session, things: sa.Select[str, str]) -> dict[str, list[str]]:
    placed = things.subquery("placed")
    rows = session.execute(
        sa.select(placed.c.id, SET_UP.c.master, SET_UP.c.intermediate, SET_UP.c.number).outerjoin_from(
            placed, SET_UP, SET_UP.c.number == placed.c.place
        )
    )
    return {id_: [number for number in path if number] for id_, *path in rows}
