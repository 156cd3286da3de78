"""Tells a person everything that derives from one contract, for ``cardwork explain accounts.cancel-account``."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from inspect import getdoc
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from deploy.documents.asyncapi import example_message, exchange_of, queues_of, senders_of
from deploy.documents.examples import example_of
from deploy.documents.openapi import spoken
from deploy.documents.routes import PREFIX
from deploy.documents.schemas import json_schema_of
from shared.contracts import load_all
from shared.contracts.base import Contract, Kind, catalogue
from shared.contracts.schema import masks_of
from shared.contracts.types import Items, Note, Number, Scoped, Text
from shared.messaging.topology import topology_of
from shared.service import Service

_GIVEN = ("field", "type", "required", "masked", "rules")
_WORDS = {str: "text", int: "whole number", bool: "true or false", datetime: "instant"}
_ANSWERED = ("field", "type", "rules")


def explain(name: str, services: Iterable[Service]) -> str:
    """Return everything that derives from the contract of this name or routing key, as aligned text.

    Raises `shared.contracts.base.UnknownMessage`, with the names that exist, where there is none.
    """
    load_all()
    contract = catalogue.named(name)
    parts = [
        f"{contract.name}: {contract.kind}, version {contract.version}",
        getdoc(contract.cls) or "",
        "\n".join(_aligned(list(_facts(contract, list(services))))),
        "Fields\n" + _fields(contract.cls),
    ]
    if contract.returns:
        parts.append(f"Answer: {contract.returns.__name__}\n" + _answered_fields(contract.returns))
    parts.append("JSON Schema\n" + _json(json_schema_of(contract.cls)))
    parts += [f"Example: {title}\n" + _json(value) for title, value in _examples(contract)]
    return "\n\n".join(parts) + "\n"


# Facts


def _facts(contract: Contract, services: Sequence[Service]) -> Iterator[tuple[str, str]]:
    yield "class", f"{contract.cls.__module__}.{contract.cls.__name__}"
    yield "owner", contract.owner
    if contract.kind is Kind.READ:
        yield from _reading(contract, services)
    else:
        yield from _travelling(contract, services)
    if contract.kind is not Kind.EVENT:
        yield "function", contract.function or "none: every signed-in user may"
        if contract.holder:
            yield "holders", "may, with the own card accounts"
    if contract.service_time:
        yield "service time", spoken(contract.service_time)


def _reading(contract: Contract, services: Sequence[Service]) -> Iterator[tuple[str, str]]:
    assert contract.returns
    yield "route", f"{'POST' if contract.sends_body else 'GET'} {PREFIX}{contract.route}"
    yield (
        "answers with",
        f"pages of {contract.returns.__name__}" if contract.listing else contract.returns.__name__,
    )
    yield "answered by", _doers(contract, services, lambda service: service.queries)


def _travelling(contract: Contract, services: Sequence[Service]) -> Iterator[tuple[str, str]]:
    queues = queues_of(contract, topology_of(services))
    if contract.route:
        yield "route", f"POST {PREFIX}{contract.route}"
    yield "CloudEvents type", contract.type
    yield "exchange", exchange_of(contract)
    yield "routing key", contract.key
    yield "queues", ", ".join(queues) or "none: nothing listens to it yet"
    yield "sent by", ", ".join(senders_of(contract, services)) or "none of these services"
    if contract.kind is Kind.COMMAND:
        yield "handled by", _doers(contract, services, lambda service: service.handlers)
    else:
        yield "reacted to by", _doers(contract, services, lambda service: service.reactions)
    yield "observed by", _observers(queues, services)


def _doers(
    contract: Contract, services: Sequence[Service], pick: Callable[[Service], Mapping[Any, Any]]
) -> str:
    """Return the functions that deal with a message, with the service of each."""
    found = [
        (service.name, pick(service)[contract.cls]) for service in services if contract.cls in pick(service)
    ]
    return (
        ", ".join(f"{name} ({do.__module__}.{do.__qualname__})" for name, do in found)
        or "none of these services"
    )


def _observers(queues: Sequence[str], services: Sequence[Service]) -> str:
    watching = [
        s.name for s in services if s.observe and any(queue.startswith(f"{s.name}.") for queue in queues)
    ]
    return ", ".join(watching) or "none"


# Fields


def _fields(cls: type[Any]) -> str:
    hints = get_type_hints(cls, include_extras=True)
    masked = masks_of(cls)
    rows = []
    for field in dataclasses.fields(cls):
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        rules = list(_rules(hints[field.name]))
        if field.default not in (dataclasses.MISSING, None):
            rules.append(f"{getattr(field.default, 'value', field.default)} where it is left out")
        yes = "yes" if needed else "no", "yes" if field.name in masked else "no"
        rows.append((field.name, _type_of(hints[field.name]), *yes, "; ".join(rules)))
    return "\n".join(_aligned([_GIVEN, *rows])) if rows else "  none"


def _answered_fields(view: type[Any]) -> str:
    hints = get_type_hints(view, include_extras=True)
    rows = [(name, _type_of(hint), "; ".join(_rules(hint))) for name, hint in hints.items()]
    return "\n".join(_aligned([_ANSWERED, *rows]))


def _type_of(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_of(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join("null" if argument is type(None) else _type_of(argument) for argument in arguments)
    if origin in (list, tuple):
        return f"list of {_type_of(arguments[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "object"
    return _WORDS.get(hint, str(hint.__name__))


def _rules(hint: Any) -> Iterator[str]:
    """Yield the rules of a field in words, those of the whole before those of its parts."""
    if get_origin(hint) is Annotated:
        for mark in get_args(hint)[1:]:
            yield from _in_words(mark)
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType, list, tuple):
        for argument in get_args(hint):
            yield from _rules(argument)
    elif isinstance(hint, type) and hasattr(hint, "__members__"):
        yield "one of " + ", ".join(member.value for member in hint)  # type: ignore[attr-defined]


def _in_words(mark: Any) -> Iterator[str]:
    match mark:
        case Text(form=form) if form:
            yield form
        case Text(shortest=shortest, longest=longest):
            yield f"{shortest} to {longest} characters" if shortest < longest else f"{longest} characters"
        case Number(least=least, greatest=greatest):
            yield f"{least} to {greatest}"
        case Items(least=least, most=most):
            yield f"{least} to {most} of them"
        case Scoped():
            yield "must lie within the caller's control accounts"
        case Note(text=text):
            yield text


# Text


def _examples(contract: Contract) -> Iterator[tuple[str, Any]]:
    if contract.kind is Kind.READ:
        assert contract.returns
        yield f"what {contract.owner} is asked", example_of(contract.cls)
        yield f"{'a row' if contract.listing else 'the answer'}", example_of(contract.returns)
        return
    if contract.route:
        given = example_of(contract.cls)
        yield "the body", {name: value for name, value in given.items() if name not in contract.path_fields}
    yield "the message as it travels", example_message(contract)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(f"  {line}" for line in text.splitlines())
