"""From the bytes of a file to its lines, whatever encoding they are in."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from shared.errors import Rejected

LONGEST_LINE = 64 * 1024
_PIECE = 256 * 1024
_MARK = "\ufeff"


class Source(Protocol):
    """What a file is read from, piece by piece; it need not be a file."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, at most ``size``; none at the end."""


def lines_of(stream: Source, encodings: Sequence[str]) -> Iterator[str]:
    """Return the lines without their ends; each is in the first of these encodings that it fits.

    A publisher's file can be in two, as programs write it one after the other. Raises Rejected where a line fits none.
    """
    number, rest = 1, b""
    while piece := stream.read(_PIECE):
        whole, end, rest = (rest + piece).rpartition(b"\n")
        if len(rest) > LONGEST_LINE:
            raise Rejected("line_too_long", f"A line is longer than {LONGEST_LINE} bytes.")
        if end:
            for line in _decoded(whole, encodings, number):
                yield line
                number += 1
    if rest:
        yield from _decoded(rest, encodings, number)


def _decoded(block: bytes, encodings: Sequence[str], number: int) -> Iterator[str]:
    if b"\0" in block:
        raise Rejected("not_text", "The file is no text, or in UTF-16: save it as UTF-8.")
    try:
        text = block.decode(encodings[0])
    except UnicodeDecodeError:
        lines = [_line(line, encodings, number + i) for i, line in enumerate(block.split(b"\n"))]
    else:
        lines = text.split("\n")
    if number == 1:
        lines[0] = lines[0].removeprefix(_MARK)
    for line in lines:
        yield line.removesuffix("\r")


def _line(line: bytes, encodings: Sequence[str], number: int) -> str:
    for encoding in encodings:
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Rejected("wrong_encoding", f"Line {number} is in none of these encodings: {', '.join(encodings)}.")
