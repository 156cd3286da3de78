"""What users do without a command, because a secret is in it: noted in the history, and told to others soon after."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import orm

from services.identity.model import User, change, outbox
from shared.contracts.base import Message
from shared.contracts.types import Channel
from shared.history import note_act
from shared.ids import new_message_id
from shared.messaging.publishing import publish_soon


def record_act(
    session: orm.Session,
    user: User,
    act: str,
    *,
    now: datetime,
    changes: Mapping[str, tuple[Any, Any]],
    events: Iterable[Message] = (),
    channel: Channel = Channel.API,
) -> None:
    """Note what a user has changed of the own access, in the transaction that changes it, and tell others.

    ``changes`` have the old and the new value of each field; a secret is ``None`` or ``changed``, never itself.
    """
    act_id, actor = new_message_id(), user.user_id or "system"
    note_act(session, change, user.id, changes, now=now, act=act, act_id=act_id, actor=actor, channel=channel)
    publish_soon(
        session, outbox, events, now=now, act_id=act_id, actor=actor, channel=channel, subject=user.id
    )
