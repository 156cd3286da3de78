"""Every message survives its schema, its envelope and the official CloudEvents SDK; what is sensitive is masked."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from shared.contracts.base import Contract, Message
from shared.contracts.schema import masked, masks_of, strict, tolerant
from shared.contracts.types import CardNumber, Channel, Items, Sensitive
from shared.messaging.envelope import Envelope, decode, encode
from tests.contracts.strategies import SOME_TRIES, instances
from tests.contracts.test_declarations import COMMANDS, EVENTS, each_contract, each_view

MESSAGES = COMMANDS + EVENTS
each_message = pytest.mark.parametrize("contract", MESSAGES, ids=lambda contract: contract.key)


@dataclass(frozen=True, kw_only=True)
class Secretive(Message):
    """Undeclared, so that it is in no document."""

    card: CardNumber
    cards: Annotated[list[CardNumber], Items(0, 5)]
    secret: Annotated[str, Sensitive()] | None
    plain: str


# Schemas


@each_contract
@SOME_TRIES
@given(data=st.data())
def test_a_message_survives_its_schema(contract: Contract, data: st.DataObject) -> None:
    message = data.draw(instances(contract.cls))
    schema = strict(contract.cls)
    assert schema.load(through_json(schema.dump(message))) == message


@each_view
@SOME_TRIES
@given(data=st.data())
def test_a_view_survives_its_schema(view: type[Any], data: st.DataObject) -> None:
    shown = data.draw(instances(view))
    assert strict(view).load(through_json(shown)) == shown


@each_contract
@SOME_TRIES
@given(data=st.data())
def test_readers_pass_over_what_they_do_not_know_and_the_edge_does_not(
    contract: Contract, data: st.DataObject
) -> None:
    message = data.draw(instances(contract.cls))
    newer = {**strict(contract.cls).dump(message), "added_later": 1}
    assert tolerant(contract.cls).load(newer) == message
    with pytest.raises(ValidationError) as refusal:
        strict(contract.cls).load(newer)
    assert "added_later" in refusal.value.messages_dict


# Envelopes


@each_message
@SOME_TRIES
@given(data=st.data())
def test_a_message_survives_its_envelope(contract: Contract, data: st.DataObject) -> None:
    message = data.draw(instances(contract.cls))
    sent = envelope(contract, message)
    received = decode(encode(sent))
    assert received.message() == message
    assert (received.id, received.key, received.source, received.time) == (
        sent.id,
        sent.key,
        sent.source,
        sent.time,
    )
    assert (received.scope, received.waits, received.attempt) == (sent.scope, sent.waits, sent.attempt)


@each_message
@SOME_TRIES
@given(data=st.data())
def test_the_official_sdk_reads_what_we_send(contract: Contract, data: st.DataObject) -> None:
    message = data.draw(instances(contract.cls))
    body = encode(envelope(contract, message))
    event = JSONFormat().read(None, body)
    assert event.get_type() == contract.type
    assert event.get_source() == f"/{contract.owner}"
    assert event.get_id() == "019aa8c1-6203-7d14-8f60-b7e94c1a2d38"
    assert event.get_time() == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert event.get_subject() == "acc_01"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_extension("correlationid") == "019aa8c1-5f0e-7b3a-9c55-2d1f0e6a4b77"
    assert event.get_data() == through_json(message)


def test_we_read_what_the_official_sdk_writes() -> None:
    contract = MESSAGES[0]
    body = encode(envelope(contract, None))
    assert decode(JSONFormat().write(JSONFormat().read(None, body))) == decode(body)


# Masking


@SOME_TRIES
@given(card=st.from_regex(r"[0-9]{12,19}", fullmatch=True), secret=st.text(min_size=1))
def test_masking_hides_what_is_sensitive_or_unknown_and_nothing_else(card: str, secret: str) -> None:
    shown = masked(Secretive, {"card": card, "secret": secret, "plain": "Moreau", "unknown": 1})
    assert shown == {"card": f"••••{card[-4:]}", "secret": "••••", "plain": "Moreau", "unknown": "••••"}


def test_masking_leaves_nothing_of_many_values_but_what_may_be_seen() -> None:
    shown = str(masked(Secretive, {"cards": ["371449635398431", "378282246310005"]}))
    assert "3714" not in shown
    assert "39843" not in shown
    assert "31000" not in shown


def test_what_is_absent_stays_absent() -> None:
    assert masked(Secretive, {"secret": None}) == {"secret": None}
    assert masked(Secretive, {}) == {}


@each_contract
@SOME_TRIES
@given(data=st.data())
def test_no_sensitive_value_is_left_in_a_masked_message(contract: Contract, data: st.DataObject) -> None:
    message = data.draw(instances(contract.cls))
    clear = strict(contract.cls).dump(message)
    shown = masked(contract.cls, clear)
    assert shown.keys() == clear.keys()
    for name in masks_of(contract.cls):
        assert clear[name] is None or shown[name] != clear[name]


def through_json(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value))


def envelope(contract: Contract, message: Message | None) -> Envelope:
    return Envelope(
        id="019aa8c1-6203-7d14-8f60-b7e94c1a2d38",
        key=contract.key,
        source=contract.owner,
        time=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        data=message or {},
        correlation_id="019aa8c1-5f0e-7b3a-9c55-2d1f0e6a4b77",
        causation_id="019aa8c1-5f0e-7b3a-9c55-2d1f0e6a4b77",
        subject="acc_01",
        actor="m.laurent",
        on_behalf_of="p.dubois",
        channel=Channel.API,
        assertion="signed",
        scope=("379812345600001", "379812345600010"),
        fingerprint="f1",
        trace_parent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        waits=True,
        expected_version=0,
        attempt=2,
    )
