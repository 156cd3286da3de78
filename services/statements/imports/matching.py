"""Whose a row is: looked up for a whole batch at once, by one way after another until one names exactly one account."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.ledger import COLUMNS
from services.statements.model import card_account, card_number, ledger_account
from services.statements.queries.billing import BILLED_IN, BILLED_ON, IS_CENTRAL, SET_UP
from services.statements.rules import SUSPENSE

_POINTERS: Mapping[str, sa.types.TypeEngine[Any]] = {
    "number_hash": sa.String(64),
    "last_four": sa.String(4),
    "employee_id": sa.String(10),
    "universal_number": sa.String(25),
    "named_account": sa.String(30),
    "named_control_account": sa.String(15),
    "reason": sa.String(40),
}
batch = sa.Table(
    "import_batch",
    sa.MetaData(),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    *(sa.Column(name, type_) for name, type_ in {**COLUMNS, **_POINTERS}.items()),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
"""The rows in hand, while they are in hand: a table of the connection, which costs no log and needs no vacuum."""

_WAYS: Mapping[str, sa.ColumnElement[bool]] = {
    "account_id": card_account.c.id == batch.c.named_account,
    "card_number": card_number.c.number_hash == batch.c.number_hash,
    "last_four": card_number.c.last_four == batch.c.last_four,
    "employee_id": card_account.c.employee_id == batch.c.employee_id,
    "cost_centre": card_account.c.cost_centre == batch.c.cost_centre,
    "universal_number": card_account.c.universal_number == batch.c.universal_number,
}
_BY_CARD = {"card_number", "last_four"}
_BY_CONTROL_ACCOUNT = ("control_account",)


def find_accounts(session: orm.Session, ways: Sequence[Sequence[str]], below: str | None) -> None:
    """Give each row of the batch the account that it belongs to and what that is billed on; the rest is for suspense."""
    given = {"below": below}
    for way in ways:
        if tuple(way) == _BY_CONTROL_ACCOUNT:
            session.execute(_name_control_accounts(), given)
        else:
            session.execute(_name_accounts(tuple(way)), given)
    session.execute(_place(), {})
    session.execute(_refuse_other_currencies(), {})
    session.execute(_suspend(), {})


def _below(number: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    wanted = sa.bindparam("below", type_=sa.String)
    levels = (SET_UP.c.number, SET_UP.c.intermediate, SET_UP.c.master)
    inside = sa.select(SET_UP.c.number).where(sa.or_(*(level == wanted for level in levels)))
    return sa.or_(sa.cast(wanted, sa.String).is_(None), number.in_(inside))


@cache
def _name_accounts(way: tuple[str, ...]) -> sa.Update:
    """Name the account of the rows whose every value of this way leads to one and the same."""
    accounts: sa.FromClause = card_account
    if _BY_CARD & set(way):
        accounts = accounts.join(card_number, card_number.c.account_id == card_account.c.id)
    found = (
        sa.select(batch.c.line, sa.func.min(card_account.c.id).label("account"))
        .add_columns(sa.func.count(card_account.c.id.distinct()).label("accounts"))
        .select_from(batch.join(accounts, sa.and_(*(_WAYS[name] for name in way))))
        .where(batch.c.account_id.is_(None), batch.c.ledger_account.is_(None))
        .where(_below(card_account.c.control_account))
        .group_by(batch.c.line)
        .subquery("found")
    )
    only = found.c.accounts == 1
    return (
        sa.update(batch)
        .where(batch.c.line == found.c.line)
        .values(
            account_id=sa.case((only, found.c.account)),
            reason=sa.case((only, sa.null()), else_="several_accounts"),
        )
    )


@cache
def _name_control_accounts() -> sa.Update:
    """Name the control account of the rows that give the number of one that is billed centrally."""
    return (
        sa.update(batch)
        .where(
            batch.c.named_control_account == SET_UP.c.number,
            IS_CENTRAL,
            batch.c.account_id.is_(None),
            _below(SET_UP.c.number),
        )
        .values(control_account=SET_UP.c.number, ledger_account=SET_UP.c.number)
    )


@cache
def _place() -> sa.Update:
    """Say where what belongs to a card account is billed, and give it the account's cost centre if it has none."""
    places = (
        sa.select(
            card_account.c.id, card_account.c.cost_centre, SET_UP.c.number, BILLED_ON.label("billed_on")
        )
        .join(SET_UP, SET_UP.c.number == card_account.c.control_account)
        .where(card_account.c.id.in_(sa.select(batch.c.account_id)))
        .subquery("places")
    )
    return (
        sa.update(batch)
        .where(batch.c.account_id == places.c.id)
        .values(
            control_account=places.c.number,
            ledger_account=places.c.billed_on,
            cost_centre=sa.func.coalesce(batch.c.cost_centre, places.c.cost_centre),
        )
    )


@cache
def _refuse_other_currencies() -> sa.Update:
    """Take the account away from what is not in its currency."""
    billed = (
        sa.select(SET_UP.c.number, BILLED_IN.label("billed_in"), batch.c.line)
        .select_from(
            batch.join(SET_UP, SET_UP.c.number == batch.c.control_account).outerjoin(
                ledger_account, ledger_account.c.id == batch.c.ledger_account
            )
        )
        .subquery("billed")
    )
    return (
        sa.update(batch)
        .where(batch.c.line == billed.c.line, batch.c.currency != billed.c.billed_in)
        .values(ledger_account=sa.null(), account_id=sa.null(), reason="other_currency")
    )


@cache
def _suspend() -> sa.Update:
    """Let what is nobody's stand in suspense until somebody says whose it is."""
    return (
        sa.update(batch)
        .where(batch.c.ledger_account.is_(None))
        .values(
            ledger_account=sa.literal(f"{SUSPENSE}:") + batch.c.currency,
            control_account=sa.null(),
            reason=sa.func.coalesce(batch.c.reason, "unknown_account"),
        )
    )
