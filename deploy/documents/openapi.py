"""Describes the gateway's API as OpenAPI 3.1: each command and each read from its contract, and signing in."""

import re
import sys
from collections.abc import Iterable
from datetime import timedelta
from inspect import cleandoc, getdoc
from typing import Any

from apispec import APISpec

from deploy.documents import edge
from deploy.documents.examples import example_of
from deploy.documents.own_paths import TAGS, TAKEN, add_own_paths, add_progress
from deploy.documents.parts import JSON, first_line, path_parameters, problem, problem_name, problems, ref
from deploy.documents.routes import PREFIX, method_and_path
from deploy.documents.schemas import mark_masked, new_specification, part_of, schema_name, tolerate_more
from shared.contracts import load_all
from shared.contracts.base import Contract, Kind, catalogue
from shared.contracts.schema import schema_of, scopes_of
from shared.contracts.types import VERSIONED

_REQUIREMENT = re.compile(r"\b[A-Z]{3}-\d{2}\b|\bPart 2 no\. \d+\b")
_VIEWS = (edge.Receipt, edge.Outcome, edge.Problem)

_ABOUT = """
    Administer a corporate card programme: read what you may see, and send commands for what should happen.

    **Commands** are answered at once with a tracking number, and nothing that was answered so is ever lost. Send an
    `Idempotency-Key` of your own and you may send a command again as often as you like: it is carried out once. Under
    `Prefer: wait=5` the answer is the outcome, where it comes within these seconds.

    **Lists** come in pages of `limit` rows in stable order; pass `next_cursor` as `cursor` for the next one. Every list
    is also there as CSV (`Accept: text/csv`).

    **Errors** are problems (RFC 9457) with a stable `code`. Whatever lies outside your control accounts is not found.
"""

# Each problem that can be met, by status: what it means here, and the headers that come with it.
_PROBLEMS = {
    400: "The request cannot be read: its body is no JSON object, or it says something twice.",
    401: "You are not signed in, or your session has ended.",
    403: "The function is not granted to you (IDN-05).",
    404: "There is no such thing within your control accounts.",
    409: "What you want to change was changed since you read it (`If-Match`), or the request is at odds with another one.",
    411: "Say by `Content-Length` how long the file is.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    422: "A field is wrong, the domain refused (`Prefer: wait`), or the idempotency key was used for another body.",
    429: "Too many requests; try again after `Retry-After` seconds.",
    503: "A part of the system is away; try again after `Retry-After` seconds, under the same idempotency key.",
}
# What the gateway adds to the answers of services from what tracking knows; null while tracking is away.
_ADDED_BY_THE_GATEWAY: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "AccountProfile",
        "last_requests",
        {
            "type": ["array", "null"],
            "items": {"$ref": "#/components/schemas/RequestRow"},
            "description": "The latest requests for this account; null for those who may not see requests.",
        },
    ),
    (
        "FieldChange",
        "tracking_number",
        {"type": ["string", "null"], "description": "The request that made the change (ACC-18)."},
    ),
)
# What an alternate adds to a command whose function may be lent.
_FOR_ALTERNATES = {
    "on_behalf_of": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "description": "The user ID of the administrator in whose stead you act, who shares this with you (IDN-07).",
    }
}
_RETRY_LATER = frozenset({429, 503})
_OF_COMMANDS = (400, 401, 403, 404, 409, 413, 415, 422, 429, 503)
_OF_BODIES = frozenset({400, 413, 415})


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the gateway's API."""
    load_all()
    specification = new_specification(
        "Cardwork",
        "1",
        info={"description": cleandoc(_ABOUT), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        servers=[{"url": PREFIX}],
        security=[{"session": []}],
    )
    contracts = sorted((*catalogue.commands(), *catalogue.reads()), key=lambda contract: contract.owner)
    _add_tags(specification, contracts)
    _add_components(specification)
    add_own_paths(specification)
    for contract in contracts:
        _add(specification, contract)
    add_progress(specification)
    return _finished(specification, contracts)


def _add_tags(specification: APISpec, contracts: Iterable[Contract]) -> None:
    for name, about in TAGS.items():
        specification.tag({"name": name, "description": about})
    seen = {contract.owner: sys.modules[contract.cls.__module__].__doc__ or "" for contract in contracts}
    for owner, about in seen.items():
        specification.tag({"name": owner, "description": about.strip().split("\n\n")[0]})


def _add_components(specification: APISpec) -> None:
    for shape in _VIEWS:
        if shape.__name__ not in specification.components.schemas:
            specification.components.schema(shape.__name__, schema=schema_of(shape))
    specification.components.security_scheme(
        "session",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "The `token` that `POST /sessions` answers with.",
        },
    )
    specification.components.header(
        "Retry-After", {"description": "After how many seconds to try again.", "schema": {"type": "integer"}}
    )
    for status, meaning in _PROBLEMS.items():
        headers = {"headers": {"Retry-After": "Retry-After"}} if status in _RETRY_LATER else {}
        specification.components.response(problem_name(status), {**problem(meaning), **headers})
    specification.components.response("Problem", problem("Any other error."))
    accepted, done = (
        "The command is accepted and will not be lost.",
        "The command is carried out (`Prefer: wait`).",
    )
    specification.components.response("Receipt", _receipt(accepted, edge.Receipt))
    specification.components.response("Outcome", _receipt(done, edge.Outcome))
    for name, parameter in {
        **_COMMAND_HEADERS,
        "If-Match": _IF_MATCH,
        "If-None-Match": _IF_NONE_MATCH,
    }.items():
        specification.components.parameter(name, "header", {"name": name, **parameter})


# Headers that a caller may send, and those that answers bear.
_IF_NONE_MATCH = {
    "description": "The `ETag` of an answer that you still have: if nothing changed, the answer is 304, without a body.",
    "schema": {"type": "string"},
}
_IF_MATCH = {
    "description": "The `ETag` of what you have read and want to change: if it was changed since, nothing is done (409).",
    "schema": {"type": "string"},
}
_ETAG = {
    "description": "Names this very answer, for `If-None-Match`, and what it tells of, for `If-Match`.",
    "schema": {"type": "string"},
}
_NEXT_CURSOR = {
    "description": "On CSV only: the `cursor` of the next page; absent on the last.",
    "schema": {"type": "string"},
}
_COMMAND_HEADERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "description": "A text of your own, new for each new command. Under the same key a command is carried out once, "
        "and its answer is the same. Without one the server makes one and returns it.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "Prefer": {
        "description": "`wait=N` asks for the outcome, if it comes within N seconds (at most 10).",
        "schema": {"type": "string", "examples": ["wait=5"]},
    },
}


def _add(specification: APISpec, contract: Contract) -> None:
    if contract.kind is Kind.COMMAND or contract.sends_body:
        _add_body_schema(specification, contract)
    operation = _command(contract) if contract.kind is Kind.COMMAND else _read(specification, contract)
    method, path = method_and_path(contract)
    specification.path(path=path, operations={method.lower(): {**_described(contract), **operation}})


def _described(contract: Contract) -> dict[str, Any]:
    words = getdoc(contract.cls) or ""
    notes = [f"Function: `{contract.function}`." if contract.function else "For every signed-in user."]
    if contract.holder:
        notes.append("Holders may, with the own card accounts.")
    if contract.service_time:
        notes.append(f"Service time: {spoken(contract.service_time)}.")
    described: dict[str, Any] = {
        "operationId": schema_name(contract)[0].lower() + schema_name(contract)[1:],
        "tags": [contract.owner],
        "summary": contract.summary,
        "description": "\n\n".join([*words.split("\n\n")[1:], " ".join(notes)]),
        "x-function": contract.function,
        "x-holder": contract.holder,
        "x-message": contract.key,
    }
    requirements = _REQUIREMENT.findall(words)
    return {**described, "x-requirements": requirements} if requirements else described


def spoken(time: timedelta) -> str:
    """Return a span of time in words, such as ``15 minutes``."""
    for unit, length in (
        ("day", timedelta(days=1)),
        ("hour", timedelta(hours=1)),
        ("minute", timedelta(minutes=1)),
        ("second", timedelta(seconds=1)),
    ):
        if time >= length and not time % length:
            return f"{time // length} {unit}{'s' if time // length > 1 else ''}"
    return f"{time.total_seconds():g} seconds"


# Commands


def _command(contract: Contract) -> dict[str, Any]:
    conditional = [] if VERSIONED.isdisjoint(contract.path_fields) else ["If-Match"]
    operation = {
        "parameters": [*path_parameters(contract), *_COMMAND_HEADERS, *conditional],
        "responses": {
            "202": "Receipt",
            "200": "Outcome",
            **problems(_OF_COMMANDS),
        },
    }
    body = _body(contract)
    return {**operation, "requestBody": body} if body else operation


def _add_body_schema(specification: APISpec, contract: Contract) -> None:
    part = part_of(contract.cls, without=contract.path_fields)
    if part.fields:
        specification.components.schema(schema_name(contract), schema=part)
        if contract.lendable:
            specification.components.schemas[schema_name(contract)]["properties"] |= _FOR_ALTERNATES


def _body(contract: Contract) -> dict[str, Any] | None:
    """Return what travels in the body: every field that is not in the path."""
    part = part_of(contract.cls, without=contract.path_fields)
    if not part.fields:
        return None
    example = {name: value for name, value in example_of(contract.cls).items() if name in part.fields}
    content = {"schema": ref(schema_name(contract)), "example": example}
    return {"required": any(field.required for field in part.fields.values()), "content": {JSON: content}}


def _receipt(meaning: str, shape: type[Any]) -> dict[str, Any]:
    headers: dict[str, Any] = {
        "Idempotency-Key": {
            "description": "The key under which the command was taken.",
            "schema": {"type": "string"},
        },
        "Idempotency-Replayed": {
            "description": "`true` where this key was answered before.",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "Location": {"description": "The request's page in the tracking.", "schema": {"type": "string"}},
    }
    return {"description": meaning, "headers": headers, "content": {JSON: {"schema": ref(shape.__name__)}}}


# Reads


def _read(specification: APISpec, contract: Contract) -> dict[str, Any]:
    assert contract.returns
    _add_answer(specification, contract.returns, listing=contract.listing)
    parameters: list[Any] = path_parameters(contract)
    criteria = part_of(contract.cls, without=contract.path_fields)
    if criteria.fields and not contract.sends_body:
        parameters.append({"in": "query", "schema": criteria})
    answers = {"200": _answer(contract), **problems(_of_read(contract))}
    if _is_conditional(contract):
        parameters.append("If-None-Match")
        answers["304"] = {"description": "Nothing changed since the answer that you have."}
    body = _body(contract) if contract.sends_body else None
    return {"parameters": parameters, "responses": answers, **({"requestBody": body} if body else {})}


def _is_conditional(contract: Contract) -> bool:
    """Whether a read is of a single thing, fetched by GET, so that its answer has an ETag."""
    return not contract.listing and not contract.sends_body


def _add_answer(specification: APISpec, view: type[Any], *, listing: bool) -> None:
    page = _page_name(view)
    if view.__name__ not in specification.components.schemas:
        specification.components.schema(view.__name__, schema=schema_of(view))
    if listing and page not in specification.components.schemas:
        specification.components.schema(page, _page_of(view))


def _page_name(view: type[Any]) -> str:
    return f"{view.__name__}Page"


def _answer(contract: Contract) -> dict[str, Any]:
    assert contract.returns
    if not contract.listing:
        answer = {
            "description": first_line(contract.returns),
            "content": {JSON: {"schema": ref(contract.returns.__name__)}},
        }
        return {**answer, "headers": {"ETag": _ETAG}} if _is_conditional(contract) else answer
    content = {
        JSON: {"schema": ref(_page_name(contract.returns))},
        "text/csv": {"schema": {"type": "string"}},
    }
    return {
        "description": "One page of the list.",
        "headers": {"X-Next-Cursor": _NEXT_CURSOR},
        "content": content,
    }


def _page_of(view: type[Any]) -> dict[str, Any]:
    return {
        "description": f"One page of a list, in stable order. Each row: {first_line(view)}",
        "type": "object",
        "required": ["data", "has_more", "next_cursor", "total"],
        "properties": {
            "data": {"type": "array", "items": ref(view.__name__)},
            "has_more": {"type": "boolean"},
            "next_cursor": {
                "type": ["string", "null"],
                "description": "Pass it as `cursor` for the next page.",
            },
            "total": {"type": ["integer", "null"], "description": "null where counting would cost too much."},
        },
    }


def _of_read(contract: Contract) -> list[int]:
    met = {400, 401, 422, 429, 503}
    met |= {403} if contract.function else set()
    met |= {404} if contract.path_fields or scopes_of(contract.cls) else set()
    return sorted(met | _OF_BODIES if contract.sends_body else met)


def _finished(specification: APISpec, contracts: Iterable[Contract]) -> dict[str, Any]:
    document: dict[str, Any] = specification.to_dict()
    schemas = document["components"]["schemas"]
    taken = {schema_name(contract): contract for contract in contracts if schema_name(contract) in schemas}
    for name, schema in schemas.items():
        if name in taken:
            mark_masked(taken[name], schema)
        elif name not in TAKEN:
            tolerate_more(schema)
    for view, field, schema in _ADDED_BY_THE_GATEWAY:
        schemas[view]["properties"][field] = schema
    return document
