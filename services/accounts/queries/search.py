"""Finds card accounts by every criterion, in order of name, within what a caller may see (ACC-01..05, ACC-22).

An index gives the accounts of one control account in order of name, but not those of several at once: so below several
each is asked for its first ones. Who may see many accounts has a part of a name looked for among all names at once;
what many names hold is met soon in order of name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sqlalchemy as sa

from services.accounts.model import Card, ControlAccount, live_accounts
from services.accounts.queries.criteria import (
    CRITERIA,
    KNOWN_BY,
    PARTS,
    Condition,
    Parameters,
    account,
    criteria_of,
    parameters_of,
)
from services.accounts.queries.scope import at_or_below, visible
from services.accounts.rules import is_dormant
from services.accounts.vault import mask, vault_of
from shared.contracts.accounts import AccountRow, FindAccounts, FindAccountsByCard
from shared.contracts.base import Page
from shared.contracts.types import Money
from shared.database import given_values, is_postgresql, values_parameter, written
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

# So many accounts are looked through for a part of a name; of more, an index tells which have it.
MOST_LOOKED_THROUGH = 20_000
# So many accounts with a part in their names are taken one by one; of more, some come soon in order of name.
MOST_WITH_PART = 2000
MOST_COUNTED = 1000
_NAMED = "named"
_ORDER = (account.name_key, account.id)
# No more than a row shows: to make objects of whole accounts would take longer than to find them.
_SHOWN = (
    account.id, account.name_key, account.embossed_name, account.first_name, account.last_name, account.product,
    account.status, account.payment_status, account.employee_id, account.cost_centre, account.universal_number,
    account.control_account, account.balance, account.currency, account.last_used_on, account.nil_since,
    Card.__table__.c.last_four,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What searches have in common whose statements are the same: all but the values that are looked for.

    ``places`` are the criteria on the control account. ``everywhere`` is whether the caller may see all, ``granted`` whether
    some by their place, ``owns`` whether some as their holder. ``goes_on`` is whether a page was before, ``named`` whether
    the accounts that a part of a name fits are given one by one.
    """

    criteria: frozenset[str]
    places: frozenset[str]
    everywhere: bool
    granted: bool
    goes_on: bool
    postgresql: bool
    owns: bool = False
    named: bool = False

    @property
    def anywhere(self) -> bool:
        """Whether it does not matter which control account an account hangs under."""
        return self.everywhere and not self.places

    @property
    def goes_by_place(self) -> bool:
        """Whether each control account is asked for its first ones; SQLite cannot."""
        few = self.named or self.owns or self.criteria & KNOWN_BY
        return self.postgresql and not self.anywhere and not few


def find_accounts(query: FindAccounts, reader: Reader) -> Page[AccountRow]:
    """Find card accounts by every given criterion, in order of name (ACC-01, ACC-03)."""
    shape, given = _shape(query, reader), _parameters(query, reader)
    if shape.criteria & PARTS and not _are_soon_looked_through(shape, given, reader):
        named = reader.session.scalars(_with_part(shape), given | {"most": MOST_WITH_PART + 1}).all()
        if len(named) <= MOST_WITH_PART:
            shape, given = replace(shape, named=True), given | values_parameter(named, _NAMED)
    rows = reader.session.execute(_page(shape), given).all()
    return page_of(
        rows, query.limit, lambda row: _row(row, reader), _place, _total(rows, query, shape, given, reader)
    )


def find_accounts_by_card(query: FindAccountsByCard, reader: Reader) -> Page[AccountRow]:
    """Find card accounts by card number, whether or not the card is still the live one: no number is decrypted (ACC-04)."""
    vault = vault_of(reader.settings)
    hashes = [vault.hash(number) for number in query.card_numbers]
    # However many plastics bear a number, it has one that was the first.
    first = sa.and_(Card.number_hash.in_(hashes), Card.sequence == 1)
    shown = visible(reader, live=False).with_only_columns(*_SHOWN, maintain_column_froms=True)
    rows = reader.session.execute(shown.where(first).order_by(*_ORDER)).all()
    return page_of(rows, len(hashes), lambda row: _row(row, reader), _place, len(rows))


# What is asked


def _shape(query: FindAccounts, reader: Reader) -> Shape:
    return Shape(
        criteria=criteria_of(query),
        places=frozenset(name for name in _PLACES if getattr(query, name) is not None),
        everywhere=reader.control_accounts is None,
        granted=bool(reader.control_accounts),
        goes_on=query.cursor is not None,
        postgresql=is_postgresql(reader.session),
        owns=bool(reader.own_accounts) and reader.control_accounts is not None,
    )


def _parameters(query: FindAccounts, reader: Reader) -> Parameters:
    last_name_key, last_id = decode_cursor(query.cursor, str, str) or (None, None)
    return parameters_of(query, reader) | {
        "granted": sorted(reader.control_accounts or ()), "own": sorted(reader.own_accounts),
        "control_account": query.control_account, "company_number": query.company_number,
        "last_name_key": last_name_key, "last_id": last_id, "limit": query.limit + 1,
    }  # fmt: skip


def _are_soon_looked_through(shape: Shape, given: Parameters, reader: Reader) -> bool:
    """Return whether so few accounts are in question that each can be looked at."""
    if not shape.postgresql or shape.owns:  # there is no other way, or there are few
        return True
    return not shape.anywhere and (reader.session.scalar(_size(shape), given) or 0) <= MOST_LOOKED_THROUGH


def _total(
    rows: Sequence[Any], query: FindAccounts, shape: Shape, given: Parameters, reader: Reader
) -> int | None:
    """Return how many there are (ACC-05); None where they are too many to count, or where a page is not the first."""
    if query.cursor:
        return None
    if len(rows) <= query.limit:
        return len(rows)
    count = reader.session.scalar(_count(shape), given | {"most": MOST_COUNTED + 1}) or 0
    return count if count <= MOST_COUNTED else None


# Statements: each is made once


@cache
def _page(shape: Shape) -> sa.Select[Any]:
    """Select what a page shows."""
    first = _first_of_each(shape) if shape.goes_by_place else _first(shape)
    found = first.subquery("found")
    card = Card.__table__
    return (
        sa.select(*_SHOWN)
        .join_from(found, account.id.table, account.id == found.c.id)
        .join(card, sa.and_(card.c.account_id == account.id, card.c.live))
        .order_by(*_ORDER)
    )


def _first(shape: Shape) -> sa.Select[Any]:
    """Select the first accounts that fit, in order of name."""
    fit = sa.select(*_ORDER).where(*_conditions(shape))
    return _in_order(fit.where(*_seen(shape)), shape)


def _first_of_each(shape: Shape) -> sa.Select[Any]:
    """Select the first of what each control account has; together they hold the first of all."""
    fit = sa.select(*_ORDER).where(*_conditions(shape))
    together = _of_each_place(_in_order(fit, shape), shape)
    return together.order_by("name_key", "id").limit(written("limit"))


def _of_each_place(fit: sa.Select[Any], shape: Shape) -> sa.Select[Any]:
    """Select what this selects of each control account in question."""
    place = _places(shape).subquery("place")
    each = fit.where(account.control_account == place.c.number).correlate(place).lateral("each")
    return sa.select(*each.c).select_from(place.join(each, sa.true()))


def _in_order(fit: sa.Select[Any], shape: Shape) -> sa.Select[Any]:
    if shape.goes_on:
        last = (sa.bindparam("last_name_key", type_=sa.String), sa.bindparam("last_id", type_=sa.String))
        fit = fit.where(sa.tuple_(*_ORDER) > sa.tuple_(*last))
    return fit.order_by(*_ORDER).limit(written("limit"))


@cache
def _count(shape: Shape) -> sa.Select[int]:
    """Select how many accounts fit, as far as they are counted."""
    fit = sa.select(account.id).where(*_conditions(shape))
    if shape.goes_by_place:
        fit = _of_each_place(_at_most(fit), shape)
    else:
        fit = fit.where(*_seen(shape))
    return sa.select(sa.func.count()).select_from(_at_most(fit).subquery())


@cache
def _with_part(shape: Shape) -> sa.Select[str]:
    """Select the accounts, whoever's they are, that a part of a name fits."""
    return _at_most(
        sa.select(account.id).where(*(CRITERIA[name].condition for name in shape.criteria & PARTS))
    )


def _at_most(select: sa.Select[Any]) -> sa.Select[Any]:
    return select.limit(written("most"))


@cache
def _size(shape: Shape) -> sa.Select[int]:
    """Select how many live accounts hang under the control accounts in question."""
    live = sa.select(sa.func.sum(live_accounts.c.difference))
    return live.where(live_accounts.c.control_account.in_(_places(shape)))


def _seen(shape: Shape) -> list[Condition]:
    """Return the conditions that the caller may see an account, and that it hangs where it is looked for."""
    if shape.anywhere:
        return []
    by_place = account.control_account.in_(_places(shape))
    if not shape.owns:
        return [by_place]
    looked_for = _seen(replace(shape, everywhere=True, owns=False))
    own = sa.and_(account.id.in_(sa.bindparam("own", expanding=True)), *looked_for)
    # Where nothing is granted, to ask for it all the same would have every account looked at.
    return [sa.or_(by_place, own) if shape.granted else own]


def _conditions(shape: Shape) -> list[Condition]:
    conditions = [CRITERIA[name].condition for name in sorted(shape.criteria)]
    if shape.named:
        conditions.append(account.id.in_(given_values(_NAMED, postgresql_=shape.postgresql)))
    return conditions


_NODE = ControlAccount.__table__.alias("node")
_WANTED = ControlAccount.__table__.alias("wanted")
_PLACES: dict[str, Condition] = {
    "control_account": sa.select(_WANTED.c.number)
    .where(
        _WANTED.c.number == sa.bindparam("control_account"), at_or_below(_WANTED.c.path, _NODE.c.path)
    )
    .exists(),
    "company_number": _NODE.c.company_number == sa.bindparam("company_number"),
}  # fmt: skip


def _places(shape: Shape) -> sa.Select[str]:
    """Select the control accounts in question that the caller may see, each once."""
    found = sa.select(_NODE.c.number).where(*(_PLACES[name] for name in sorted(shape.places)))
    if shape.everywhere:
        return found
    top = ControlAccount.__table__.alias("top")
    granted = top.c.number.in_(sa.bindparam("granted", expanding=True))
    return found.join(top, at_or_below(top.c.path, _NODE.c.path)).where(granted).distinct()


# From rows to views


def _place(row: Any) -> tuple[str, str]:
    return row.name_key, row.id


def _row(row: Any, reader: Reader) -> AccountRow:
    known = row.balance is not None and row.currency
    return AccountRow(
        account_id=row.id, embossed_name=row.embossed_name, first_name=row.first_name, last_name=row.last_name,
        card_number=mask(row.last_four), product=row.product, status=row.status, payment_status=row.payment_status,
        employee_id=row.employee_id, cost_centre=row.cost_centre, universal_number=row.universal_number,
        control_account=row.control_account,
        balance=Money(amount=row.balance, currency=row.currency) if known else None,
        last_used_on=row.last_used_on,
        dormant=is_dormant(row.nil_since, reader.now.date(), reader.settings.dormant_months),
    )  # fmt: skip
