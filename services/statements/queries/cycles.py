"""Which control accounts have a cycle to close (STM-08)."""

from datetime import date
from typing import Any

import sqlalchemy as sa

from services.statements.model import control_account
from services.statements.queries.billing import SET_UP
from services.statements.rules import latest_closing

_DAYS = range(1, 29)
_LEVEL = "basic"
_PLACES_AT_ONCE = 100


def cycles_due(today: date) -> sa.Select[Any]:
    """Select the next basic control accounts that have not closed through their latest cycle day."""
    latest = sa.case({day: latest_closing(today, day) for day in _DAYS}, value=SET_UP.c.billing_cycle_day)
    return (
        sa.select(
            SET_UP.c.number, SET_UP.c.closed_through, SET_UP.c.billing_cycle_day, SET_UP.c.statement_option
        )
        .join(control_account, control_account.c.number == SET_UP.c.number)
        .where(control_account.c.level == _LEVEL, SET_UP.c.closed_through < latest)
        .order_by(SET_UP.c.closed_through, SET_UP.c.number)
        .limit(_PLACES_AT_ONCE)
    )
