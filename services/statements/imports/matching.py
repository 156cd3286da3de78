"""Whose a row is: looked up for a whole batch at once, by one way after another until one names exactly one account."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import card_account, card_number, import_row
from services.statements.queries.billing import IS_CENTRAL, SET_UP

in_hand: Mapping[str, sa.BindParameter[Any]] = {
    "import_id": sa.bindparam("import_id", type_=sa.String),
    "position": sa.bindparam("position", type_=sa.BigInteger),
    "last": sa.bindparam("last", type_=sa.BigInteger),
}
IS_IN_HAND = sa.and_(
    import_row.c.import_id == in_hand["import_id"],
    import_row.c.line > in_hand["position"],
    import_row.c.line <= in_hand["last"],
)
"""The rows of the batch: those of a file between two of its lines."""

match = sa.Table(
    "import_match",
    sa.MetaData(),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("way", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("account_id", sa.String(30)),
    sa.Column("control_account", sa.String(15)),
    sa.Column("accounts", sa.Integer, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""What the ways found, for each row how many accounts; a table of the connection, which costs no log and no vacuum."""

POINTERS = {
    "account_id": import_row.c.account_id,
    "card_number": import_row.c.number_hash,
    "last_four": import_row.c.last_four,
    "employee_id": import_row.c.employee_id,
    "cost_centre": import_row.c.cost_centre,
    "universal_number": import_row.c.universal_number,
    "control_account": import_row.c.control_account,
}
"""In which column of a row stands what a way goes by."""

_FITS: Mapping[str, sa.ColumnElement[bool]] = {
    "account_id": card_account.c.id == POINTERS["account_id"],
    "card_number": card_number.c.number_hash == POINTERS["card_number"],
    "last_four": card_number.c.last_four == POINTERS["last_four"],
    "employee_id": card_account.c.employee_id == POINTERS["employee_id"],
    "cost_centre": card_account.c.cost_centre == POINTERS["cost_centre"],
    "universal_number": card_account.c.universal_number == POINTERS["universal_number"],
}
_BY_CARD = {"card_number", "last_four"}
_WAY = sa.bindparam("way", type_=sa.SmallInteger)
_HOW_MANY = sa.select(sa.func.count()).select_from(match).where(match.c.accounts == 1)


def find_accounts(
    session: orm.Session,
    ways: Sequence[Sequence[str]],
    below: str | None,
    rows: Mapping[str, Any],
    here: Mapping[str, Any],
) -> None:
    """Note for the rows of the batch which account each belongs to.

    ``rows`` says how many there are, and how many of these have each pointer. ``below`` is the control account below which
    accounts are looked for; none stands for everywhere.
    """
    for place, way in enumerate(ways):
        if all(rows[name] for name in way):
            statement = _find_control_accounts() if "control_account" in way else _find_accounts(tuple(way))
            session.execute(statement, {**here, "below": below, "way": place})
            if session.scalar(_HOW_MANY) == rows["rows"]:
                return


def _below(number: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    wanted = sa.cast(sa.bindparam("below"), sa.String)
    levels = (SET_UP.c.number, SET_UP.c.intermediate, SET_UP.c.master)
    inside = sa.select(SET_UP.c.number).where(sa.or_(*(level == wanted for level in levels)))
    return sa.or_(wanted.is_(None), number.in_(inside))


def _is_not_found() -> sa.ColumnElement[bool]:
    found = match.alias("earlier")
    return ~sa.exists().where(found.c.line == import_row.c.line, found.c.accounts == 1)


@cache
def _find_accounts(way: tuple[str, ...]) -> sa.Insert:
    """Note how many card accounts every value of this way together leads to, and which where it is one."""
    accounts: sa.FromClause = card_account
    if _BY_CARD & set(way):
        accounts = accounts.join(card_number, card_number.c.account_id == card_account.c.id)
    different = sa.func.count(card_account.c.id.distinct())
    found = (
        sa.select(
            import_row.c.line,
            _WAY,
            sa.func.min(card_account.c.id).label("account_id"),
            different.label("accounts"),
        )
        .select_from(import_row.join(accounts, sa.and_(*(_FITS[name] for name in way))))
        .where(IS_IN_HAND, _is_not_found(), _below(card_account.c.control_account))
        .group_by(import_row.c.line)
    )
    return sa.insert(match).from_select(["line", "way", "account_id", "accounts"], found)


@cache
def _find_control_accounts() -> sa.Insert:
    """Note which control account a row gives the number of, where that is billed centrally."""
    found = (
        sa.select(import_row.c.line, _WAY, SET_UP.c.number, sa.literal(1))
        .select_from(import_row.join(SET_UP, SET_UP.c.number == POINTERS["control_account"]))
        .where(IS_IN_HAND, IS_CENTRAL, _is_not_found(), _below(SET_UP.c.number))
    )
    return sa.insert(match).from_select(["line", "way", "control_account", "accounts"], found)
