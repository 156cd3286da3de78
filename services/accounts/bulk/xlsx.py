"""Reads the first sheet of an Excel workbook row by row, as it is unpacked: a workbook is a ZIP of XML files (ECMA-376).

Nothing but the texts that cells share is held in memory, and how large they may be is known before they are unpacked.
"""

import re
from collections.abc import Iterator, Sequence
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError, iterparse
from zipfile import BadZipFile, ZipFile

from shared.errors import Rejected

Row = tuple[int, list[str]]  # its number, as a spreadsheet shows it, and its cells

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_MOST_SHARED_BYTES = 32 * 1024 * 1024
_MOST_COLUMNS = 200
_LETTERS = re.compile(r"[A-Z]{1,3}")


def xlsx_rows(file: IO[bytes]) -> Iterator[Row]:
    """Return the rows of a seekable file, each with its number; raises Rejected where it is no workbook."""
    try:
        with ZipFile(file) as book:
            yield from _rows(book)
    except (BadZipFile, ParseError, KeyError, StopIteration, ValueError, IndexError, NotImplementedError):
        raise Rejected(
            "not_xlsx",
            "The file is no Excel workbook, or one with a password. Save it as .xlsx, or as CSV UTF-8.",
        ) from None


def _rows(book: ZipFile) -> Iterator[Row]:
    texts = _shared_texts(book)
    number = 0
    for row in _elements(book, _first_sheet(book), "row"):
        number = int(row.get("r") or number + 1)
        yield number, _cells(row, texts)


def _cells(row: Element, texts: Sequence[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_MAIN}c"):
        place = _column(cell.get("r") or "", len(cells))
        if place >= _MOST_COLUMNS:
            raise Rejected("too_many_columns", f"A row has more than {_MOST_COLUMNS} columns.")
        cells += [""] * (place - len(cells))
        cells.append(_text_of(cell, texts))
    return cells


def _column(name: str, following: int) -> int:
    """Return the place of a cell by its name, ``B7`` being at 1; a cell without one follows the last."""
    letters = _LETTERS.match(name)
    if not letters:
        return following
    place = 0
    for letter in letters[0]:
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def _text_of(cell: Element, texts: Sequence[str]) -> str:
    match cell.get("t", "n"):
        case "inlineStr":
            return _joined(cell)
        case "s":
            return texts[int(_value(cell))]
        case "b":
            return "true" if _value(cell) == "1" else "false"
        case "n":
            return _number(_value(cell))
        case _:  # a formula's text, an error, a date as ISO 8601
            return _value(cell)


def _value(cell: Element) -> str:
    return cell.findtext(f"{_MAIN}v") or ""


def _number(text: str) -> str:
    """Return a number as people write it: a sheet stores 4100 as ``4.1E3``, and knows 15 digits."""
    if not text or text.isdecimal():
        return text
    number = float(text)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _shared_texts(book: ZipFile) -> list[str]:
    name = "xl/sharedStrings.xml"
    if name not in book.namelist():
        return []
    if book.getinfo(name).file_size > _MOST_SHARED_BYTES:
        raise Rejected(
            "too_much_text", "The workbook holds too much text: split it, or save it as CSV UTF-8."
        )
    return [_joined(text) for text in _elements(book, name, "si")]


def _joined(text: Element) -> str:
    """Return a text without its formats, and without how it is pronounced."""
    spoken = {inner for guide in text.iter(f"{_MAIN}rPh") for inner in guide.iter()}
    return "".join(part.text or "" for part in text.iter(f"{_MAIN}t") if part not in spoken)


def _first_sheet(book: ZipFile) -> str:
    sheet = next(_elements(book, "xl/workbook.xml", "sheet"))
    with book.open("xl/_rels/workbook.xml.rels") as links:
        for _, link in iterparse(links):  # noqa: S314
            if link.get("Id") == sheet.get(_LINK):
                target = str(link.get("Target"))
                return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError("the first sheet")


def _elements(book: ZipFile, name: str, tag: str) -> Iterator[Element]:
    """Return the elements of a tag one after the other, forgetting each when the next is wanted."""
    with book.open(name) as part:
        # Entities do no harm: the parser itself, Expat, gives up on those that multiply.
        events: Any = iterparse(part, events=("start", "end"))  # noqa: S314
        open_ones: list[Element] = []
        for event, element in events:
            if event == "start":
                open_ones.append(element)
                continue
            open_ones.pop()
            if element.tag == f"{_MAIN}{tag}":
                yield element
                element.clear()
                if open_ones:
                    open_ones[-1].clear()
