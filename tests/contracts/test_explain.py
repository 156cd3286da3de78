"""`cardwork explain` tells everything that derives from one contract."""

import json
import re

import pytest

from deploy.documents.explain import explain
from shared.contracts.base import Contract, UnknownMessage
from tests.contracts.sample import SERVICES
from tests.contracts.test_declarations import each_contract


def facts(name: str) -> dict[str, str]:
    """Return the aligned facts by their labels."""
    block = next(part for part in explain(name, SERVICES).split("\n\n") if part.startswith("  class"))
    return {label.strip(): value for label, value in re.findall(r"^  (.+?)  +(.+)$", block, re.MULTILINE)}


def row(name: str, field: str) -> list[str]:
    """Return the cells of a field's line."""
    (line,) = re.findall(rf"^  {field}  .*$", explain(name, SERVICES), re.MULTILINE)[:1]
    return re.split(r"  +", line.strip())


def test_a_command() -> None:
    assert facts("accounts.cancel-account") == {
        "class": "shared.contracts.accounts.CancelAccount",
        "owner": "accounts",
        "route": "POST /api/v1/accounts/{account_id}/cancel",
        "CloudEvents type": "io.cardwork.accounts.cancel-account.v1",
        "exchange": "cardwork.commands",
        "routing key": "accounts.cancel-account.v1",
        "queues": "accounts.commands, tracking.commands",
        "sent by": "gateway",
        "handled by": "accounts (tests.contracts.sample.cancel)",
        "observed by": "tracking",
        "function": "accounts.cancel",
        "service time": "1 minute",
    }


def test_an_event() -> None:
    found = facts("accounts.account-cancelled")
    assert found["exchange"] == "cardwork.events"
    assert found["queues"] == "archive.events"
    assert found["sent by"] == "accounts"
    assert found["reacted to by"] == "archive (tests.contracts.sample.close_file)"
    assert found["observed by"] == "none"
    assert "route" not in found
    assert "function" not in found


def test_an_event_that_nobody_listens_to() -> None:
    assert facts("accounts.account-suspended")["queues"] == "none: nothing listens to it yet"


def test_an_outcome() -> None:
    found = facts("outcomes.command-rejected")
    assert found["queues"] == "tracking.events"
    assert found["sent by"] == "accounts"
    assert found["observed by"] == "tracking"


def test_a_read() -> None:
    assert facts("accounts.get-account") == {
        "class": "shared.contracts.accounts.GetAccount",
        "owner": "accounts",
        "route": "GET /api/v1/accounts/{account_id}",
        "answers with": "AccountProfile",
        "answered by": "accounts (tests.contracts.sample.show)",
        "function": "accounts.view",
        "holders": "may, with the own card accounts",
    }
    assert facts("accounts.find-accounts-by-card")["route"] == "POST /api/v1/accounts/search"
    assert facts("accounts.find-accounts")["answers with"] == "pages of AccountRow"


def test_fields_stand_in_columns() -> None:
    assert row("accounts.cancel-account", "field") == ["field", "type", "required", "masked", "rules"]
    name, type_, required, masked, rules = row("accounts.cancel-account", "account_id")
    assert (name, type_, required, masked) == ("account_id", "text", "yes", "no")
    assert rules == "acc_ and 26 letters or digits; must lie within the caller's control accounts"
    assert row("accounts.cancel-account", "comment")[1:4] == ["text or null", "no", "no"]
    assert "fraud" in row("accounts.cancel-account", "reason")[4]


def test_a_masked_field_is_shown_as_such() -> None:
    assert row("accounts.find-accounts-by-card", "card_numbers")[1:4] == ["list of text", "yes", "yes"]


def test_a_default_is_told() -> None:
    assert row("accounts.find-accounts", "limit")[4] == "1 to 500; 50 where it is left out"


def test_a_message_without_fields() -> None:
    assert "Fields\n  none" in explain("identity.list-roles", SERVICES)


@each_contract
def test_each_contract_can_be_explained(contract: Contract) -> None:
    text = explain(contract.name, SERVICES)
    assert text == explain(contract.key, SERVICES)
    assert contract.summary in " ".join(text.split())
    assert all(line == line.rstrip() for line in text.splitlines())
    for block in re.findall(r"^(?:JSON Schema|Example: .*)\n((?:  .*\n)+)", text, re.MULTILINE):
        json.loads(block)


def test_an_unknown_name_lists_those_that_there_are() -> None:
    with pytest.raises(
        UnknownMessage, match=r"no message is named 'accounts.cancel'.*accounts.cancel-account"
    ):
        explain("accounts.cancel", SERVICES)
