"""What is made of a message that cannot be handled: a dead letter, and for a command the news that it failed."""

from datetime import datetime

from shared.contracts import names
from shared.contracts.base import Kind, UnknownMessage
from shared.contracts.outcomes import CommandFailed
from shared.ids import new_message_id
from shared.messaging.bus import Delivery, Publication
from shared.messaging.envelope import Undecodable, decode, encode

WHY, QUEUE, DIED_AT = "x-why", "x-queue", "x-died-at"
_LONGEST_REASON = 1000
_REGRET = (
    "This could not be carried out by a fault of the system. It is kept, and an operator will see to it."
)


def dead_letter(delivery: Delivery, why: Exception | None, now: datetime) -> Publication:
    """Return the letter: the message as it came, to its queue's dead queue, with the reason in the headers."""
    reason = f"{type(why).__name__}: {why}"[:_LONGEST_REASON]
    return Publication(
        exchange=names.QUEUES,
        key=names.dead_queue(delivery.queue),
        body=delivery.body,
        message_id=delivery.message_id or new_message_id(),
        outbox_id=new_message_id(),
        headers={WHY: reason, QUEUE: delivery.queue, DIED_AT: now.isoformat()},
    )


def failure_of(delivery: Delivery, service: str, now: datetime) -> Publication | None:
    """Return the ``command-failed`` of a command; None where the message is none, or cannot even be told to be one."""
    try:
        envelope = decode(delivery.body)
        contract = envelope.contract
    except (Undecodable, UnknownMessage):
        return None
    if contract.kind is not Kind.COMMAND or contract.owner != service:
        return None
    failed = CommandFailed(
        command_id=envelope.id, command=contract.name, code="internal_error", message=_REGRET
    )
    caused = envelope.causes(failed, source=service, time=now)
    return Publication(
        exchange=names.EVENTS,
        key=caused.key,
        body=encode(caused),
        message_id=caused.id,
        outbox_id=new_message_id(),
    )
