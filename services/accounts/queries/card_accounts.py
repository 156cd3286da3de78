"""Reads of card accounts."""

from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import Card, CardAccount, ControlAccount, change, open_holds
from services.accounts.queries.scope import under, visible
from services.accounts.vault import mask, vault_of
from shared.contracts.accounts import (
    AccountProfile,
    AccountRow,
    FindAccounts,
    FindAccountsByCard,
    GetAccount,
    GetAccountHistory,
    HoldView,
)
from shared.contracts.base import Page
from shared.contracts.history import FieldChange
from shared.database import given_values, is_postgresql, values_parameter
from shared.errors import NotFound
from shared.folding import fold_name
from shared.history import history_page
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

_HIGHEST = "\U0010ffff"


def load_accounts(session: orm.Session, ids: Sequence[str]) -> dict[str, CardAccount]:
    """Return card accounts by id with their place in the structure, locked in id order."""
    found = session.scalars(_loading(postgresql_=is_postgresql(session)), values_parameter(ids))
    return {account.id: account for account in found}


@cache
def _loading(*, postgresql_: bool) -> sa.Select[CardAccount]:
    return (
        sa.select(CardAccount)
        .where(CardAccount.id.in_(given_values(postgresql_=postgresql_)))
        .join(CardAccount.structure)
        .options(orm.contains_eager(CardAccount.structure).load_only(ControlAccount.path))
        .order_by(CardAccount.id)
        .with_for_update(of=CardAccount)
    )


def account_paths(session: orm.Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each card account that exists, the numbers of the control accounts above it."""
    found = session.execute(_account_paths(postgresql_=is_postgresql(session)), values_parameter(ids))
    return {id_: path.split("/") for id_, path in found}


@cache
def _account_paths(*, postgresql_: bool) -> sa.Select[str, str]:
    return (
        sa.select(CardAccount.id, ControlAccount.path)
        .join(CardAccount.structure)
        .where(CardAccount.id.in_(given_values(postgresql_=postgresql_)))
    )


def find_accounts(query: FindAccounts, reader: Reader) -> Page[AccountRow]:
    """Find card accounts by every given criterion, in order of name (ACC-01)."""
    last = decode_cursor(query.cursor, str, str)
    statement = visible(reader)
    for column in ("status", "payment_status", "employee_id", "cost_centre", "universal_number"):
        wanted = getattr(query, column)
        if wanted is not None:
            statement = statement.where(getattr(CardAccount, column) == wanted)
    if query.control_account:
        statement = statement.where(CardAccount.control_account.in_(under([query.control_account])))
    if query.name:
        statement = statement.where(_named(query.name))
    if last:
        statement = statement.where(
            sa.tuple_(CardAccount.name_key, CardAccount.id) > sa.tuple_(*map(sa.literal, last))
        )
    found = reader.session.execute(
        statement.order_by(CardAccount.name_key, CardAccount.id).limit(query.limit + 1)
    ).all()
    return page_of(found, query.limit, _row, lambda row: (row.CardAccount.name_key, row.CardAccount.id))


def find_accounts_by_card(query: FindAccountsByCard, reader: Reader) -> Page[AccountRow]:
    """Find card accounts by card number, whether or not the card is still the live one: no number is decrypted."""
    vault = vault_of(reader.settings)
    hashes = [vault.hash(number) for number in query.card_numbers]
    # However many plastics bear a number, it has one that was the first.
    statement = visible(reader, live=False).where(Card.number_hash.in_(hashes), Card.sequence == 1)
    found = reader.session.execute(statement.order_by(CardAccount.name_key, CardAccount.id)).all()
    return page_of(
        found, len(hashes), _row, lambda row: (row.CardAccount.name_key, row.CardAccount.id), len(found)
    )


def get_account(query: GetAccount, reader: Reader) -> AccountProfile:
    """Return the profile of a card account (ACC-06)."""
    account, card = one_account(query.account_id, reader)
    node = reader.session.get_one(ControlAccount, account.control_account)
    same = {
        name: getattr(account, name)
        for name in AccountProfile.__dataclass_fields__
        if name in CardAccount.__table__.c and name != "control_account"
    }
    return AccountProfile(
        **same,
        account_id=account.id,
        full_name=f"{account.first_name} {account.last_name}",
        card_number=mask(card.last_four),
        card_state=card.state,
        issued_on=card.issued_on,
        expires_on=card.expires_on,
        holds=_holds(account.id, reader.session),
        control_account=node.number,
        control_account_name=node.name,
        company_name=node.company_name,
        company_number=node.company_number,
    )


def _holds(account_id: str, session: orm.Session) -> list[HoldView]:
    names = list(HoldView.__dataclass_fields__)
    return [
        HoldView(**{name: getattr(hold, name) for name in names})
        for hold in open_holds(session, [account_id])
    ]


def get_account_history(query: GetAccountHistory, reader: Reader) -> Page[FieldChange]:
    """Return every change of an account's fields, the newest first (ACC-18)."""
    one_account(query.account_id, reader)
    return history_page(reader, change, query.account_id, cursor=query.cursor, limit=query.limit)


def one_account(account_id: str, reader: Reader) -> tuple[CardAccount, Card]:
    """Return a card account that the caller may see, and the card that it is shown by; raises NotFound."""
    statement = (
        sa.select(CardAccount, Card).join(Card, sa.and_(Card.account_id == CardAccount.id, Card.live))
    ).where(CardAccount.id == account_id)
    if reader.control_accounts is not None:
        statement = statement.where(CardAccount.control_account.in_(under(reader.control_accounts)))
    found = reader.session.execute(statement).first()
    if found is None:
        raise NotFound("card account", "account_id")
    return found.CardAccount, found.Card


def _named(name: str) -> sa.ColumnElement[bool]:
    folded, capitals = fold_name(name), name.upper()
    return sa.or_(
        sa.and_(CardAccount.name_key >= folded, CardAccount.name_key < folded + _HIGHEST),
        sa.and_(CardAccount.embossed_name >= capitals, CardAccount.embossed_name < capitals + _HIGHEST),
    )


# From rows to views


def _row(row: sa.Row[CardAccount, str]) -> AccountRow:
    account: CardAccount = row.CardAccount
    return AccountRow(
        account_id=account.id, embossed_name=account.embossed_name, first_name=account.first_name,
        last_name=account.last_name, card_number=mask(row.last_four), product=account.product, status=account.status,
        payment_status=account.payment_status, employee_id=account.employee_id, cost_centre=account.cost_centre,
        universal_number=account.universal_number, control_account=account.control_account,
    )  # fmt: skip
