"""Reads rows out of XML, element by element: what has been read, and what no column names, is let go of."""

from collections.abc import Iterator, Sequence
from typing import cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from services.statements.imports.delimited import Raw
from services.statements.imports.layout import Layout, Xml
from services.statements.imports.text import Source
from shared.errors import Rejected

_PIECE = 64 * 1024
_NAME = "name()"
_DOCTYPE = b"<!DOCTYPE"  # with which a small file could become a huge one


def xml_rows(stream: Source, layout: Layout) -> Iterator[Raw]:
    """Return the rows of an XML file, numbered in their order; raises Rejected where it is not well formed."""
    form = layout.form
    assert isinstance(form, Xml)
    reader = _Reader(layout, form)
    parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
    try:
        while piece := stream.read(_PIECE):
            if _DOCTYPE in piece:
                raise Rejected("doctype", "The file declares a document type, which no bank or scheme needs.")
            parser.feed(piece)
            yield from reader.read(parser)
        parser.close()
        yield from reader.read(parser)
    except ParseError as error:
        raise Rejected("not_xml", f"The file is not well-formed XML: {error}.") from None


class _Reader:
    def __init__(self, layout: Layout, form: Xml) -> None:
        self._form = form
        self._columns = list(layout.columns.values())
        paths = [path for column in self._columns for path in (*column.path, *column.path_if_only)]
        # What stands outside of the rows, and is wanted in them: the parent's name and the child's.
        self._wanted = {tuple(path.split("/")[:2]) for path in paths if "/" in path}
        self._open: list[Element] = []
        self._kept = 0  # how many of the open elements lie within one that is kept
        self._entry: Element | None = None
        self._number = 0

    def read(self, parser: "XMLPullParser[Element]") -> Iterator[Raw]:
        for event, element in cast(Iterator[tuple[str, Element]], parser.read_events()):
            if event == "start":
                self._begin(element)
            else:
                yield from self._end(element)

    def _begin(self, element: Element) -> None:
        element.tag = _local(element.tag)
        parent = self._open[-1].tag if self._open else ""
        self._open.append(element)
        if self._kept or (parent, element.tag) in self._wanted:
            self._kept += 1
        if self._entry is None and element.tag in self._form.entry:
            self._entry = element

    def _end(self, element: Element) -> Iterator[Raw]:
        self._open.pop()
        if element is self._entry:
            yield from self._rows(element)
            self._entry = None
            self._let_go(element)
        elif self._entry is None and not self._kept:
            self._let_go(element)
        if self._kept:
            self._kept -= 1

    def _let_go(self, element: Element) -> None:
        if self._open:
            self._open[-1].remove(element)

    def _rows(self, entry: Element) -> Iterator[Raw]:
        inner = entry.findall(self._form.row) if self._form.row else []
        above = {open_.tag: open_ for open_ in self._open} | {entry.tag: entry}
        for row in inner or [entry]:
            self._number += 1
            yield Raw(
                self._number, [self._cell(i, row, above, len(inner) < 2) for i in range(len(self._columns))]
            )

    def _cell(self, place: int, row: Element, above: dict[str, Element], only: bool) -> str:
        column = self._columns[place]
        return _first(column.path, row, above) or (_first(column.path_if_only, row, above) if only else "")


def _first(paths: Sequence[str], row: Element, above: dict[str, Element]) -> str:
    for path in paths:
        head, _, rest = path.partition("/")
        value = _value(rest, above[head]) if rest and head in above else _value(path, row)
        if value:
            return value
    return ""


def _value(path: str, element: Element) -> str:
    if path == _NAME:
        return element.tag
    path, _, attribute = path.rpartition("@") if "@" in path else (path, "", "")
    found = element.find(path.rstrip("/")) if path.rstrip("/") else element
    if found is None:
        return ""
    return ((found.get(attribute) if attribute else found.text) or "").strip()


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
