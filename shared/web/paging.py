"""Pages of a list in stable order: a cursor holds the sort key of the last row seen, so rows may change meanwhile."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from shared.contracts.base import Page
from shared.errors import Rejected

R = TypeVar("R")
V = TypeVar("V")


def encode_cursor(key: Sequence[str | int]) -> str:
    """Return a sort key as opaque text."""
    return urlsafe_b64encode(orjson.dumps(list(key))).decode().rstrip("=")


def decode_cursor(cursor: str | None, *types: type[Any]) -> list[Any] | None:
    """Return the sort key in a cursor, None without one; raises Rejected ``bad_cursor`` where it is none of ours."""
    if cursor is None:
        return None
    try:
        key = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if len(key) == len(types) and all(type(k) is t for k, t in zip(key, types, strict=True)):
            return list(key)
    except (Error, ValueError, TypeError):
        pass
    raise Rejected(
        "bad_cursor", "This cursor is not one that a list gave out; leave it out to begin anew.", "cursor"
    )


def page_of(
    rows: Sequence[R],
    limit: int,
    view: Callable[[R], V],
    key: Callable[[R], Sequence[str | int]],
    total: int | None = None,
) -> Page[V]:
    """Return a page of at most ``limit`` of the rows; ask the database for one more than that to know if there is more."""
    shown, more = rows[:limit], len(rows) > limit
    cursor = encode_cursor(key(shown[-1])) if more else None
    return Page(data=[view(row) for row in shown], has_more=more, next_cursor=cursor, total=total)
