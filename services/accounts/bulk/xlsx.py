"""Reads the first sheet of an Excel workbook row by row, each cell as the text that a person would write."""

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import IO, Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from shared.errors import Rejected

Row = tuple[int, list[str]]  # its number, as a spreadsheet shows it, and its cells

_SHARED_TEXTS = "xl/sharedStrings.xml"
_MOST_SHARED_BYTES = 32 * 1024 * 1024
_MOST_COLUMNS = 200
_DAMAGED = (
    BadZipFile,
    InvalidFileException,
    ParseError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OSError,
)


def xlsx_rows(file: IO[bytes]) -> Iterator[Row]:
    """Return the rows of a seekable file, each with its number; raises Rejected where it is no workbook.

    Nothing but the texts that cells share is held in memory, and how large they may be is known before they are unpacked.
    """
    try:
        _must_not_hold_too_much(file)
        book = load_workbook(file, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # programs state wrong ones
        for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
            if len(values) > _MOST_COLUMNS:
                raise Rejected("too_many_columns", f"A row has more than {_MOST_COLUMNS} columns.")
            yield number, [_text_of(value) for value in values]
    except _DAMAGED:
        raise Rejected(
            "not_xlsx",
            "The file is no Excel workbook, or one with a password. Save it as .xlsx, or as CSV UTF-8.",
        ) from None


def _must_not_hold_too_much(file: IO[bytes]) -> None:
    with ZipFile(file) as book:
        sizes = {part.filename: part.file_size for part in book.infolist()}
    if sizes.get(_SHARED_TEXTS, 0) > _MOST_SHARED_BYTES:
        raise Rejected(
            "too_much_text", "The workbook holds too much text: split it, or save it as CSV UTF-8."
        )
    file.seek(0)


def _text_of(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)
