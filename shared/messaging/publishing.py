"""Publishing events: those of a batch, and what no message caused, an act over HTTP that others should hear of."""

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
    envelopes = [
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
    keep(session, outbox, [(publication_of(envelope), now) for envelope in envelopes], now)


def publication_of(event: Envelope) -> Publication:
    """Return an event on its way out; its row in the outbox goes by its id."""
    return Publication(
        exchange=names.EVENTS, key=event.key, body=encode(event), message_id=event.id, outbox_id=event.id
    )
