"""Reads the rows of an uploaded file one by one: no more of it is in memory than the row in hand."""

import csv
from collections.abc import Iterator
from itertools import chain
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from services.accounts.bulk.xlsx import Row, xlsx_rows
from shared.contracts.bulk import CSV, XLSX
from shared.errors import Rejected

_LONGEST_LINE = _PIECE = 64 * 1024
_SPOOL = 1024 * 1024


def rows_of(stream: IO[bytes], media_type: str) -> Iterator[Row]:
    """Return the rows of a CSV file or of the first sheet of an XLSX file, blank ones left out.

    Raises Rejected, now or at the row in question, where the file cannot be read, and says what to do.
    """
    readers = {CSV: _csv_rows, XLSX: _xlsx_rows}
    if media_type not in readers:
        raise Rejected("unknown_format", f"Send a CSV file as {CSV} or an Excel workbook as {XLSX}.")
    for number, cells in readers[media_type](stream):
        trimmed = [cell.strip() for cell in cells]
        if any(trimmed):
            yield number, trimmed


def _xlsx_rows(stream: IO[bytes]) -> Iterator[Row]:
    # The list of what is in a ZIP stands at its end.
    with SpooledTemporaryFile(max_size=_SPOOL) as file:
        copyfileobj(stream, file)
        yield from xlsx_rows(cast(IO[bytes], file))


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
