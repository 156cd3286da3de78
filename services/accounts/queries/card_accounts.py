"""Reads of card accounts."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import Card, CardAccount, ControlAccount, change, open_holds
from services.accounts.queries.scope import within
from services.accounts.queries.structure import control_accounts_on
from services.accounts.rules import chooses_delivery, delivery_of
from services.accounts.settings import effect_of
from services.accounts.vault import mask
from shared.contracts.accounts import (
    AccountProfile,
    GetAccount,
    GetAccountHistory,
    HoldOrigin,
    HoldView,
)
from shared.contracts.base import Page
from shared.contracts.history import FieldChange
from shared.database import given_values, is_postgresql, values_parameter
from shared.errors import NotFound
from shared.history import history_page
from shared.messaging.transaction import Reader


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


def get_account(query: GetAccount, reader: Reader) -> AccountProfile:
    """Return the profile of a card account (ACC-06)."""
    account, card = one_account(query.account_id, reader)
    node = reader.session.get_one(ControlAccount, account.control_account)
    settings = effect_of(control_accounts_on(node.control_path, reader.session)).settings
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
        holds=_holds(account.id, reader, node.control_path),
        statement_delivery=delivery_of(settings.statement_option, account.chosen_delivery),
        delivery_is_holders=chooses_delivery(settings),
        control_account=node.number,
        control_account_name=node.name,
        company_name=node.company_name,
        company_number=node.company_number,
    )


def _holds(account_id: str, reader: Reader, path: Sequence[str]) -> list[HoldView]:
    """Return the holds on an account; what others wrote to each other about one is not for its holder."""
    names = list(HoldView.__dataclass_fields__)
    views = [
        HoldView(**{name: getattr(hold, name) for name in names})
        for hold in open_holds(reader.session, [account_id])
    ]
    if account_id not in reader.own_accounts or reader.actor.covers(reader.function or "", path):
        return views
    return [view if view.origin is HoldOrigin.HOLDER else replace(view, comment=None) for view in views]


def get_account_history(query: GetAccountHistory, reader: Reader) -> Page[FieldChange]:
    """Return every change of an account's fields, the newest first (ACC-18)."""
    one_account(query.account_id, reader)
    return history_page(reader, change, query.account_id, cursor=query.cursor, limit=query.limit)


def one_account(account_id: str, reader: Reader) -> tuple[CardAccount, Card]:
    """Return a card account that the caller may see, and the card that it is shown by; raises NotFound."""
    statement = (
        sa.select(CardAccount, Card).join(Card, sa.and_(Card.account_id == CardAccount.id, Card.live))
    ).where(CardAccount.id == account_id, *within(reader))
    found = reader.session.execute(statement).first()
    if found is None:
        raise NotFound("card account", "account_id")
    return found.CardAccount, found.Card
