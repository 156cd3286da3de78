"""Publishing what no message caused: an act over HTTP whose facts others should hear of."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from shared.contracts import names
from shared.contracts.base import Message
from shared.contracts.types import Channel
from shared.ids import new_message_id
from shared.messaging.bus import Publication
from shared.messaging.envelope import Envelope, encode
from shared.messaging.outbox import keep


def publish_soon(
    session: orm.Session,
    outbox: sa.Table,
    events: Iterable[Message],
    *,
    now: datetime,
    act_id: str,
    actor: str,
    channel: Channel,
    subject: str | None = None,
) -> None:
    """Write events into the outbox, due at once: the sweep of the service's worker sends them within a second or so.

    ``act_id`` names what happened, as a command's id would, and is what the events are correlated by.
    """
    publications = [
        Envelope(
            id=new_message_id(),
            key=event.contract.key,
            source=event.contract.owner,
            time=now,
            data=event,
            correlation_id=act_id,
            subject=subject,
            actor=actor,
            channel=channel,
        )
        for event in events
    ]
    kept = [
        Publication(
            exchange=names.EVENTS, key=envelope.key, body=encode(envelope), message_id=envelope.id,
            outbox_id=envelope.id,
        )
        for envelope in publications
    ]  # fmt: skip
    keep(session, outbox, [(publication, now) for publication in kept], now)
