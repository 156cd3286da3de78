"""What every contract promises: a name by the rules, words that say what it is, and nothing that may not travel."""

import dataclasses
import re
from collections import Counter
from datetime import timedelta
from typing import Any, get_type_hints

import pytest

from deploy.documents.examples import example_of
from shared.contracts import load_all, names
from shared.contracts.base import Contract, Kind, catalogue
from shared.contracts.schema import masks_of, schema_of, scopes_of, strict
from shared.contracts.types import CARD_ACCOUNT, CardNumber

load_all()
CONTRACTS = sorted(catalogue, key=lambda contract: contract.key)
COMMANDS = [contract for contract in CONTRACTS if contract.kind is Kind.COMMAND]
EVENTS = [contract for contract in CONTRACTS if contract.kind is Kind.EVENT]
READS = [contract for contract in CONTRACTS if contract.kind is Kind.READ]
VIEWS = sorted({contract.returns for contract in READS if contract.returns}, key=lambda view: view.__name__)

# What a card has on it: none of it may lie in a queue, a log or a record of requests.
CARD_DATA = re.compile(r"card_?num|(^|_)(pan|cvv|cvc|csc|pin|track_?\d|magstripe)(_|$)")
# Past tenses that do not end in -ed.
IRREGULAR = {
    "Sent",
    "Paid",
    "Lost",
    "Met",
    "Made",
    "Set",
    "Begun",
    "Withdrawn",
    "Given",
    "Put",
    "Read",
    "Lent",
}

each_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.key)
each_command = pytest.mark.parametrize("contract", COMMANDS, ids=lambda contract: contract.key)
each_event = pytest.mark.parametrize("contract", EVENTS, ids=lambda contract: contract.key)
each_read = pytest.mark.parametrize("contract", READS, ids=lambda contract: contract.key)
each_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)


def test_there_is_something_to_test() -> None:
    assert COMMANDS
    assert EVENTS
    assert READS


@pytest.mark.parametrize("trait", ["key", "type"])
def test_names_are_unique(trait: str) -> None:
    counted = Counter(getattr(contract, trait) for contract in CONTRACTS)
    assert [name for name, count in counted.items() if count > 1] == []


@each_contract
def test_a_name_follows_the_rules_and_leads_back(contract: Contract) -> None:
    assert names.key_of_type(contract.type) == contract.key
    assert contract.key == f"{contract.name}.v{contract.version}"
    assert catalogue[contract.key] is contract
    assert catalogue.named(contract.name).cls.__name__ == contract.cls.__name__


@each_contract
def test_a_contract_says_what_it_is(contract: Contract) -> None:
    words = contract.cls.__doc__ or ""
    assert not words.startswith(f"{contract.cls.__name__}("), "this is the docstring that dataclass makes"
    assert contract.summary.strip().endswith("."), "the docstring begins with a sentence"
    assert len(contract.summary.split()) >= 3


@each_contract
def test_a_contract_has_nothing_to_change(contract: Contract) -> None:
    params = contract.cls.__dataclass_params__  # type: ignore[attr-defined]
    assert params.frozen
    assert params.kw_only if hasattr(params, "kw_only") else True
    assert "__dict__" not in dir(contract.cls), "slots only"


@each_command
def test_a_command_has_a_function_a_service_time_and_a_route(contract: Contract) -> None:
    assert contract.function
    assert contract.service_time
    assert contract.service_time > timedelta(0)
    assert contract.route
    assert contract.route.startswith("/")


@pytest.mark.parametrize(
    "contract", [c for c in COMMANDS + READS if c.holder], ids=lambda contract: contract.key
)
def test_what_is_for_holders_can_be_told_to_be_theirs(contract: Contract) -> None:
    """IDN-06: it has a function, which keeps everybody else out, and what has to be named can be of a card account."""
    assert contract.function
    fields, scopes = schema_of(contract.cls)().fields, scopes_of(contract.cls)
    named = {name: mark for name, mark in scopes.items() if fields[name].required}
    assert all(mark == CARD_ACCOUNT or mark.owner_knows_holder for mark in named.values())
    assert CARD_ACCOUNT in named.values() or contract.kind is Kind.READ


@each_command
def test_a_command_is_not_named_in_the_past(contract: Contract) -> None:
    first = re.findall(r"[A-Z][a-z]*", contract.cls.__name__)[0]
    assert not first.endswith("ed")


@each_event
def test_an_event_is_named_for_what_happened(contract: Contract) -> None:
    last = re.findall(r"[A-Z][a-z]*", contract.cls.__name__)[-1]
    assert last.endswith("ed") or last in IRREGULAR


@each_event
def test_an_event_has_no_door(contract: Contract) -> None:
    assert contract.route is None
    assert contract.function is None


@each_read
def test_a_read_says_what_it_answers_with(contract: Contract) -> None:
    assert contract.route
    assert dataclasses.is_dataclass(contract.returns)


@pytest.mark.parametrize("contract", COMMANDS + READS, ids=lambda contract: contract.key)
def test_each_field_in_the_path_is_a_required_field(contract: Contract) -> None:
    fields = schema_of(contract.cls)().fields
    assert set(contract.path_fields) <= {name for name, field in fields.items() if field.required}


@pytest.mark.parametrize("contract", COMMANDS + EVENTS, ids=lambda contract: contract.key)
def test_no_message_carries_a_card_number(contract: Contract) -> None:
    assert card_fields(contract.cls) == []


@pytest.mark.parametrize("contract", READS, ids=lambda contract: contract.key)
def test_no_card_number_stands_in_a_url(contract: Contract) -> None:
    assert contract.sends_body or card_fields(contract.cls) == []
    assert not set(card_fields(contract.cls)) & set(contract.path_fields)


@each_contract
def test_a_card_number_is_masked_wherever_it_may_be(contract: Contract) -> None:
    assert set(card_fields(contract.cls)) <= set(masks_of(contract.cls))


def test_a_card_number_would_be_noticed() -> None:
    @dataclasses.dataclass
    class Careless:
        plain: CardNumber
        among_others: list[CardNumber] | None
        card_number: str
        old_pan: str
        company: str

    assert card_fields(Careless) == ["plain", "among_others", "card_number", "old_pan"]


@each_contract
def test_the_example_of_a_message_is_valid(contract: Contract) -> None:
    strict(contract.cls).load(example_of(contract.cls))


@each_view
def test_the_example_of_a_view_is_valid(view: type[Any]) -> None:
    strict(view).load(example_of(view))


def card_fields(cls: type[Any]) -> list[str]:
    """Return the fields that hold a card number, by their type or by their name."""
    hints = get_type_hints(cls, include_extras=True)
    return [name for name, hint in hints.items() if CARD_DATA.search(name) or repr(CardNumber) in repr(hint)]
