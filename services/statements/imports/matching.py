"""Whose a row is: looked up for a whole batch at once, by one way after another until one names exactly one account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.schema import CreateTable

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

POINTERS = {
    "account_id": "account_id",
    "card_number": "number_hash",
    "last_four": "last_four",
    "employee_id": "employee_id",
    "cost_centre": "cost_centre",
    "universal_number": "universal_number",
    "control_account": "control_account",
}
"""In which column of a row stands what a way goes by."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows whose accounts are looked for: a table with a line for each and the columns of `POINTERS`, and which are meant."""

    table: sa.Table
    are_meant: sa.ColumnElement[bool]

    def pointer(self, name: str) -> sa.Column[Any]:
        """Return the column in which stands what a way goes by."""
        return self.table.c[POINTERS[name]]


BATCH_OF_A_FILE = Rows(import_row, IS_IN_HAND)

match = sa.Table(
    "import_match",
    sa.MetaData(),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("way", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("account_id", sa.String(30)),
    sa.Column("control_account", sa.String(15)),
    sa.Column("cost_centre", sa.String(10)),
    sa.Column("accounts", sa.Integer, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""What the ways found: for each row how many accounts, and of one the basic control account and the cost centre.

Without an account it is the control account itself that was found. A table of the connection costs no log and no vacuum.
"""

_KNOWN: Mapping[str, sa.Column[Any]] = {
    "account_id": card_account.c.id,
    "card_number": card_number.c.number_hash,
    "last_four": card_number.c.last_four,
    "employee_id": card_account.c.employee_id,
    "cost_centre": card_account.c.cost_centre,
    "universal_number": card_account.c.universal_number,
}
_BY_CARD = {"card_number", "last_four"}
_UNIQUE = {"account_id", "card_number"}
_NOTED = card_account.c.id, card_account.c.control_account, card_account.c.cost_centre
_ONE: sa.ColumnElement[int] = sa.literal_column("1")
_below = sa.bindparam("below", type_=sa.String)
_BELOW = sa.select(SET_UP.c.number).where(
    sa.or_(*(level == _below for level in (SET_UP.c.number, SET_UP.c.intermediate, SET_UP.c.master)))
)
_WAY = sa.bindparam("way", type_=sa.SmallInteger)
_HOW_MANY = sa.select(sa.func.count()).select_from(match).where(match.c.accounts == 1)


def clear(session: orm.Session, *tables: sa.Table) -> None:
    """See to it that temporary tables are there, and that nothing is in them."""
    for table in tables:
        session.execute(CreateTable(table, if_not_exists=True))
        session.execute(sa.delete(table))


def find_accounts(
    session: orm.Session,
    rows: Rows,
    ways: Sequence[Sequence[str]],
    below: str | None,
    counts: Mapping[str, Any],
    here: Mapping[str, Any],
) -> None:
    """Note in `match`, which is empty, which account each of the rows belongs to.

    ``counts`` says how many ``rows`` there are, and how many of these have each pointer; ``here`` has the parameters by
    which they are meant. ``below`` is the control account below which accounts are looked for; none stands for everywhere.
    """
    for place, way in enumerate(ways):
        if all(counts[name] for name in way):
            statement = _finding(rows, tuple(way), narrowed=below is not None)
            session.execute(statement, {**here, "below": below, "way": place})
            if session.scalar(_HOW_MANY) == counts["rows"]:
                return


@cache
def _finding(rows: Rows, way: tuple[str, ...], *, narrowed: bool) -> sa.Insert:
    """Note how many accounts every value of this way together leads to, and which where it is one."""
    if "control_account" in way:
        found, place = _control_accounts(rows), SET_UP.c.number
    elif _UNIQUE & set(way):
        found, place = _only_accounts(rows, way), card_account.c.control_account
    else:
        found, place = _accounts(rows, way), card_account.c.control_account
    found = found.where(rows.are_meant, _is_not_found(rows))
    if narrowed:
        found = found.where(place.in_(_BELOW))
    return sa.insert(match).from_select([column.name for column in match.c], found)


def _accounts(rows: Rows, way: tuple[str, ...]) -> sa.Select[Any]:
    different, line = sa.func.count(card_account.c.id.distinct()), rows.table.c.line
    found = sa.select(line, _WAY, *map(sa.func.min, _NOTED), different)
    return found.select_from(_rows_with_accounts(rows, way)).group_by(line)


def _only_accounts(rows: Rows, way: tuple[str, ...]) -> sa.Select[Any]:
    return sa.select(rows.table.c.line, _WAY, *_NOTED, _ONE).select_from(_rows_with_accounts(rows, way))


def _control_accounts(rows: Rows) -> sa.Select[Any]:
    """Select the control accounts whose numbers rows give, where these are billed centrally."""
    named = rows.table.join(SET_UP, SET_UP.c.number == rows.pointer("control_account"))
    found = sa.select(rows.table.c.line, _WAY, sa.null(), SET_UP.c.number, sa.null(), _ONE)
    return found.select_from(named).where(IS_CENTRAL)


def _rows_with_accounts(rows: Rows, way: tuple[str, ...]) -> sa.FromClause:
    accounts: sa.FromClause = card_account
    if _BY_CARD & set(way):
        accounts = accounts.join(card_number, card_number.c.account_id == card_account.c.id)
    return rows.table.join(accounts, sa.and_(*(_KNOWN[name] == rows.pointer(name) for name in way)))


def _is_not_found(rows: Rows) -> sa.ColumnElement[bool]:
    found = match.alias("earlier")
    return ~sa.exists().where(found.c.line == rows.table.c.line, found.c.accounts == 1)
