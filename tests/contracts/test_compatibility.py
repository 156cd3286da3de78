"""Contracts only ever grow: what would break those who rely on a document is found and said."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from deploy.documents import publishing
from deploy.documents.asyncapi import asyncapi
from deploy.documents.compatibility import api_breaks, message_breaks
from deploy.documents.openapi import openapi
from deploy.documents.publishing import BreakingChange, write_documents
from tests.contracts.sample import SERVICES

Change = Callable[[dict[str, Any]], Any]

MESSAGES = asyncapi(SERVICES)
API = openapi()
CANCEL, OPENED = "accounts.cancel-account.v1", "accounts.account-opened.v1"


def schema(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def after(document: dict[str, Any], change: Change) -> dict[str, Any]:
    changed = deepcopy(document)
    change(changed)
    return changed


def rename(message: str, to: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["components"]["messages"][to] = document["components"]["messages"].pop(message)

    return change


# Messages


@pytest.mark.parametrize("document", [MESSAGES, API], ids=["asyncapi", "openapi"])
def test_nothing_breaks_where_nothing_changed(document: dict[str, Any]) -> None:
    breaks = message_breaks if document is MESSAGES else api_breaks
    assert breaks(document, deepcopy(document)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["components"]["messages"].pop(CANCEL), f"{CANCEL} is gone"),
        (
            lambda d: schema(d, "CancelAccount")["properties"].pop("comment"),
            f"{CANCEL}: the field comment is gone",
        ),
        (
            lambda d: schema(d, "CancelAccount")["required"].append("comment"),
            f"{CANCEL}: the field comment is required now",
        ),
        (
            lambda d: schema(d, "AccountOpened")["required"].remove("product"),
            f"{OPENED}: the field product may be absent now",
        ),
        (
            lambda d: schema(d, "CancelAccount")["properties"]["reason"]["enum"].remove("death"),
            f"{CANCEL}: reason knows no longer death",
        ),
        (
            lambda d: schema(d, "CancelAccount")["properties"]["comment"].update(maxLength=100),
            f"{CANCEL}: comment is limited more: maxLength is 100",
        ),
        (
            lambda d: schema(d, "CancelAccount")["properties"]["comment"].update(minLength=5),
            f"{CANCEL}: comment is limited more: minLength is 5",
        ),
        (
            lambda d: schema(d, "CancelAccount")["properties"]["comment"].update(pattern="^x"),
            f"{CANCEL}: comment must have another form now",
        ),
        (
            lambda d: schema(d, "CancelAccount")["properties"]["comment"].update(type="string"),
            f"{CANCEL}: comment may no longer be null",
        ),
    ],
)
def test_a_break_of_a_message_is_said(change: Change, said: str) -> None:
    assert message_breaks(MESSAGES, after(MESSAGES, change)) == [said]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: schema(d, "CancelAccount")["properties"].update(urgency={"type": "string"}),
        lambda d: schema(d, "CancelAccount")["properties"]["reason"]["enum"].append("moved"),
        lambda d: schema(d, "CancelAccount")["properties"]["comment"].update(
            maxLength=1000, description="other words"
        ),
        lambda d: d["components"]["messages"].update({"accounts.other.v1": {}}),
        rename(CANCEL, "accounts.cancel-account.v2"),
        rename(CANCEL, "accounts.cancel-account.v10"),
    ],
    ids=["optional field", "another value", "a longer text", "another message", "version 2", "version 10"],
)
def test_growing_breaks_nothing(change: Change) -> None:
    assert message_breaks(MESSAGES, after(MESSAGES, change)) == []


def test_an_older_version_is_no_successor() -> None:
    newer = after(MESSAGES, rename(CANCEL, "accounts.cancel-account.v2"))
    assert message_breaks(newer, MESSAGES) == ["accounts.cancel-account.v2 is gone"]


# The API


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["paths"].pop("/me"), "GET /me is gone"),
        (
            lambda d: schema(d, "CancelAccount")["required"].append("comment"),
            "POST /accounts/{account_id}/cancel body: the field comment is required now",
        ),
        (
            lambda d: d["paths"]["/accounts"]["get"]["parameters"].pop(0),
            "GET /accounts parameters: the field name is gone",
        ),
        (
            lambda d: d["paths"]["/accounts"]["get"]["parameters"][0].update(required=True),
            "GET /accounts parameters: the field name is required now",
        ),
        (
            lambda d: schema(d, "AccountRow")["properties"].pop("product"),
            "GET /accounts 200: data: each: the field product is gone",
        ),
        (
            lambda d: schema(d, "Me")["required"].remove("functions"),
            "GET /me 200: the field functions may be absent now",
        ),
        (
            lambda d: schema(d, "Me")["properties"]["name"].update(type=["string", "null"]),
            "GET /me 200: name may now be null",
        ),
        (
            lambda d: d["paths"]["/sessions/current"]["delete"]["responses"].pop("204"),
            "DELETE /sessions/current answers 204 no longer",
        ),
    ],
)
def test_a_break_of_the_api_is_said(change: Change, said: str) -> None:
    assert said in api_breaks(API, after(API, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: schema(d, "AccountRow")["properties"].update(nickname={"type": "string"}),
        lambda d: schema(d, "AccountRow")["properties"]["employee_id"].update(type="string"),
        lambda d: schema(d, "UnsuspendAccount")["properties"].update(reason={"type": "string"}),
        lambda d: d["paths"].update({"/statements": {}}),
    ],
    ids=["a field more", "no longer null", "an optional input more", "another path"],
)
def test_a_growing_api_breaks_nothing(change: Change) -> None:
    assert api_breaks(API, after(API, change)) == []


def test_a_body_where_there_was_none_breaks_only_where_it_must_be_sent() -> None:
    bare = after(API, lambda d: d["paths"]["/accounts/{account_id}/cancel"]["post"].pop("requestBody"))
    assert api_breaks(bare, API) == [
        "POST /accounts/{account_id}/cancel body: the field reason is required now"
    ]


# Writing


def test_the_first_documents_are_written_and_then_left_alone(tmp_path: Path) -> None:
    assert sorted(file.name for file in write_documents(tmp_path, SERVICES)) == [
        "asyncapi.json",
        "entitlements.md",
        "lifecycle.md",
        "openapi.json",
    ]
    assert json.loads((tmp_path / "openapi.json").read_text()) == API
    assert write_documents(tmp_path, SERVICES) == []


def test_a_breaking_document_is_not_written_unless_on_purpose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_documents(tmp_path, SERVICES)
    before = (tmp_path / "openapi.json").read_text()
    monkeypatch.setattr(publishing, "openapi", lambda: after(API, lambda d: d["paths"].pop("/me")))
    with pytest.raises(BreakingChange, match="GET /me is gone"):
        write_documents(tmp_path, SERVICES)
    assert (tmp_path / "openapi.json").read_text() == before
    assert write_documents(tmp_path, SERVICES, break_on_purpose=True) == [tmp_path / "openapi.json"]
