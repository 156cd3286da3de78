"""A value as a cell of a CSV file."""

from typing import Any


def cell(value: Any) -> str:
    """Return the text of a cell; a spreadsheet would run one that begins like a formula."""
    text = _text(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()  # as in JSON
        case _:
            return str(value)
