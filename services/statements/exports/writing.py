"""From the facts of transactions to the lines of a file, as a layout says."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from services.statements.exports.layout import (
    Align,
    AmountForm,
    Column,
    Delimited,
    Layout,
    Line,
    Negative,
    Quoting,
)
from shared.web.cells import cell

Facts = Mapping[str, Any]


class DoesNotFit(Exception):
    """A value is longer than its place in a fixed-width line, and may not be cut."""


def opening_of(layout: Layout, export: Facts) -> bytes:
    """Return what a file begins with: the mark of its encoding, the header, a line about the export, as far as there is one."""
    form, lines = layout.form, []
    if isinstance(form, Delimited) and form.header:
        lines.append(_delimited([column.name for column in layout.lines[0]], form, layout))
    if layout.opening:
        lines.append(_written(layout.opening, export, layout))
    mark = "".encode(layout.encoding)  # of utf-8-sig, by which some programs know that it is UTF-8
    return mark + _encoded(lines, layout)


def lines_of(layout: Layout, transactions: Iterable[Facts]) -> bytes:
    """Return the lines of transactions; raises DoesNotFit."""
    return _encoded(
        (_written(line, facts, layout) for facts in transactions for line in layout.lines), layout
    )


def closing_of(layout: Layout, totals: Iterable[Facts]) -> bytes:
    """Return the line that ends a file, for each currency; raises DoesNotFit."""
    return _encoded((_written(layout.closing, facts, layout) for facts in totals if layout.closing), layout)


def _written(line: Line, facts: Facts, layout: Layout) -> str:
    form = layout.form
    if isinstance(form, Delimited):
        return _delimited(
            [_value(column, facts, layout.amounts, guarded=True) for column in line], form, layout
        )
    values = ((column, _value(column, facts, layout.amounts, guarded=False)) for column in line)
    return "".join(_placed(value, column) for column, value in values) + layout.line_end.text


def _delimited(cells: list[str], form: Delimited, layout: Layout) -> str:
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=form.delimiter,
        quoting=csv.QUOTE_ALL if form.quoting is Quoting.ALL else csv.QUOTE_MINIMAL,
        lineterminator=layout.line_end.text,
    )
    writer.writerow(cells)
    return text.getvalue()


def _value(column: Column, facts: Facts, amounts: AmountForm, *, guarded: bool) -> str:
    """Return what stands in a column; ``guarded``, no text of anybody's is run as a formula by a spreadsheet."""
    if column.fact is None:
        return column.text
    value = facts[column.fact]
    match value:
        case None | "":
            return column.otherwise
        case Decimal():
            return _amount(value, amounts)
        case date():
            return column.dates.write(value)
        case int():
            return str(value)
    if value in column.words:
        return column.words[value]
    text = " ".join(str(value).split())
    return cell(text) if guarded else text


def _amount(amount: Decimal, form: AmountForm) -> str:
    digits = f"{abs(amount):f}"
    if form.minor_units:
        digits = digits.replace(".", "").lstrip("0") or "0"
    digits = digits.replace(".", form.decimal)
    if amount >= 0:
        return digits
    return f"-{digits}" if form.negative is Negative.LEADING else f"{digits}-"


def _placed(value: str, column: Column) -> str:
    if len(value) > column.width:
        if not column.cut:
            what = column.name or column.fact or "text"
            raise DoesNotFit(f"“{value}” does not fit into the {column.width} characters of {what}.")
        return value[: column.width]
    if column.align is Align.LEFT:
        return value.ljust(column.width, column.fill)
    if column.fill == "0" and value.startswith("-"):
        return "-" + value[1:].rjust(column.width - 1, "0")  # zeros stand behind the sign
    return value.rjust(column.width, column.fill)


def _encoded(lines: Iterable[str], layout: Layout) -> bytes:
    # What an older encoding lacks becomes a question mark: a file without the line would be worse.
    return "".join(lines).encode(layout.encoding.removesuffix("-sig"), "replace")
