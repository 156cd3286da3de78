"""One item of a bulk command: carried out as the single command would be, in the name and with the rights of the asker."""

from dataclasses import dataclass, replace
from typing import Any

from shared.actor import Actor
from shared.contracts.base import Message
from shared.contracts.bulk import ItemState
from shared.contracts.outcomes import RequestStatus
from shared.contracts.types import Channel
from shared.errors import Rejected
from shared.messaging.transaction import Transaction
from shared.service import Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The bulk command that items belong to, and who sent it; the history of every account names it."""

    command_id: str
    key: str
    actor: Actor
    channel: Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Became:
    """What became of an item, with the reason where it was refused; ``account_id`` is the account that was made."""

    state: ItemState
    code: str | None = None
    message: str | None = None
    field: str | None = None
    account_id: str | None = None


def asked_by(tx: Transaction) -> Asked:
    """Return the bulk command that is being handled."""
    envelope = tx.envelope
    return Asked(command_id=envelope.id, key=envelope.key, actor=tx.actor, channel=envelope.channel)


def request_of(asked: Asked, tx: Transaction, *, is_item: bool = False) -> Transaction:
    """Return a transaction, in the same batch, that speaks for a bulk command or for an item of it."""
    envelope = replace(
        tx.envelope,
        id=asked.command_id,
        key=asked.key,
        correlation_id=asked.command_id,
        actor=asked.actor.user_id,
        on_behalf_of=asked.actor.on_behalf_of,
        channel=asked.channel,
    )
    return Transaction(tx.batch, envelope, asked.actor, is_item=is_item)


def carry_out(message: Message, handle: Handler, asked: Asked, tx: Transaction) -> Became:
    """Carry out an item, in the transaction that ``tx`` is in, and return what became of it.

    Raises RuntimeError where the handler breaks its promise to refuse before it changes anything.
    """
    item = request_of(asked, tx, is_item=True)
    item.function = message.contract.function
    sent = len(tx.batch.events)
    try:
        result = handle(message, item)
    except Rejected as refusal:
        if len(tx.batch.events) > sent or not item.is_untouched():
            raise RuntimeError(
                f"{message.contract.name} changed something before it was rejected"
            ) from refusal
        return _refused(refusal)
    if item.status is RequestStatus.AWAITING_APPROVAL:
        return _refused(
            Rejected("approval_required", "This takes a second person; send it as a request of its own.")
        )
    item.record()
    done = item.status is RequestStatus.COMPLETED
    return Became(
        state=ItemState.CARRIED_OUT if done else ItemState.ACCEPTED,
        account_id=_made(dict(result or {})),
    )


def awaits_second_person(single: type[Message], tx: Transaction) -> bool:
    """Return whether the sender's company wants a second person for the single command, and have the bulk wait then too.

    Nobody gets round four eyes by asking for many things at once (Part 2 no. 6).
    """
    if tx.approved or single.contract.name not in tx.actor.approvals:
        return False
    tx.await_approval(single.contract.function)
    return True


def _refused(refusal: Rejected) -> Became:
    return Became(state=ItemState.REFUSED, code=refusal.code, message=refusal.message, field=refusal.field)


def _made(result: dict[str, Any]) -> str | None:
    account_id = result.get("account_id")
    return str(account_id) if account_id else None
