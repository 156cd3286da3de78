"""Reads of the structure."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import ControlAccount, change, live_accounts
from services.accounts.queries.scope import AFTER_SLASH, nodes
from services.accounts.settings import effect_of
from shared.contracts.base import Page
from shared.contracts.history import FieldChange
from shared.contracts.structure import (
    ControlAccountNode,
    ControlAccountProfile,
    GetControlAccount,
    GetControlAccountHistory,
    ListControlAccounts,
)
from shared.errors import NotFound
from shared.history import history_page
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of


def load_control_accounts(session: orm.Session, numbers: Sequence[str]) -> dict[str, ControlAccount]:
    """Return control accounts by number; they are not locked, as who changes one has them all to itself."""
    found = session.scalars(sa.select(ControlAccount).where(ControlAccount.number.in_(numbers)))
    return {node.number: node for node in found}


def control_account_paths(session: orm.Session, numbers: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each control account that exists, the numbers from the master down to itself."""
    found = session.execute(
        sa.select(ControlAccount.number, ControlAccount.path).where(ControlAccount.number.in_(numbers))
    )
    return {number: path.split("/") for number, path in found}


def list_control_accounts(query: ListControlAccounts, reader: Reader) -> Page[ControlAccountNode]:
    """List the nodes that the caller may see, each parent before its children (PRG-01)."""
    last = decode_cursor(query.cursor, str)
    statement = nodes(reader)
    if query.level:
        statement = statement.where(ControlAccount.level == query.level)
    if query.parent:
        statement = statement.where(ControlAccount.parent == query.parent)
    if query.number:
        statement = statement.where(ControlAccount.number.startswith(query.number))
    if query.name:
        named = (ControlAccount.name, ControlAccount.company_name, ControlAccount.contact)
        statement = statement.where(sa.or_(*(name.icontains(query.name, autoescape=True) for name in named)))
    total = reader.session.scalar(sa.select(sa.func.count()).select_from(statement.subquery()))
    if last:
        statement = statement.where(ControlAccount.path > last[0])
    found = list(reader.session.scalars(statement.order_by(ControlAccount.path).limit(query.limit + 1)))
    counts = _account_counts(found, reader.session)
    return page_of(found, query.limit, lambda node: _node(node, counts), lambda node: (node.path,), total)


def get_control_account(query: GetControlAccount, reader: Reader) -> ControlAccountProfile:
    """Return one node with the settings that hold there; those that it inherits may be set above what the caller sees."""
    node = _one(query.number, reader)
    above = control_accounts_on(node.control_path, reader.session)
    effect = effect_of(above)
    return ControlAccountProfile(
        number=node.number, name=node.name, level=node.level, parent=node.parent, company_name=node.company_name,
        company_number=node.company_number, contact=node.contact, path=list(node.control_path),
        accounts=_account_counts([node], reader.session)[node.number], settings=effect.settings, set_at=effect.set_at,
        version=node.version,
    )  # fmt: skip


def get_control_account_history(query: GetControlAccountHistory, reader: Reader) -> Page[FieldChange]:
    """Return every change of a control account's place and settings, the newest first (Part 2 no. 9)."""
    node = _one(query.number, reader)
    return history_page(reader, change, node.number, cursor=query.cursor, limit=query.limit)


def control_accounts_on(path: Sequence[str], session: orm.Session) -> list[ControlAccount]:
    """Return the control accounts on a path, in its order."""
    found = load_control_accounts(session, path)
    return [found[number] for number in path]


def _one(number: str, reader: Reader) -> ControlAccount:
    node = reader.session.scalar(nodes(reader).where(ControlAccount.number == number))
    if node is None:
        raise NotFound("control account", "number")
    return node


def _account_counts(nodes: Sequence[ControlAccount], session: orm.Session) -> Counter[str]:
    """Return how many live card accounts lie under each of these nodes, which are in order of their paths.

    What lies below them is a range of paths: from the first node's own to those that begin with the last one's.
    """
    counts: Counter[str] = Counter()
    if not nodes:
        return counts
    shown = {node.number for node in nodes}
    first, behind = nodes[0].path, f"{nodes[-1].path}{AFTER_SLASH}"
    found = session.execute(
        sa.select(ControlAccount.path, sa.func.sum(live_accounts.c.difference))
        .join(live_accounts, live_accounts.c.control_account == ControlAccount.number)
        .where(ControlAccount.path >= first, ControlAccount.path < behind)
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
