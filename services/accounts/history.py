"""The change history: every field of an account that a request changed, written by comparison, so that none is missed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.accounts.model import CardAccount, change
from shared.contracts.base import UnknownMessage
from shared.ids import new_message_id
from shared.messaging.transaction import Transaction

_NOT_RECORDED = frozenset({"id", "version", "name_key", "opened_at"})
_RECORDED = frozenset(
    column.key for column in sa.inspect(CardAccount).column_attrs if column.key not in _NOT_RECORDED
)


def record_changes(tx: Transaction, account: CardAccount, before: Mapping[str, Any]) -> None:
    """Write a row for each field that differs from before (ACC-18, Part 2 no. 9), and count the version up."""
    envelope = tx.envelope
    try:
        command = envelope.contract.name
    except UnknownMessage:
        command = "system"
    for field, new in vars(account).items():
        old = before.get(field)
        if old is not new and old != new and field in _RECORDED:
            tx.insert(
                change, id=new_message_id(), account_id=account.id, at=tx.now, field=field, old=_text(old), new=_text(new),
                actor=envelope.actor, on_behalf_of=envelope.on_behalf_of, channel=str(envelope.channel), command=command,
                command_id=envelope.correlation_id,
            )  # fmt: skip
    account.version += 1


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)
