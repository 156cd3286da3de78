"""Which fields of accounts and control accounts have a history: every one that a person could ask about (ACC-18)."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from services.accounts.counts import count_change
from services.accounts.model import CardAccount, ControlAccount, change
from shared.history import note_changes
from shared.messaging.transaction import Transaction

# How an account stands is the history of its transactions, which is kept with statements.
_STANDING = {"balance", "currency", "last_used_on", "nil_since", "standing_as_of"}
_NOT_RECORDED = frozenset({"id", "version", "name_key", "names", "opened_at"} | _STANDING)
_RECORDED = frozenset(
    column.key for column in sa.inspect(CardAccount).column_attrs if column.key not in _NOT_RECORDED
)
_NOT_RECORDED_OF_NODES = frozenset({"number", "version", "path"})
_RECORDED_OF_NODES = frozenset(
    column.key
    for column in sa.inspect(ControlAccount).column_attrs
    if column.key not in _NOT_RECORDED_OF_NODES
)


def record_changes(tx: Transaction, account: CardAccount, before: Mapping[str, Any]) -> None:
    """Write a row for each field that differs from before (Part 2 no. 9), and count the version up.

    An account that begins or ceases to be live, or does so elsewhere, is counted here, whichever command it was.
    """
    note_changes(tx, change, account, before, _RECORDED)
    count_change(tx, account, before)
    account.version += 1


def record_node(tx: Transaction, node: ControlAccount, before: Mapping[str, Any]) -> None:
    """Write a row for each field of a control account that differs from before, and count the version up."""
    note_changes(tx, change, node, before, _RECORDED_OF_NODES)
    node.version += 1
