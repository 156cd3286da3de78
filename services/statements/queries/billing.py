"""How accounts are billed: what is set at the control account above, or inherited from those above that (STM-05, PRG-02)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import card_account, control_account, ledger_account
from shared.contracts.accounts import StatementDelivery
from shared.contracts.structure import DEFAULT_SETTINGS, BillingModel, StatementOption
from shared.database import given_values, is_postgresql, values_parameter

_BASIC, _ABOVE, _MASTER = (control_account.alias(name) for name in ("basic", "intermediate", "master"))
_SETTINGS = ("billing_cycle_day", "billing_model", "billing_currency", "statement_option")


def _inherited(name: str) -> sa.ColumnElement[Any]:
    levels = (level.c[name] for level in (_BASIC, _ABOVE, _MASTER))
    return sa.func.coalesce(*levels, sa.literal(getattr(DEFAULT_SETTINGS, name))).label(name)


SET_UP = (
    sa.select(
        _BASIC.c.number,
        _ABOVE.c.number.label("intermediate"),
        _MASTER.c.number.label("master"),
        _BASIC.c.closed_through,
        *map(_inherited, _SETTINGS),
    )
    .select_from(
        _BASIC.outerjoin(_ABOVE, _ABOVE.c.number == _BASIC.c.parent).outerjoin(
            _MASTER, _MASTER.c.number == _ABOVE.c.parent
        )
    )
    .subquery("set_up")
)
"""Every control account with the settings of billing in force; for basic ones with those above it."""

IS_CENTRAL = SET_UP.c.billing_model == BillingModel.CENTRAL.value

BILLED_ON = sa.case((IS_CENTRAL, SET_UP.c.number), else_=card_account.c.id)
"""The id of the ledger account on which a card account's transactions stand, for a select that joins it with `SET_UP`."""


def is_online_only(option: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a card account has its statements on no paper, under this option in force (STM-04)."""
    by_holder = sa.and_(
        option == StatementOption.HOLDER_CHOICE.value,
        sa.func.coalesce(card_account.c.delivery, "") == StatementDelivery.PDF_ONLY.value,
    )
    return sa.or_(option == StatementOption.PAPER_OFF.value, by_holder)


BILLED_IN = sa.func.coalesce(ledger_account.c.currency, SET_UP.c.billing_currency)
"""The currency of that ledger account, whether it is there yet or not, for a select that joins `ledger_account` too."""


@dataclass(frozen=True, slots=True)
class Billed:
    """Where what is posted to an account stands. ``path`` has the control accounts above, the master first."""

    control_account: str
    path: tuple[str, ...]
    ledger_account: str
    currency: str
    account_id: str | None = None
    cost_centre: str | None = None


def billed_accounts(session: orm.Session, ids: Iterable[str]) -> Mapping[str, Billed]:
    """Return how card accounts are billed, by id; those that are not known are left out."""
    found = session.execute(_billed_accounts(postgresql_=is_postgresql(session)), values_parameter(ids))
    return {
        row.id: Billed(
            row.number,
            _path(row),
            row.billed_on,
            row.billed_in,
            account_id=row.id,
            cost_centre=row.cost_centre,
        )
        for row in found
    }


def centrally_billed(session: orm.Session, numbers: Iterable[str]) -> Mapping[str, Billed]:
    """Return how control accounts are billed, by number; those that are not, as their card accounts are, are left out."""
    found = session.execute(_centrally_billed(postgresql_=is_postgresql(session)), values_parameter(numbers))
    return {row.number: Billed(row.number, _path(row), row.number, row.billed_in) for row in found}


@cache
def _billed_accounts(*, postgresql_: bool) -> sa.Select[Any]:
    return (
        sa.select(
            card_account.c.id, card_account.c.cost_centre, SET_UP.c.number, SET_UP.c.intermediate, SET_UP.c.master,
            BILLED_ON.label("billed_on"), BILLED_IN.label("billed_in"),
        )
        .join(SET_UP, SET_UP.c.number == card_account.c.control_account)
        .outerjoin(ledger_account, ledger_account.c.id == BILLED_ON)
        .where(card_account.c.id.in_(given_values(postgresql_=postgresql_)))
    )  # fmt: skip


@cache
def _centrally_billed(*, postgresql_: bool) -> sa.Select[Any]:
    return (
        sa.select(SET_UP.c.number, SET_UP.c.intermediate, SET_UP.c.master, BILLED_IN.label("billed_in"))
        .outerjoin(ledger_account, ledger_account.c.id == SET_UP.c.number)
        .where(IS_CENTRAL, SET_UP.c.number.in_(given_values(postgresql_=postgresql_)))
    )


def _path(row: Any) -> tuple[str, ...]:
    return tuple(number for number in (row.master, row.intermediate, row.number) if number)
