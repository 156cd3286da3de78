"""Makes any valid message or view from its declaration, so that a new contract is tested by being declared."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import EnumType
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from hypothesis import settings
from hypothesis import strategies as st

from shared.contracts.types import Items, Number, Text

# Every contract is tried, so a few tries of each say much; how long one takes says nothing.
SOME_TRIES = settings(max_examples=15, deadline=None)

# What UTF-8 can carry: everything but half a surrogate pair. A field with a length holds no control characters either.
_CHARACTERS = st.characters(exclude_categories=["Cs"])
_PRINTABLE = st.characters(exclude_categories=["Cs", "Cc"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(_CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_CHARACTERS), inner, max_size=3),
    max_leaves=6,
)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-(2**53), 2**53),
    str: st.text(_CHARACTERS),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    NoneType: st.none(),
}
_MADE: dict[type[Any], st.SearchStrategy[Any]] = {}


def instances(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for instances of a message or a view that keep its rules."""
    if cls not in _MADE:
        hints = get_type_hints(cls, include_extras=True)
        fields = {field.name: _values(hints[field.name]) for field in dataclasses.fields(cls)}
        _MADE[cls] = st.builds(cls, **fields)
    return _MADE[cls]


def _values(hint: Any) -> st.SearchStrategy[Any]:
    marks: tuple[Any, ...] = ()
    while get_origin(hint) is Annotated:
        hint, *more = get_args(hint)
        marks = (*marks, *more)
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        # The rules on the whole are those of its one part that is not null.
        return st.one_of(*(_values(Annotated[(part, *marks)] if marks else part) for part in get_args(hint)))
    if origin is list:
        items = next((mark for mark in marks if isinstance(mark, Items)), Items())
        return st.lists(
            _values(get_args(hint)[0]), min_size=items.least, max_size=min(items.most, items.least + 3)
        )
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mappings(get_args(hint)[1])
    if isinstance(hint, EnumType):
        return st.sampled_from(list(hint))
    if dataclasses.is_dataclass(hint):
        return instances(hint)  # type: ignore[arg-type]
    return _ruled(hint, marks)


def _mappings(values: Any) -> st.SearchStrategy[Any]:
    inner = _JSON if values is Any else _values(values)
    return st.dictionaries(st.text(_CHARACTERS), inner, max_size=3)


def _ruled(kind: Any, marks: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    for mark in marks:
        if isinstance(mark, Number) and kind is int:
            return st.integers(mark.least, mark.greatest)
        if isinstance(mark, Text) and kind is str:
            return _texts(mark)
    return _PLAIN[kind]


def _texts(rule: Text) -> st.SearchStrategy[str]:
    if rule.pattern is None:
        fitting = st.text(_PRINTABLE, min_size=rule.shortest, max_size=rule.longest)
    else:
        fitting = st.from_regex(rule.pattern.removesuffix("$") + r"\Z")
    return fitting.filter(lambda text: rule.shortest <= len(text) <= rule.longest and not text.isspace())
