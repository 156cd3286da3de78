"""Reads of the structure."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import CardAccount, ControlAccount
from services.accounts.queries.scope import nodes, under
from shared.contracts.accounts import (
    AccountStatus,
)
from shared.contracts.base import Page
from shared.contracts.structure import ControlAccountNode, GetControlAccount, ListControlAccounts
from shared.errors import NotFound
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of


def load_control_accounts(session: orm.Session, numbers: Sequence[str]) -> dict[str, ControlAccount]:
    """Return control accounts by number; they are not locked, as a node's place does not change under its accounts."""
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
    total = reader.session.scalar(sa.select(sa.func.count()).select_from(statement.subquery()))
    if last:
        statement = statement.where(ControlAccount.path > last[0])
    found = list(reader.session.scalars(statement.order_by(ControlAccount.path).limit(query.limit + 1)))
    counts = _account_counts(found, reader.session)
    return page_of(found, query.limit, lambda node: _node(node, counts), lambda node: (node.path,), total)


def get_control_account(query: GetControlAccount, reader: Reader) -> ControlAccountNode:
    """Return one node."""
    node = reader.session.scalar(nodes(reader).where(ControlAccount.number == query.number))
    if node is None:
        raise NotFound("control account", "number")
    return _node(node, _account_counts([node], reader.session))


def _account_counts(nodes: Sequence[ControlAccount], session: orm.Session) -> Counter[str]:
    """Return how many card accounts that are not cancelled lie under each of these nodes."""
    counts: Counter[str] = Counter()
    if not nodes:
        return counts
    shown = {node.number for node in nodes}
    found = session.execute(
        sa.select(ControlAccount.path, sa.func.count())
        .join(CardAccount, CardAccount.control_account == ControlAccount.number)
        .where(CardAccount.status != AccountStatus.CANCELLED, ControlAccount.number.in_(under(sorted(shown))))
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
