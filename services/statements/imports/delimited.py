"""Reads files with a character between the cells, and those whose cells have fixed places in a line."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple

from services.statements.imports.layout import Column, Delimited, Layout
from services.statements.imports.text import Source, lines_of
from shared.errors import Rejected


class Raw(NamedTuple):
    """A row as it stands in a file: ``cells`` in the order of the layout's columns; ``fault`` says why it is none."""

    line: int
    cells: Sequence[str]
    fault: str | None = None


def delimited_rows(stream: Source, layout: Layout) -> Iterator[Raw]:
    """Return the rows of a delimited file; raises Rejected where it is none, or lacks a column."""
    form = layout.form
    assert isinstance(form, Delimited)
    lines = lines_of(stream, layout.encodings)
    columns = list(layout.columns.values())
    first = 1
    if form.header:
        first, places, width, lines = _find_header(lines, form, columns)
    else:
        places, width = [column.at[0] - 1 if column.at else None for column in columns], None
    pick = _picker(places)
    reader = csv.reader((line + "\n" for line in lines), delimiter=form.delimiter, quotechar=form.quote)
    line = first
    try:
        for row in reader:
            if row:
                too_many = width is not None and len(row) > width and any(map(str.strip, row[width:]))
                cells = pick(row)
                if form.guarded:
                    cells = [cell[1:] if _GUARDED.match(cell) else cell for cell in cells]
                yield Raw(line, cells, _TOO_MANY if too_many else None)
            line = first + reader.line_num
    except csv.Error:
        raise Rejected(
            "not_delimited",
            f"From line {line} on, the cells cannot be told apart: a quotation mark is not closed.",
        ) from None


_GUARDED = re.compile(r"'[=+\-@]")
_TOO_MANY = "The row has more cells than the header: one of its values may hold the delimiter."


def fixed_rows(stream: Source, layout: Layout) -> Iterator[Raw]:
    """Return the rows of a file whose cells have fixed places."""
    places = [
        slice(column.at[0] - 1, column.at[1]) if column.at else slice(0, 0)
        for column in layout.columns.values()
    ]
    for number, line in enumerate(lines_of(stream, layout.encodings), 1):
        if line.strip():
            yield Raw(number, [line[place].strip() for place in places])


def _find_header(
    lines: Iterator[str], form: Delimited, columns: Sequence[Column]
) -> tuple[int, list[int | None], int, Iterator[str]]:
    """Return the number of the line below the header, where the columns stand, how many there are, and the lines below."""
    candidates = list(islice(lines, form.header_within))
    missing: list[str] = []
    for number, line in enumerate(candidates, 1):
        cells = next(csv.reader([line], delimiter=form.delimiter, quotechar=form.quote), [])
        places, lacks = _places(cells, columns)
        if not lacks:
            return number + 1, places, len(cells), chain(candidates[number:], lines)
        if not missing or len(lacks) < len(missing):
            missing = lacks
    raise Rejected(
        "column_missing",
        f"The header has no column {', no column '.join(missing) or 'at all'}, as the layout wants.",
    )


def _places(cells: Sequence[str], columns: Sequence[Column]) -> tuple[list[int | None], list[str]]:
    found: dict[str, int] = {}
    for i, cell in enumerate(cells):
        found.setdefault(plain(cell), i)
    places: list[int | None] = []
    missing: list[str] = []
    for column in columns:
        place = next((found[plain(name)] for name in column.header if plain(name) in found), None)
        places.append(place)
        if place is None and column.header and not column.optional:
            missing.append(" or ".join(f"“{name}”" for name in column.header))
    return places, missing


def plain(heading: str) -> str:
    """Return what counts of a heading: letters and digits; ``Cost Centre / Order No.`` is ``costcentreorderno``."""
    return "".join(filter(str.isalnum, heading.casefold()))


def _picker(places: Sequence[int | None]) -> Callable[[list[str]], Sequence[str]]:
    """Return what picks the cells of a row; the blank one behind the last stands for those that are not there."""
    width = max((place + 1 for place in places if place is not None), default=0)
    get = itemgetter(*(width if place is None else place for place in places), width)
    blanks = [""] * (width + 1)

    def pick(row: list[str]) -> Sequence[str]:
        cells = list(map(str.strip, row[:width]))
        picked: tuple[str, ...] = get(cells + blanks[len(cells) :])
        return picked[:-1]

    return pick
