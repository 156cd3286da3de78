"""A value as a cell of a CSV file."""

from decimal import Decimal
from typing import Any


def cell(value: Any) -> str:
    """Return the text of a cell; a spreadsheet would run one that begins like a formula."""
    text = _text(value)
    number = isinstance(value, int | Decimal)  # what begins with a sign is no formula then
    return f"'{text}" if text[:1] in "=+-@\t\r" and text and not number else text


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()  # as in JSON
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)
