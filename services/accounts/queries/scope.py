"""What a caller may see: `visible`, `within` and `nodes` are the only ways to it."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.model import Card, CardAccount, ControlAccount
from shared.messaging.transaction import Reader

AFTER_SLASH = chr(ord("/") + 1)


def visible(reader: Reader, *, live: bool = True) -> sa.Select[CardAccount, str]:
    """Select the card accounts, each with its card, below the caller's control accounts."""
    statement = sa.select(CardAccount, Card.last_four).join(Card, Card.account_id == CardAccount.id)
    if live:
        statement = statement.where(Card.live)
    return statement.where(*within(reader))


def within(reader: Reader) -> Sequence[sa.ColumnElement[bool]]:
    """Return the conditions under which the caller may see a card account: by its place, or as the holder."""
    if reader.control_accounts is None:
        return []
    seen = CardAccount.control_account.in_(under(reader.control_accounts))
    return [sa.or_(seen, CardAccount.id.in_(sorted(reader.own_accounts))) if reader.own_accounts else seen]


def nodes(reader: Reader) -> sa.Select[ControlAccount]:
    """Select the nodes at or below the caller's control accounts."""
    statement = sa.select(ControlAccount)
    if reader.control_accounts is None:
        return statement
    return statement.where(ControlAccount.number.in_(under(reader.control_accounts)))


def under(numbers: Sequence[str] | frozenset[str]) -> sa.Select[str]:
    """Select the numbers of these control accounts and of all below them."""
    top, node = orm.aliased(ControlAccount), orm.aliased(ControlAccount)
    return (
        sa.select(node.number)
        .join(top, at_or_below(top.path, node.path))
        .where(top.number.in_(sorted(numbers)))
    )


def at_or_below(
    top: sa.SQLColumnExpression[str], path: sa.SQLColumnExpression[str]
) -> sa.ColumnElement[bool]:
    """Return the condition that a path is this one or leads on from it; a range, which an index knows.

    Numbers are all of one length, so nothing comes between a path and those that lead on from it.
    """
    return sa.and_(path >= top, path < top + AFTER_SLASH)
