"""Compares what a file states about itself with what it holds (control totals)."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from services.statements.imports.currencies import EXPONENTS, currency_of
from services.statements.imports.layout import Layout, Measure, Span
from services.statements.imports.rows import Incoming, Refused, Stated
from services.statements.imports.values import Unreadable


class Difference(NamedTuple):
    """A total that a file states and that its rows do not add up to; ``found`` is none where it cannot be read."""

    line: int
    measure: Measure
    currency: str | None
    stated: str
    found: str | None


@dataclass(slots=True)
class _Sums:
    rows: int = 0
    by: dict[Measure, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))


class ControlTotals:
    """Adds up the rows of one file and compares; nothing in it grows with their number."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._sums = {Span.GROUP: _Sums(), Span.FILE: _Sums()}
        self._wanted = {measure for total in layout.totals for measure in total.checks}
        self._group_is_over = False
        self.compared = 0

    def add(self, row: Incoming | Refused) -> None:
        """Count a row, also one that is refused for another reason than its amount."""
        if not self._wanted:
            return
        if self._group_is_over:
            self._sums[Span.GROUP], self._group_is_over = _Sums(), False
        for sums in self._sums.values():
            sums.rows += 1
            if row.amount is not None and row.currency is not None:
                sums.by[Measure.AMOUNT][row.currency] += row.amount
                side = Measure.DEBITS if row.amount > 0 else Measure.CREDITS
                sums.by[side][row.currency] += abs(row.amount)
            if row.original_amount is not None and row.original_currency is not None:
                sums.by[Measure.ORIGINAL_AMOUNT][row.original_currency] += row.original_amount

    def compare(self, stated: Stated) -> list[Difference]:
        """Return the totals of a line that differ; a total right for any of its spans is right."""
        self._group_is_over = True
        differences = []
        for measure, (figure, currency) in stated.figures.items():
            if not figure:
                continue
            self.compared += 1
            found = [self._found(measure, currency, span) for span in stated.of]
            if self._value(measure, figure, currency) not in found:
                shown = found[0]
                differences.append(
                    Difference(
                        stated.line, measure, currency or None, figure, None if shown is None else str(shown)
                    )
                )
        return differences

    def _found(self, measure: Measure, currency: str, span: Span) -> Decimal | None:
        sums = self._sums[span]
        if measure is Measure.ROWS:
            return Decimal(sums.rows)
        by = sums.by[measure]
        try:
            wanted = [currency_of(currency)] if currency else list(by)
        except Unreadable:
            return None
        return sum((Decimal(by[code]).scaleb(-EXPONENTS[code]) for code in wanted), Decimal())

    def _value(self, measure: Measure, figure: str, currency: str) -> Decimal | None:
        """Return a figure as the file states it, its sign the way that the layout has it."""
        if measure is Measure.ROWS:
            return Decimal(figure) if figure.isdecimal() else Decimal("NaN")
        column = next(t.checks[measure] for t in self._layout.totals if measure in t.checks)
        try:
            exponent = EXPONENTS[currency_of(currency)] if currency else _MOST_DECIMALS
            amount = self._layout.amounts.read(figure, exponent, self._layout.columns[column].decimals)
        except Unreadable:
            return Decimal("NaN")  # equals nothing
        turned = measure in {Measure.AMOUNT, Measure.ORIGINAL_AMOUNT} and self._turned
        return Decimal(-amount if turned else amount).scaleb(-exponent)

    @property
    def _turned(self) -> bool:
        return self._layout.signs is None and self._layout.positive.value == "credit"


_MOST_DECIMALS = 4
