"""The envelope of every message: CloudEvents 1.0 in structured JSON, with Cardwork's extension attributes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from marshmallow import ValidationError

from shared.contracts import names
from shared.contracts.base import Contract, Message, UnknownMessage, catalogue
from shared.contracts.schema import tolerant
from shared.contracts.types import Channel
from shared.ids import new_message_id

CONTENT_TYPE = "application/cloudevents+json"


class Undecodable(Exception):
    """The bytes are no message of ours, or not one that this version understands; no retry will help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message with all that is known about its way.

    ``correlation_id`` is the id of the command that started it all, ``causation_id`` that of the message before;
    ``actor`` and ``on_behalf_of`` are user ids; ``assertion`` is the signed form, on commands only; ``scope`` holds the
    control accounts of the target, the master first; ``fingerprint`` tells two bodies under one idempotency key apart;
    ``waits`` says that the sender wants to hear the outcome too; ``expected_version`` is the one that the sender has seen
    of the subject, and wants to find it at; ``places`` has the control accounts above each thing whose field is marked
    `Placed`, by its id; ``attempt`` counts from 0.
    """

    id: str
    key: str
    source: str
    time: datetime
    data: Mapping[str, Any] | Message
    correlation_id: str
    causation_id: str | None = None
    subject: str | None = None
    actor: str = "system"
    on_behalf_of: str | None = None
    channel: Channel = Channel.SYSTEM
    assertion: str | None = None
    scope: tuple[str, ...] = ()
    fingerprint: str | None = None
    trace_parent: str | None = None
    waits: bool = False
    expected_version: int | None = None
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attempt: int = 0

    @property
    def contract(self) -> Contract:
        """The contract of the message; raises UnknownMessage where there is none."""
        return catalogue[self.key]

    def message(self) -> Message:
        """Return the typed message; raises Undecodable naming each field that is wrong."""
        if isinstance(self.data, Message):
            return self.data
        try:
            loaded: Message = tolerant(self.contract.cls).load(self.data)
        except UnknownMessage as error:
            raise Undecodable(str(error)) from error
        except ValidationError as error:
            raise Undecodable(f"{self.key}: {error.messages_dict}") from error
        return loaded

    def causes(
        self, event: Message, *, source: str, time: datetime, subject: str | None = None
    ) -> "Envelope":
        """Return the envelope of an event that handling this message gives rise to."""
        return Envelope(
            id=new_message_id(),
            key=event.contract.key,
            source=source,
            time=time,
            data=event,
            correlation_id=self.correlation_id,
            causation_id=self.id,
            subject=subject or self.subject,
            actor=self.actor,
            on_behalf_of=self.on_behalf_of,
            channel=self.channel,
            scope=self.scope,
            trace_parent=self.trace_parent,
        )

    def again(self) -> "Envelope":
        """Return the same message, counted as one attempt further."""
        return replace(self, attempt=self.attempt + 1)


def encode(envelope: Envelope) -> bytes:
    """Return the message as structured JSON; attributes without a value are left out, as CloudEvents asks."""
    attributes = {
        "specversion": "1.0",
        "id": envelope.id,
        "source": f"/{envelope.source}",
        "type": names.event_type(envelope.key),
        "time": envelope.time,
        "datacontenttype": "application/json",
        "subject": envelope.subject,
        "correlationid": envelope.correlation_id,
        "causationid": envelope.causation_id,
        "actor": envelope.actor,
        "onbehalfof": envelope.on_behalf_of,
        "channel": envelope.channel,
        "assertion": envelope.assertion,
        "scope": "/".join(envelope.scope) or None,
        "fingerprint": envelope.fingerprint,
        "traceparent": envelope.trace_parent,
        "waits": envelope.waits or None,
        "expectedversion": envelope.expected_version,
        "places": " ".join(f"{id_}:{'/'.join(path)}" for id_, path in envelope.places.items()) or None,
        "attempt": envelope.attempt or None,
        "data": envelope.data,
    }
    return orjson.dumps({name: value for name, value in attributes.items() if value is not None})


def decode(body: bytes) -> Envelope:
    """Return the envelope of a message, its data not yet typed; raises Undecodable saying what is wrong."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Undecodable(f"not JSON: {error}") from error
    if not isinstance(given, dict) or given.get("specversion") != "1.0":
        raise Undecodable("not a CloudEvents 1.0 message")
    try:
        return Envelope(
            id=_text(given["id"]),
            key=names.key_of_type(_text(given["type"])),
            source=_text(given["source"]).removeprefix("/"),
            time=_instant(given["time"]),
            data=_mapping(given["data"]),
            correlation_id=_text(given["correlationid"]),
            causation_id=given.get("causationid"),
            subject=given.get("subject"),
            actor=_text(given.get("actor", "system")),
            on_behalf_of=given.get("onbehalfof"),
            channel=Channel(given.get("channel", Channel.SYSTEM)),
            assertion=given.get("assertion"),
            scope=tuple(given["scope"].split("/")) if given.get("scope") else (),
            fingerprint=given.get("fingerprint"),
            trace_parent=given.get("traceparent"),
            waits=bool(given.get("waits", False)),
            expected_version=None if given.get("expectedversion") is None else int(given["expectedversion"]),
            places=_places(given.get("places", "")),
            attempt=int(given.get("attempt", 0)),
        )
    except KeyError as error:
        raise Undecodable(f"the attribute {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise Undecodable(str(error)) from error


def _places(text: str) -> dict[str, tuple[str, ...]]:
    """Return what ids and paths in one text say, such as ``acc_1:100/101 acc_2:100``; attributes are no objects."""
    pairs = (one.partition(":") for one in text.split())
    return {id_: tuple(path.split("/")) for id_, _, path in pairs}


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError(f"{value!r:.60} is not a text of 1 to 200 characters")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("data is not an object")
    return value


def _instant(value: object) -> datetime:
    instant = datetime.fromisoformat(_text(value))
    if instant.tzinfo is None:
        raise ValueError(f"{value} has no time zone")
    return instant
