"""Reads a file by its layout, row by row: the one door to everything else in this folder."""

from collections.abc import Iterator

from services.statements.imports.delimited import Raw, delimited_rows, fixed_rows
from services.statements.imports.layout import Delimited, Fixed, Layout
from services.statements.imports.rows import Incoming, Protect, Refused, RowReader, Stated
from services.statements.imports.text import Source
from services.statements.imports.totals import ControlTotals, Difference
from services.statements.imports.xml import xml_rows


class Reader:
    """Reads one file; after the last row ``rows`` and the others say how many there were of each."""

    def __init__(self, layout: Layout, protect: Protect) -> None:
        self._layout = layout
        self._rows = RowReader(layout, protect)
        self._totals = ControlTotals(layout)
        self.readable = self.refused = self.passed_over = 0
        self.differences: list[Difference] = []
        self.differing = 0

    @property
    def compared(self) -> int:
        """How many control totals were compared."""
        return self._totals.compared

    def read(self, stream: Source) -> Iterator[Incoming | Refused]:
        """Return every row that is one to post; raises Rejected where the file as a whole cannot be read."""
        for raw in raw_rows(stream, self._layout):
            row = self._rows.read(raw)
            if isinstance(row, Incoming):
                self.readable += 1
            elif isinstance(row, Refused):
                self.refused += 1
            else:
                if isinstance(row, Stated):
                    self._note(self._totals.compare(row))
                else:
                    self.passed_over += 1
                continue
            self._totals.add(row)
            yield row

    def _note(self, differences: list[Difference]) -> None:
        self.differing += len(differences)
        self.differences += differences[: MOST_DIFFERENCES - len(self.differences)]


MOST_DIFFERENCES = 100


def raw_rows(stream: Source, layout: Layout) -> Iterator[Raw]:
    """Return the rows of a file as they stand there."""
    match layout.form:
        case Delimited():
            return delimited_rows(stream, layout)
        case Fixed():
            return fixed_rows(stream, layout)
        case _:
            return xml_rows(stream, layout)
