"""Reads of accounts. `_visible` and `_nodes` are the only ways to what a caller may see."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import Card, CardAccount, ControlAccount, change, open_holds
from services.accounts.vault import mask, vault_of
from shared.contracts.accounts import (
    AccountProfile,
    AccountRow,
    AccountStatus,
    ControlAccountNode,
    FindAccounts,
    FindAccountsByCard,
    GetAccount,
    GetAccountHistory,
    GetControlAccount,
    HoldView,
    ListControlAccounts,
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
        .options(orm.contains_eager(CardAccount.structure))
        .order_by(CardAccount.id)
        .with_for_update(of=CardAccount)
    )


def load_control_accounts(session: orm.Session, numbers: Sequence[str]) -> dict[str, ControlAccount]:
    """Return control accounts by number; they are not locked, as a node's place does not change under its accounts."""
    found = session.scalars(sa.select(ControlAccount).where(ControlAccount.number.in_(numbers)))
    return {node.number: node for node in found}


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


def control_account_paths(session: orm.Session, numbers: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each control account that exists, the numbers from the master down to itself."""
    found = session.execute(
        sa.select(ControlAccount.number, ControlAccount.path).where(ControlAccount.number.in_(numbers))
    )
    return {number: path.split("/") for number, path in found}


def list_control_accounts(query: ListControlAccounts, reader: Reader) -> Page[ControlAccountNode]:
    """List the nodes that the caller may see, each parent before its children (PRG-01)."""
    last = decode_cursor(query.cursor, str)
    statement = _nodes(reader)
    if query.level:
        statement = statement.where(ControlAccount.level == query.level)
    if query.parent:
        statement = statement.where(ControlAccount.parent == query.parent)
    total = reader.session.scalar(sa.select(sa.func.count()).select_from(statement.subquery()))
    if last:
        statement = statement.where(ControlAccount.path > last[0])
    nodes = list(reader.session.scalars(statement.order_by(ControlAccount.path).limit(query.limit + 1)))
    counts = _account_counts(nodes, reader.session)
    return page_of(nodes, query.limit, lambda node: _node(node, counts), lambda node: (node.path,), total)


def get_control_account(query: GetControlAccount, reader: Reader) -> ControlAccountNode:
    """Return one node."""
    node = reader.session.scalar(_nodes(reader).where(ControlAccount.number == query.number))
    if node is None:
        raise NotFound("control account", "number")
    return _node(node, _account_counts([node], reader.session))


def find_accounts(query: FindAccounts, reader: Reader) -> Page[AccountRow]:
    """Find card accounts by every given criterion, in order of name (ACC-01)."""
    last = decode_cursor(query.cursor, str, str)
    statement = _visible(reader)
    for column in ("status", "payment_status", "employee_id", "cost_centre", "universal_number"):
        wanted = getattr(query, column)
        if wanted is not None:
            statement = statement.where(getattr(CardAccount, column) == wanted)
    if query.control_account:
        statement = statement.where(CardAccount.control_account.in_(_under([query.control_account])))
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
    statement = _visible(reader, live=False).where(Card.number_hash.in_(hashes))
    found = reader.session.execute(statement.order_by(CardAccount.name_key, CardAccount.id)).all()
    return page_of(
        found, len(hashes), _row, lambda row: (row.CardAccount.name_key, row.CardAccount.id), len(found)
    )


def get_account(query: GetAccount, reader: Reader) -> AccountProfile:
    """Return the profile of a card account (ACC-06)."""
    account, card = _one(query.account_id, reader)
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
    _one(query.account_id, reader)
    return history_page(reader, change, query.account_id, cursor=query.cursor, limit=query.limit)


# What a caller may see


def _visible(reader: Reader, *, live: bool = True) -> sa.Select[CardAccount, str]:
    """Select the card accounts, each with its card, below the caller's control accounts."""
    statement = sa.select(CardAccount, Card.last_four).join(Card, Card.account_id == CardAccount.id)
    if live:
        statement = statement.where(Card.live)
    if reader.control_accounts is not None:
        statement = statement.where(CardAccount.control_account.in_(_under(reader.control_accounts)))
    return statement


def _nodes(reader: Reader) -> sa.Select[ControlAccount]:
    """Select the nodes at or below the caller's control accounts."""
    statement = sa.select(ControlAccount)
    if reader.control_accounts is None:
        return statement
    return statement.where(ControlAccount.number.in_(_under(reader.control_accounts)))


def _under(numbers: Sequence[str] | frozenset[str]) -> sa.Select[str]:
    """Select the numbers of these control accounts and of all below them."""
    top, node = orm.aliased(ControlAccount), orm.aliased(ControlAccount)
    return (
        sa.select(node.number)
        .join(top, sa.or_(node.number == top.number, node.path.like(top.path + "/%")))
        .where(top.number.in_(sorted(numbers)))
    )


def _one(account_id: str, reader: Reader) -> tuple[CardAccount, Card]:
    statement = (
        sa.select(CardAccount, Card).join(Card, sa.and_(Card.account_id == CardAccount.id, Card.live))
    ).where(CardAccount.id == account_id)
    if reader.control_accounts is not None:
        statement = statement.where(CardAccount.control_account.in_(_under(reader.control_accounts)))
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


def _account_counts(nodes: Sequence[ControlAccount], session: orm.Session) -> Counter[str]:
    """Return how many card accounts that are not cancelled lie under each of these nodes."""
    counts: Counter[str] = Counter()
    if not nodes:
        return counts
    shown = {node.number for node in nodes}
    found = session.execute(
        sa.select(ControlAccount.path, sa.func.count())
        .join(CardAccount, CardAccount.control_account == ControlAccount.number)
        .where(
            CardAccount.status != AccountStatus.CANCELLED, ControlAccount.number.in_(_under(sorted(shown)))
        )
        .group_by(ControlAccount.path)
    )
    for path, count in found:
        for number in path.split("/"):
            if number in shown:
                counts[number] += count
    return counts


def _node(node: ControlAccount, counts: Counter[str]) -> ControlAccountNode:
    return ControlAccountNode(
        number=node.number, name=node.name, level=node.level, parent=node.parent, company_name=node.company_name,
        company_number=node.company_number, contact=node.contact, accounts=counts[node.number],
    )  # fmt: skip


def _row(row: sa.Row[CardAccount, str]) -> AccountRow:
    account: CardAccount = row.CardAccount
    return AccountRow(
        account_id=account.id, embossed_name=account.embossed_name, first_name=account.first_name,
        last_name=account.last_name, card_number=mask(row.last_four), product=account.product, status=account.status,
        payment_status=account.payment_status, employee_id=account.employee_id, cost_centre=account.cost_centre,
        universal_number=account.universal_number, control_account=account.control_account,
    )  # fmt: skip
