"""Reads the rows of an uploaded file one by one: no more of it is in memory than the row in hand."""

import csv
from collections.abc import Iterator
from itertools import chain
from typing import IO

from shared.contracts.bulk import CSV, XLSX
from shared.errors import Rejected

_LONGEST_LINE = _PIECE = 64 * 1024

Row = tuple[
    int, list[str]
]  # its number, as a spreadsheet shows it, and its cells without the blanks round them


def rows_of(stream: IO[bytes], media_type: str) -> Iterator[Row]:
    """Return the rows of a CSV file or of the first sheet of an XLSX file, blank ones left out.

    Raises Rejected, now or at the row in question, where the file cannot be read, and says what to do.
    """
    if media_type == CSV:
        rows = _csv_rows(stream)
    else:
        raise Rejected("unknown_format", f"Send a CSV file as {CSV} or an Excel workbook as {XLSX}.")
    for number, cells in rows:
        trimmed = [cell.strip() for cell in cells]
        if any(trimmed):
            yield number, trimmed


def _csv_rows(stream: IO[bytes]) -> Iterator[Row]:
    lines = _lines(stream)
    try:
        first = next(lines, "")
        delimiter = ";" if first.count(";") > first.count(",") else ","
        reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
        yield from enumerate(reader, 1)
    except UnicodeDecodeError:
        raise Rejected(
            "not_utf8", "The file is not in UTF-8. In a spreadsheet program, save it as CSV UTF-8."
        ) from None
    except csv.Error as error:
        raise Rejected("not_csv", f"Line {reader.line_num} is not CSV: {error}.") from None


def _lines(stream: IO[bytes]) -> Iterator[str]:
    encoding, rest = "utf-8-sig", b""
    while piece := stream.read(_PIECE):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            _must_not_be_too_long(line)
            yield (line + b"\n").decode(encoding)
            encoding = "utf-8"
        _must_not_be_too_long(rest)
    if rest:
        yield rest.decode(encoding)


def _must_not_be_too_long(line: bytes) -> None:
    if len(line) > _LONGEST_LINE:
        raise Rejected("line_too_long", f"A line is longer than {_LONGEST_LINE} bytes.")
