"""Finds card accounts by every criterion, in order of name, within what a caller may see (ACC-01..05, ACC-22).

An index gives the accounts of one control account in order of name, but not those of several at once: so below several
each is asked for its first ones. A part of a name is looked for everywhere first; what many names hold is met soon in
order of name.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from services.accounts.model import Card, CardAccount, ControlAccount
from services.accounts.queries.scope import under, visible
from services.accounts.rules import is_dormant, months_before
from services.accounts.vault import mask, vault_of
from shared.contracts.accounts import AccountRow, FindAccounts, FindAccountsByCard
from shared.contracts.base import Page
from shared.contracts.types import Money
from shared.database import is_postgresql
from shared.folding import fold_name
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

# So many accounts with a part in their names are taken one by one; of more, some come soon in order of name.
MOST_WITH_PART = 2000
MOST_COUNTED = 1000
_HIGHEST = "\U0010ffff"
_ORDER = (CardAccount.name_key, CardAccount.id)
# No more than a row shows: to make objects of whole accounts would take longer than to find them.
_SHOWN = (
    CardAccount.id, CardAccount.name_key, CardAccount.embossed_name, CardAccount.first_name, CardAccount.last_name,
    CardAccount.product, CardAccount.status, CardAccount.payment_status, CardAccount.employee_id,
    CardAccount.cost_centre, CardAccount.universal_number, CardAccount.control_account, CardAccount.balance,
    CardAccount.currency, CardAccount.last_used_on, CardAccount.nil_since, Card.last_four,
)  # fmt: skip
_EQUAL = ("product", "employee_id", "cost_centre", "universal_number")
_ANY_OF = ("status", "payment_status")

Condition = sa.ColumnElement[bool]


def find_accounts(query: FindAccounts, reader: Reader) -> Page[AccountRow]:
    """Find card accounts by every given criterion, in order of name (ACC-01, ACC-03)."""
    last = decode_cursor(query.cursor, str, str)
    conditions, few = _conditions(query, reader), _few_named(query, reader)
    conditions += few
    places = _places(query, reader)
    within = [CardAccount.control_account.in_(places)] if places is not None else []
    start = [sa.tuple_(*_ORDER) > sa.tuple_(*map(sa.literal, last))] if last else []
    first = sa.select(CardAccount.id).where(*conditions, *start).order_by(*_ORDER).limit(query.limit + 1)
    if places is not None and is_postgresql(reader.session) and not (few or _is_known_by(query)):
        each = first.add_columns(CardAccount.name_key)
        ids = _first_of_each(places, each, query.limit + 1)
    else:
        ids = first.where(*within)
    rows = _rows(CardAccount.id.in_(sa.select(ids.subquery().c.id)), reader, live=True)
    return page_of(
        rows, query.limit, lambda row: _row(row, reader), _place,
        _total(rows, query, [*conditions, *within], reader),
    )  # fmt: skip


def find_accounts_by_card(query: FindAccountsByCard, reader: Reader) -> Page[AccountRow]:
    """Find card accounts by card number, whether or not the card is still the live one: no number is decrypted (ACC-04)."""
    vault = vault_of(reader.settings)
    hashes = [vault.hash(number) for number in query.card_numbers]
    # However many plastics bear a number, it has one that was the first.
    first = sa.and_(Card.number_hash.in_(hashes), Card.sequence == 1)
    rows = _rows(first, reader, live=False)
    return page_of(rows, len(hashes), lambda row: _row(row, reader), _place, len(rows))


def _rows(condition: Condition, reader: Reader, *, live: bool) -> list[Any]:
    shown = visible(reader, live=live).with_only_columns(*_SHOWN, maintain_column_froms=True)
    return list(reader.session.execute(shown.where(condition).order_by(*_ORDER)))


# Criteria


def _conditions(query: FindAccounts, reader: Reader) -> list[Condition]:
    found: list[Condition] = [
        getattr(CardAccount, name) == getattr(query, name)
        for name in _EQUAL
        if getattr(query, name) is not None
    ]
    found += [
        getattr(CardAccount, name).in_(getattr(query, name)) for name in _ANY_OF if getattr(query, name)
    ]
    if query.name:
        by_last, by_embossed = _begins(CardAccount.name_key, fold_name(query.name)), _embossed(query.name)
        found.append(sa.or_(by_last, by_embossed))
    if query.last_name:
        found.append(_begins(CardAccount.name_key, fold_name(query.last_name)))
    if query.embossed_name:
        found.append(_embossed(query.embossed_name))
    if query.first_name:
        found.append(CardAccount.name_key.contains(f" {fold_name(query.first_name)}", autoescape=True))
    found += [CardAccount.names.contains(part, autoescape=True) for part in _parts(query)]
    if query.months_unused is not None:
        found.append(_unused_since(months_before(reader.now.date(), query.months_unused)))
    if query.dormant is not None:
        nil = CardAccount.nil_since <= months_before(reader.now.date(), reader.settings.dormant_months)
        found.append(nil.is_(sa.true()) if query.dormant else nil.is_not(sa.true()))
    return found


def _begins(column: InstrumentedAttribute[str], beginning: str) -> Condition:
    return sa.and_(column >= beginning, column < beginning + _HIGHEST)


def _embossed(name: str) -> Condition:
    return _begins(CardAccount.embossed_name, name.upper())


def _parts(query: FindAccounts) -> list[str]:
    """Return the parts of names that are looked for everywhere; shorter ones no index knows."""
    parts = [fold_name(query.name_part)] if query.name_part else []
    return parts + ([f" {fold_name(query.first_name)}"] if query.first_name else [])


def _few_named(query: FindAccounts, reader: Reader) -> list[Condition]:
    """Return a condition that names the accounts with a part in their names, where they are few."""
    holds_all = [CardAccount.names.contains(part, autoescape=True) for part in _parts(query)]
    if not holds_all:
        return []
    some = sa.select(CardAccount.id).where(*holds_all).limit(MOST_WITH_PART + 1)
    found = list(reader.session.scalars(some))
    return [CardAccount.id.in_(found)] if len(found) <= MOST_WITH_PART else []


def _unused_since(day: Any) -> Condition:
    opened_before = CardAccount.opened_at < datetime(day.year, day.month, day.day, tzinfo=UTC)
    never = sa.and_(CardAccount.last_used_on.is_(None), opened_before)
    return sa.or_(CardAccount.last_used_on < day, never)


def _places(query: FindAccounts, reader: Reader) -> sa.Select[str] | None:
    """Select the control accounts in question that the caller may see; None stands for all."""
    places = None if reader.control_accounts is None else under(reader.control_accounts)
    narrower: list[Condition] = []
    if query.control_account:
        narrower.append(ControlAccount.number.in_(under([query.control_account])))
    if query.company_number:
        narrower.append(ControlAccount.company_number == query.company_number)
    if not narrower:
        return places
    found = sa.select(ControlAccount.number).where(*narrower)
    return found if places is None else found.where(ControlAccount.number.in_(places))


def _is_known_by(query: FindAccounts) -> bool:
    """Return whether the query has a criterion that few accounts fit, of whichever company.

    A cost centre is none: companies number theirs alike.
    """
    return bool(query.employee_id or query.universal_number)


def _first_of_each(places: sa.Select[str], each: sa.Select[Any], limit: int) -> sa.Select[Any]:
    """Select the first of what each control account has; together they hold the first of all."""
    place = places.subquery()
    (number,) = place.c
    first = each.where(CardAccount.control_account == number).correlate(place).lateral()
    return sa.select(first.c.id).select_from(place.join(first, sa.true())).order_by(
        first.c.name_key, first.c.id
    ).limit(limit)  # fmt: skip


def _total(
    rows: Sequence[Any], query: FindAccounts, conditions: Sequence[Condition], reader: Reader
) -> int | None:
    """Return how many there are (ACC-05); None where they are too many to count, or where a page is not the first."""
    if query.cursor:
        return None
    if len(rows) <= query.limit:
        return len(rows)
    some = sa.select(CardAccount.id).where(*conditions).limit(MOST_COUNTED + 1).subquery()
    count = reader.session.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return count if count <= MOST_COUNTED else None


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
