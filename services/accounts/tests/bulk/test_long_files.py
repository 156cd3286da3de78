"""A file of a million rows is refused or streamed, never held in memory (Part 2 no. 8)."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from services.accounts.bulk.files import rows_of
from services.accounts.bulk.kinds import KINDS
from services.accounts.bulk.upload import PORTION, take_in
from services.accounts.tests.bulk.files import PA
from services.accounts.tests.programme import Programme
from shared.contracts.bulk import CSV, BulkKind
from shared.errors import Rejected


class Endless(io.RawIOBase):
    """A file that is made as it is read, and knows how much of it was."""

    def __init__(self, rows: int) -> None:
        self._lines = self._made(rows)
        self._rest = b""
        self.read_so_far = 0

    @staticmethod
    def _made(rows: int) -> Iterator[bytes]:
        yield b"account_id,reason\n"
        for number in range(rows):
            yield b"acc_%026d,fraud\n" % number

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._rest) < len(buffer) and (line := next(self._lines, b"")):
            self._rest += line
        given, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(given)] = given
        self.read_so_far += len(given)
        return len(given)


def test_no_more_of_a_file_is_read_than_the_rows_in_hand() -> None:
    """A million rows: whoever takes ten has read no more than a buffer of them."""
    stream = Endless(1_000_000)
    rows = rows_of(stream, CSV)  # type: ignore[arg-type]
    first = [next(rows) for _ in range(10)]
    assert first[9] == (10, ["acc_00000000000000000000000008", "fraud"])
    assert stream.read_so_far < 100_000


def test_a_million_rows_are_refused_when_the_last_one_that_is_allowed_was_read(programme: Programme) -> None:
    stream = Endless(1_000_000)
    running = programme.running
    with pytest.raises(Rejected, match="at most 2000 rows") as refusal:
        take_in(stream, CSV, KINDS[BulkKind.CANCELLATIONS], PA, running)  # type: ignore[arg-type]
    assert refusal.value.code == "too_many_rows"
    assert stream.read_so_far < 200_000


def test_memory_does_not_grow_with_the_rows(programme: Programme) -> None:
    """Ten times the rows take no more than a portion of them."""

    def peak(rows: int) -> int:
        tracemalloc.start()
        try:
            take_in(Endless(rows), CSV, KINDS[BulkKind.CANCELLATIONS], PA, programme.running)  # type: ignore[arg-type]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(PORTION)  # what is made once and kept
    assert peak(PORTION * 10) < 2 * peak(PORTION)
