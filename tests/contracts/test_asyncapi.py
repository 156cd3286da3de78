"""The AsyncAPI document keeps to AsyncAPI 3.0 and says who sends and receives what, over which exchange and queue."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deploy.documents.asyncapi import asyncapi
from shared.contracts import names
from shared.contracts.base import Contract, Kind
from shared.contracts.outcomes import OUTCOMES
from shared.contracts.schema import masks_of, schema_of
from tests.contracts.pointers import references, resolve
from tests.contracts.sample import SERVICES
from tests.contracts.test_declarations import COMMANDS, EVENTS

DOCUMENT = asyncapi(SERVICES)
MESSAGES = COMMANDS + EVENTS
each_message = pytest.mark.parametrize("contract", MESSAGES, ids=lambda contract: contract.key)

# What AsyncAPI 3.0 allows each object to have; extensions (x-…) are allowed everywhere.
ALLOWED = {
    "document": {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"},
    "info": {"title", "version", "description", "termsOfService", "contact", "license", "tags", "externalDocs"},
    "server": {"host", "protocol", "protocolVersion", "pathname", "title", "summary", "description", "security"},
    "channel": {"address", "title", "summary", "description", "messages", "servers", "parameters", "tags", "bindings"},
    "operation": {"action", "channel", "title", "summary", "description", "tags", "bindings", "messages", "reply"},
    "message": {
        "headers", "payload", "correlationId", "contentType", "name", "title", "summary", "description", "tags",
        "bindings", "examples",
    },
}  # fmt: skip
KEY = re.compile(r"^[a-zA-Z0-9.\-_]+$")


# It keeps to the specification


def test_each_object_has_only_what_it_may_have() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    keeps_to("document", DOCUMENT)
    keeps_to("info", DOCUMENT["info"])
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    for kind, found in {
        "server": DOCUMENT["servers"],
        "channel": DOCUMENT["channels"],
        "operation": DOCUMENT["operations"],
        "message": DOCUMENT["components"]["messages"],
    }.items():
        for name, value in found.items():
            assert KEY.match(name)
            keeps_to(kind, value)


def test_each_reference_leads_somewhere() -> None:
    found = dict(references(DOCUMENT))
    assert found
    for pointer in found.values():
        resolve(DOCUMENT, pointer)


def test_a_channel_refers_to_declared_messages() -> None:
    for channel in DOCUMENT["channels"].values():
        assert channel["messages"]
        for message in channel["messages"].values():
            assert message["$ref"].startswith("#/components/messages/")


def test_an_operation_names_messages_of_its_own_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{operation['channel']['$ref']}/messages/")


def test_bindings_are_those_of_amqp() -> None:
    for address, channel in DOCUMENT["channels"].items():
        binding = channel["bindings"]["amqp"]
        if binding["is"] == "queue":
            assert binding["queue"]["name"] == address
        else:
            assert binding["is"] == "routingKey"
            assert binding["exchange"]["name"] in (names.COMMANDS, names.EVENTS)
            assert binding["exchange"]["type"] == "topic"


def test_schemas_are_json_schemas() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


# It says what the contracts say


@each_message
def test_a_message_is_there_with_its_schema_and_a_valid_example(contract: Contract) -> None:
    message = DOCUMENT["components"]["messages"][contract.key]
    assert message["contentType"] == "application/cloudevents+json"
    assert message["summary"] == contract.summary
    payload = {**message["payload"], "components": DOCUMENT["components"]}
    (example,) = message["examples"]
    Draft202012Validator(payload).validate(example["payload"])
    assert example["payload"]["type"] == contract.type
    wrong = {**example["payload"], "type": "io.cardwork.other.v1"}
    assert not Draft202012Validator(payload).is_valid(wrong)


@each_message
def test_the_data_of_a_message_has_each_of_its_fields(contract: Contract) -> None:
    data = DOCUMENT["components"]["messages"][contract.key]["payload"]["allOf"][1]["properties"]["data"]
    schema = resolve(DOCUMENT, data["$ref"])
    assert set(schema["properties"]) == set(schema_of(contract.cls)().fields)
    assert schema.get("additionalProperties", True) is True, "readers pass over what they do not know"
    assert {n for n, p in schema["properties"].items() if p.get("x-masked")} == set(masks_of(contract.cls))


@each_message
def test_a_key_leads_to_its_exchange(contract: Contract) -> None:
    exchange = DOCUMENT["channels"][contract.key]["bindings"]["amqp"]["exchange"]["name"]
    assert exchange == (names.COMMANDS if contract.kind is Kind.COMMAND else names.EVENTS)


# It says who does what


def test_the_gateway_sends_every_command() -> None:
    assert sent_by("gateway") == {contract.key for contract in COMMANDS}


def test_a_service_sends_its_events_and_the_outcomes_of_its_commands() -> None:
    own = {contract.key for contract in EVENTS if contract.owner == "accounts"}
    assert sent_by("accounts") == own | {outcome.contract.key for outcome in OUTCOMES}
    assert sent_by("archive") == set()


def test_the_owner_and_the_observer_receive_each_command() -> None:
    commands = {contract.key for contract in COMMANDS if contract.owner == "accounts"}
    assert received_from("accounts.commands") == commands
    assert received_from("tracking.commands") == {contract.key for contract in COMMANDS}


def test_an_event_goes_to_those_who_react_and_outcomes_to_the_observer() -> None:
    assert received_from("archive.events") == {"accounts.account-cancelled.v1"}
    assert received_from("tracking.events") == {outcome.contract.key for outcome in OUTCOMES}


def test_a_service_that_listens_to_nothing_receives_nothing() -> None:
    assert not [name for name in DOCUMENT["operations"] if name.startswith("reports.")]
    assert not [address for address in DOCUMENT["channels"] if address.startswith("reports.")]


def test_it_does_not_depend_on_the_order_of_the_services() -> None:
    assert asyncapi(reversed(SERVICES)) == DOCUMENT


def keeps_to(kind: str, value: dict[str, Any]) -> None:
    extra = {name for name in value if not name.startswith("x-")} - ALLOWED[kind]
    assert not extra, f"{kind} has {extra}"


def sent_by(service: str) -> set[str]:
    start = f"{service}.send."
    return {name.removeprefix(start) for name in DOCUMENT["operations"] if name.startswith(start)}


def received_from(queue: str) -> set[str]:
    (operation,) = [
        operation
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == "receive" and operation["channel"]["$ref"] == f"#/channels/{queue}"
    ]
    return {message["$ref"].rpartition("/")[2] for message in operation["messages"]}
