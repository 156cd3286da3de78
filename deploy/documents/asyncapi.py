"""Describes the messages as AsyncAPI 3.0: what travels over which exchange and queue, and which service sends or receives it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from inspect import cleandoc
from typing import Any

import orjson

from deploy.documents.examples import example_of
from deploy.documents.openapi import spoken
from deploy.documents.schemas import mark_masked, new_specification, schema_name, tolerate_more
from shared.contracts import load_all, names
from shared.contracts.base import Contract, Kind, catalogue
from shared.contracts.schema import schema_of
from shared.contracts.types import Channel
from shared.messaging.envelope import CONTENT_TYPE, Envelope, encode
from shared.messaging.topology import Topology, topology_of
from shared.service import Service

_AMQP = "0.3.0"
_GATEWAY = "gateway"
_OUTCOMES = "outcomes"
_COMMAND_ID = "019aa8c1-5f0e-7b3a-9c55-2d1f0e6a4b77"
_EVENT_ID = "019aa8c1-6203-7d14-8f60-b7e94c1a2d38"

_ABOUT = """
    The messages of Cardwork, over RabbitMQ. Each is a CloudEvent 1.0 in structured JSON, persistent, and confirmed to its
    sender. Commands go to one exchange and events to another, under keys such as `accounts.cancel-account.v1`.

    A message arrives at least once: tell repetitions apart by `id`. Within a version, fields are only ever added, and only
    optional ones: pass over what you do not know. To receive events, bind a queue of your own to their keys.
"""
_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "description": "The CloudEvents attributes that every message has.",
    "required": [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "datacontenttype",
        "correlationid",
        "actor",
        "channel",
        "data",
    ],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "description": "Unique to the message; a repetition has the same."},
        "source": {"type": "string", "description": "The service that sent it, such as `/accounts`."},
        "type": {
            "type": "string",
            "description": "The kind of message: its routing key in reverse-DNS form.",
        },
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "subject": {"type": "string", "description": "The thing that it is about."},
        "correlationid": {"type": "string", "description": "The id of the command that started it all."},
        "causationid": {"type": "string", "description": "The id of the message that this one follows from."},
        "actor": {"type": "string", "description": "The user who acted, or `system`."},
        "onbehalfof": {"type": "string", "description": "The user for whom the actor acted."},
        "channel": {"type": "string", "enum": [channel.value for channel in Channel]},
        "assertion": {
            "type": "string",
            "description": "The actor, signed for the services concerned; commands only.",
        },
        "scope": {
            "type": "string",
            "description": "The control accounts above the target, the master first, by `/`.",
        },
        "fingerprint": {"type": "string", "description": "Tells two bodies under one idempotency key apart."},
        "traceparent": {"type": "string", "description": "The W3C trace context."},
        "waits": {"type": "boolean", "description": "Whether the sender wants to hear the outcome."},
        "expectedversion": {
            "type": "integer",
            "description": "The version that the sender has seen of the subject, and wants to find it at.",
        },
        "places": {
            "type": "string",
            "description": "Where things lie that another service owns: `id:master/intermediate/basic`, by spaces.",
        },
        "attempt": {
            "type": "integer",
            "description": "How often it was put back for a later try; absent at first.",
        },
        "data": {"type": "object"},
    },
}


def asyncapi(services: Iterable[Service]) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of these services and the gateway."""
    load_all()
    deployed = sorted(services, key=lambda service: service.name)
    contracts = _messages()
    topology = topology_of(deployed)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Cardwork",
            "version": "1",
            "description": cleandoc(_ABOUT),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"rabbitmq": {"host": "rabbitmq:5672", "protocol": "amqp", "protocolVersion": "0.9.1"}},
        "channels": {**_key_channels(contracts), **_queue_channels(contracts, topology)},
        "operations": _operations(contracts, deployed, topology),
        "components": {"messages": _component_messages(contracts), "schemas": _schemas(contracts)},
    }


def _messages() -> list[Contract]:
    return sorted((*catalogue.commands(), *catalogue.events()), key=lambda c: (c.kind, c.owner))


def exchange_of(contract: Contract) -> str:
    """Return the exchange to which a command or an event is published."""
    return names.COMMANDS if contract.kind is Kind.COMMAND else names.EVENTS


def queues_of(contract: Contract, topology: Topology) -> tuple[str, ...]:
    """Return the queues that get a command or an event; none where nothing listens to it yet."""
    found = topology.destinations(exchange_of(contract), contract.key)
    return tuple(queue for queue in found if queue != names.UNROUTED)


# Channels: one for each key under which something is published, one for each queue


def _key_channels(contracts: Iterable[Contract]) -> dict[str, Any]:
    return {
        contract.key: {
            "address": contract.key,
            "title": contract.name,
            "summary": contract.summary,
            "messages": {contract.key: _message_ref(contract)},
            "bindings": {
                "amqp": {
                    "is": "routingKey",
                    "exchange": {
                        "name": exchange_of(contract),
                        "type": "topic",
                        "durable": True,
                        "autoDelete": False,
                    },
                    "bindingVersion": _AMQP,
                }
            },
        }
        for contract in contracts
    }


def _queue_channels(contracts: Sequence[Contract], topology: Topology) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for contract in contracts:
        for queue in queues_of(contract, topology):
            channel = found.setdefault(queue, _queue_channel(queue))
            channel["messages"][contract.key] = _message_ref(contract)
    return dict(sorted(found.items()))


def _queue_channel(queue: str) -> dict[str, Any]:
    return {
        "address": queue,
        "title": queue,
        "summary": f"A quorum queue; what cannot be handled lands in {names.dead_queue(queue)}.",
        "messages": {},
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"name": queue, "durable": True, "exclusive": False, "autoDelete": False},
                "bindingVersion": _AMQP,
            }
        },
    }


# Operations: what each service sends, key by key, and what it receives, queue by queue


def _operations(
    contracts: Sequence[Contract], services: Sequence[Service], topology: Topology
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for contract in contracts:
        for sender in senders_of(contract, services):
            found[f"{sender}.send.{contract.key}"] = _sending(sender, contract)
    for service in services:
        for queue in (names.commands_queue(service.name), names.events_queue(service.name)):
            received = [contract for contract in contracts if queue in queues_of(contract, topology)]
            if received:
                found[f"{service.name}.receive.{queue}"] = _receiving(service, queue, received)
    return found


def senders_of(contract: Contract, services: Iterable[Service]) -> list[str]:
    """Return who sends a message: the gateway every command, a service its own events and the outcomes of its commands."""
    if contract.kind is Kind.COMMAND:
        return [_GATEWAY]
    if contract.owner == _OUTCOMES:
        return [service.name for service in services if service.handlers]
    return [service.name for service in services if service.name == contract.owner]


def _sending(sender: str, contract: Contract) -> dict[str, Any]:
    return {
        "action": "send",
        "title": f"{sender} sends {contract.name}",
        "channel": {"$ref": f"#/channels/{contract.key}"},
        "messages": [{"$ref": f"#/channels/{contract.key}/messages/{contract.key}"}],
        "tags": [{"name": sender}],
        "bindings": {"amqp": {"deliveryMode": 2, "mandatory": True, "bindingVersion": _AMQP}},
    }


def _receiving(service: Service, queue: str, received: Iterable[Contract]) -> dict[str, Any]:
    return {
        "action": "receive",
        "title": f"{service.name} receives from {queue}",
        "channel": {"$ref": f"#/channels/{queue}"},
        "messages": [{"$ref": f"#/channels/{queue}/messages/{contract.key}"} for contract in received],
        "tags": [{"name": service.name}],
        "bindings": {"amqp": {"ack": True, "bindingVersion": _AMQP}},
    }


# Messages and schemas


def _message_ref(contract: Contract) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{contract.key}"}


def _component_messages(contracts: Iterable[Contract]) -> dict[str, Any]:
    return {contract.key: _message(contract) for contract in contracts}


def _message(contract: Contract) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": contract.key,
        "title": contract.name,
        "summary": contract.summary,
        "contentType": CONTENT_TYPE,
        "correlationId": {"location": "$message.payload#/correlationid"},
        "tags": [{"name": contract.kind.value}, {"name": contract.owner}],
        "payload": {
            "allOf": [
                {"$ref": "#/components/schemas/CloudEvent"},
                {
                    "properties": {
                        "type": {"const": contract.type},
                        "data": {"$ref": f"#/components/schemas/{schema_name(contract)}"},
                    }
                },
            ]
        },
        "bindings": {"amqp": {"messageType": contract.type, "bindingVersion": _AMQP}},
        "examples": [{"name": contract.name, "payload": example_message(contract)}],
    }
    if contract.kind is Kind.COMMAND:
        assert contract.service_time
        found |= {"x-function": contract.function, "x-service-time": spoken(contract.service_time)}
    return found


def example_message(contract: Contract) -> dict[str, Any]:
    """Return an example of a whole message as it travels."""
    is_command = contract.kind is Kind.COMMAND
    envelope = Envelope(
        id=_COMMAND_ID if is_command else _EVENT_ID,
        key=contract.key,
        source=_GATEWAY if is_command else contract.owner,
        time=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        data=example_of(contract.cls),
        correlation_id=_COMMAND_ID,
        causation_id=None if is_command else _COMMAND_ID,
        actor="m.laurent",
        channel=Channel.PORTAL,
    )
    made: dict[str, Any] = orjson.loads(encode(envelope))
    return made


def _schemas(contracts: Sequence[Contract]) -> dict[str, Any]:
    specification = new_specification("Cardwork", "1")
    for contract in contracts:
        specification.components.schema(schema_name(contract), schema=schema_of(contract.cls))
    found: dict[str, Any] = specification.to_dict()["components"]["schemas"]
    for contract in contracts:
        mark_masked(contract, found[schema_name(contract)])
    return {"CloudEvent": _ENVELOPE, **{name: tolerate_more(schema) for name, schema in found.items()}}
