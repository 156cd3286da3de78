"""The criteria by which card accounts are found: each has a condition, and what its parameters are in a search.

Conditions are made once. To make a statement anew for each search would take several times as long as to carry it out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from services.accounts.model import CardAccount
from services.accounts.rules import BEFORE_FIRST_NAME
from shared.contracts.accounts import FindAccounts
from shared.database import beginning_parameters, begins_as_given
from shared.days import months_before
from shared.folding import fold_name
from shared.messaging.transaction import Reader

account = CardAccount.__table__.c

Condition = sa.ColumnElement[bool]
Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition on card accounts, and what its parameters are in a search."""

    condition: Condition
    parameters: Callable[[Any, Reader], Parameters]


def criteria_of(query: FindAccounts) -> frozenset[str]:
    """Return the names of the criteria that a search has."""
    return frozenset(name for name in CRITERIA if getattr(query, name) is not None)


def parameters_of(query: FindAccounts, reader: Reader) -> Parameters:
    """Return what the conditions of a search's criteria are given."""
    found: Parameters = {}
    for name in criteria_of(query):
        found |= CRITERIA[name].parameters(getattr(query, name), reader)
    return found


def _same(name: str) -> Criterion:
    return Criterion(account[name] == sa.bindparam(name), lambda value, _: {name: value})


def _any_of(name: str) -> Criterion:
    return Criterion(account[name].in_(sa.bindparam(name, expanding=True)), lambda value, _: {name: value})


def _holds(name: str) -> Condition:
    return account.names.contains(sa.bindparam(name), autoescape=False, escape="/")


def _part(name: str, text: str) -> Parameters:
    for special in "/%_":
        text = text.replace(special, f"/{special}")
    return {name: text}


def _since(day: date) -> Parameters:
    return {"unused_since": day, "opened_before": datetime(day.year, day.month, day.day, tzinfo=UTC)}


_NEVER_USED = sa.and_(account.last_used_on.is_(None), account.opened_at < sa.bindparam("opened_before"))

CRITERIA = {
    **{name: _same(name) for name in ("product", "employee_id", "cost_centre", "universal_number")},
    **{name: _any_of(name) for name in ("status", "payment_status")},
    "name": Criterion(
        sa.or_(begins_as_given(account.name_key, "name"), begins_as_given(account.embossed_name, "name_on_card")),
        lambda name, _: beginning_parameters("name", fold_name(name)) | beginning_parameters("name_on_card", name.upper()),
    ),
    "last_name": Criterion(
        begins_as_given(account.name_key, "last_name"), lambda name, _: beginning_parameters("last_name", fold_name(name))
    ),
    "embossed_name": Criterion(
        begins_as_given(account.embossed_name, "embossed_name"),
        lambda name, _: beginning_parameters("embossed_name", name.upper()),
    ),
    "first_name": Criterion(
        _holds("first_name"), lambda name, _: _part("first_name", BEFORE_FIRST_NAME + fold_name(name))
    ),
    "name_part": Criterion(_holds("name_part"), lambda part, _: _part("name_part", fold_name(part))),
    "months_unused": Criterion(
        sa.or_(account.last_used_on < sa.bindparam("unused_since"), _NEVER_USED),
        lambda months, reader: _since(months_before(reader.now.date(), months)),
    ),
    "dormant": Criterion(
        sa.func.coalesce(account.nil_since <= sa.bindparam("nil_before"), sa.false()) == sa.bindparam("dormant"),
        lambda dormant, reader: {
            "dormant": dormant,
            "nil_before": months_before(reader.now.date(), reader.settings.dormant_months),
        },
    ),
}  # fmt: skip
# No index knows what comes first in order of name among those with a part in their names.
PARTS = frozenset({"name_part", "first_name"})
# Few accounts fit one of these, of whichever company. A cost centre is none: companies number theirs alike.
KNOWN_BY = frozenset({"employee_id", "universal_number"})
