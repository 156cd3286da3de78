"""Derives the marshmallow schema of a message or a view from its annotations.

One derivation serves the HTTP edge (strict: an unknown field is an error), the readers of messages (tolerant), and the
OpenAPI and AsyncAPI documents.
"""

import dataclasses
import re
import types
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import EnumType
from functools import cache
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, post_load, validate

from shared.contracts.base import Kind, Message
from shared.contracts.types import Items, Note, Number, Placed, Scoped, Sealed, Sensitive, Text

T = TypeVar("T")

REQUIRED = "This is required."
UNKNOWN = "There is no such field."

_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*\Z")
_UNKNOWN = Sensitive()
_PLAIN: dict[type, type[fields.Field[Any]]] = {
    str: fields.String,
    int: fields.Integer,
    bool: fields.Boolean,
    date: fields.Date,
    datetime: fields.AwareDateTime,
}
_INSTANT = "Must be a date and time with its zone, such as 2026-12-01T09:00:00+01:00 or 2026-12-01T08:00:00Z."
_WORDS: dict[type[fields.Field[Any]], dict[str, str]] = {
    fields.String: {"invalid": "Must be a text."},
    fields.Integer: {"invalid": "Must be a whole number."},
    fields.Boolean: {"invalid": "Must be true or false."},
    fields.Date: {"invalid": "Must be a date, such as 2026-12-01."},
    fields.AwareDateTime: {"invalid": _INSTANT, "invalid_awareness": _INSTANT},
    fields.List: {"invalid": "Must be a list."},
    fields.Dict: {"invalid": "Must be an object."},
}


def _once_per_class(derive: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """Keep what is derived from a class."""
    return cast(Callable[[type[Any]], T], cache(derive))


@_once_per_class
def schema_of(cls: type[Any]) -> type[Schema]:
    """Return the schema class of a dataclass; loading with it gives an instance of that dataclass."""
    hints = get_type_hints(cls, include_extras=True)
    contract = cls.contract if issubclass(cls, Message) else None
    # The criteria of a read arrive as text in a URL; everywhere else a number is a number, never "5" or 5.0.
    exact = contract is None or contract.kind is not Kind.READ or contract.sends_body
    members: dict[str, Any] = {
        field.name: _field(hints[field.name], field, exact) for field in dataclasses.fields(cls)
    }

    def make(_: Schema, data: dict[str, Any], **__: Any) -> Any:
        return cls(**data)

    members["make"] = post_load(make)
    members["__doc__"] = cls.__doc__
    members["error_messages"] = {
        "unknown": f"{UNKNOWN} There are: {', '.join(field.name for field in dataclasses.fields(cls))}.",
        "type": "Must be an object.",
    }
    members["Meta"] = type("Meta", (), {"ordered": True})
    return cast(type[Schema], type(cls.__name__, (Schema,), members))


@_once_per_class
def strict(cls: type[Any]) -> Schema:
    """Return the schema for the HTTP edge: an unknown field is refused."""
    return schema_of(cls)(unknown=RAISE)


@_once_per_class
def tolerant(cls: type[Any]) -> Schema:
    """Return the schema for readers of messages: a field that a newer writer added is passed over."""
    return schema_of(cls)(unknown=EXCLUDE)


@_once_per_class
def masks_of(cls: type[Message]) -> Mapping[str, Sensitive]:
    """Return the fields of a message that nobody may see, with how each is masked."""
    return dict(_marks(cls, Sensitive))


@_once_per_class
def scopes_of(cls: type[Message]) -> Mapping[str, Scoped]:
    """Return the fields of a message that name something under a control account."""
    return dict(_marks(cls, Scoped))


@_once_per_class
def placed_of(cls: type[Message]) -> frozenset[str]:
    """Return the fields of a message that name something whose place goes along with it."""
    return frozenset(name for name, _ in _marks(cls, Placed))


@_once_per_class
def seals_of(cls: type[Message]) -> Mapping[str, Sealed]:
    """Return the fields of a message that travel sealed."""
    return dict(_marks(cls, Sealed))


def masked(cls: type[Message], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``data`` with every sensitive field masked, and every one that is unknown: it may be a newer writer's."""
    masks, plain = masks_of(cls), _plain_names(cls)
    return {
        name: value if name in plain else _mask(value, masks.get(name, _UNKNOWN))
        for name, value in data.items()
    }


@_once_per_class
def _plain_names(cls: type[Any]) -> frozenset[str]:
    return frozenset(member.name for member in dataclasses.fields(cls)) - masks_of(cls).keys()


def _mask(value: Any, rule: Sensitive) -> Any:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [_mask(one, rule) for one in value]
    text = str(value)
    shown = text[len(text) - rule.visible :] if 0 < rule.visible < len(text) else ""
    return "••••" + shown


def _marks(cls: type[Message], kind: type[Any]) -> list[tuple[str, Any]]:
    found = []
    for name, hint in get_type_hints(cls, include_extras=True).items():
        for annotation in _unwrapped(hint):
            found += [(name, mark) for mark in _metadata(annotation) if isinstance(mark, kind)]
    return found


def _unwrapped(hint: Any) -> list[Any]:
    """Return the hint with unions and lists opened: ``list[AccountId] | None`` gives ``AccountId``."""
    if get_origin(hint) is Annotated:
        return [hint, *_unwrapped(get_args(hint)[0])]
    if get_origin(hint) in (Union, types.UnionType, list, tuple):
        return [inner for argument in get_args(hint) for inner in _unwrapped(argument)]
    return [hint]


def _metadata(hint: Any) -> tuple[Any, ...]:
    return tuple(get_args(hint)[1:]) if get_origin(hint) is Annotated else ()


def _field(hint: Any, declared: dataclasses.Field[Any], exact: bool) -> fields.Field[Any]:
    options: dict[str, Any] = {"required": True}
    if declared.default is not dataclasses.MISSING:
        options = {"load_default": declared.default}
    elif declared.default_factory is not dataclasses.MISSING:
        options = {"load_default": declared.default_factory}
    return _typed(hint, options, exact)


def _typed(hint: Any, options: dict[str, Any], exact: bool) -> fields.Field[Any]:
    marks = _metadata(hint)
    if marks:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = [argument for argument in get_args(hint) if argument is not type(None)]
        return _typed(Annotated[(hint, *marks)] if marks else hint, {**options, "allow_none": True}, exact)
    notes = [mark.text for mark in marks if isinstance(mark, Note)]
    if notes:
        options = {**options, "metadata": {"description": notes[0]}}
    rules = [rule for mark in marks for rule in _rules(mark)]
    return _made(hint, {**options, "validate": rules} if rules else options, exact)


def _made(hint: Any, options: dict[str, Any], exact: bool) -> fields.Field[Any]:
    origin = get_origin(hint)
    options["error_messages"] = {"required": REQUIRED, "null": "Must not be null."}
    if origin in (list, tuple):
        return fields.List(_typed(get_args(hint)[0], {}, exact), **_worded(fields.List, options))
    if hint is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return fields.Dict(keys=fields.String(), **_worded(fields.Dict, options))
    if isinstance(hint, EnumType):
        return fields.Enum(cast(Any, hint), by_value=True, **options)
    if dataclasses.is_dataclass(hint):
        return fields.Nested(schema_of(cast(type[Any], hint)), **options)
    if hint is int:
        return fields.Integer(strict=exact, **_worded(fields.Integer, options))
    return _PLAIN[hint](**_worded(_PLAIN[hint], options))


def _worded(kind: type[fields.Field[Any]], options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "error_messages": {**options["error_messages"], **_WORDS[kind]}}


def _rules(mark: Any) -> list[Any]:
    if isinstance(mark, Text):
        rules: list[Any] = [validate.Length(min=mark.shortest, max=mark.longest, error=_length_of(mark))]
        if mark.pattern:
            # A pattern is matched whole; `$` alone would let a newline through.
            pattern = mark.pattern.removesuffix("$") + r"\Z"
            rules.append(validate.Regexp(pattern, error=f"Must be {mark.form}."))
        else:
            rules.append(validate.Regexp(_PRINTABLE, error="Must hold no control characters."))
        return [*rules, _not_blank]
    if isinstance(mark, Number):
        return [
            validate.Range(
                min=mark.least, max=mark.greatest, error=f"Must be from {mark.least} to {mark.greatest}."
            )
        ]
    if isinstance(mark, Items):
        return [
            validate.Length(
                min=mark.least, max=mark.most, error=f"Must have {mark.least} to {mark.most} elements."
            )
        ]
    return []


def _length_of(mark: Text) -> str:
    """Return what to say of a text of the wrong length; where all have the same, its form says that."""
    if mark.shortest < mark.longest:
        return f"Must have {mark.shortest} to {mark.longest} characters."
    return f"Must be {mark.form}." if mark.form else f"Must have {mark.longest} characters."


def _not_blank(text: str) -> None:
    if text and not text.strip():
        raise ValidationError("Must not be blank.")
