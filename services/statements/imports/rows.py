"""From the cells of a row to a transaction, or to all that is wrong with it."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import NamedTuple

from services.statements.imports.currencies import EXPONENTS, currency_of
from services.statements.imports.delimited import Raw
from services.statements.imports.layout import Column, Layout, Measure, Sign, Span, Subject, When
from services.statements.imports.values import Unreadable

# A text that people read is cut to what there is room for; a longer one that points to something points to nothing.
_TEXTS: tuple[tuple[str, int, bool], ...] = (
    ("merchant", 100, False),
    ("city", 60, False),
    ("cost_centre", 40, False),
    ("ledger_code", 40, False),
    ("purpose", 250, False),
    ("account_id", 30, True),
    ("last_four", 4, True),
    ("employee_id", 10, True),
    ("universal_number", 25, True),
    ("control_account", 15, True),
)
_LONGEST_KEY = 60
_ANY = "*"
_COUNTRY = re.compile("[A-Z]{2}")
_CATEGORY = re.compile("[0-9]{1,4}")
_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,11})?")
_CARD_NUMBER = re.compile("[0-9]{12,19}")
_PROTECTED = re.compile("[0-9a-f]{64}:[0-9]{4}")

Protect = Callable[[str], str]
"""From a card number to what is kept in its place: 64 hexadecimal digits, a colon and the last four digits."""


class Incoming(NamedTuple):
    """A row as it can be posted. ``amount`` is in minor units, above zero where it is owed."""

    line: int
    key: str
    kind: str
    amount: int
    currency: str
    original_amount: int | None
    original_currency: str | None
    transacted_on: date
    posted_on: date | None
    rate: str | None
    merchant: str | None
    merchant_category: str | None
    city: str | None
    country: str | None
    cost_centre: str | None
    ledger_code: str | None
    purpose: str | None
    account_id: str | None
    card_number: str | None
    last_four: str | None
    employee_id: str | None
    universal_number: str | None
    control_account: str | None


class Finding(NamedTuple):
    """What is wrong with a value of a row; ``column`` is none where it is the row as a whole."""

    column: str | None
    code: str
    message: str


class Refused(NamedTuple):
    """A row that cannot be posted, with all that is wrong; ``cells`` go by the layout's columns.

    The amounts are there, where they can be read: control totals count them.
    """

    line: int
    cells: Sequence[str]
    findings: Sequence[Finding]
    amount: int | None = None
    currency: str | None = None
    original_amount: int | None = None
    original_currency: str | None = None


class Stated(NamedTuple):
    """A line of control totals: for each measure what the file states, in the currency that stands beside it."""

    line: int
    of: tuple[Span, ...]
    figures: Mapping[Measure, tuple[str, str]]


class PassedOver(NamedTuple):
    """A line that the layout says is none to post."""

    line: int


Row = Incoming | Refused | Stated | PassedOver


@dataclass(frozen=True, slots=True)
class _Condition:
    """The places of the columns that have to have one of some values."""

    places: Sequence[tuple[int, frozenset[str]]]

    def fits(self, cells: Sequence[str]) -> bool:
        for place, values in self.places:
            cell = cells[place]
            if cell not in values and not (cell and _ANY in values):
                return False
        return True


class RowReader:
    """Reads the rows of one file by its layout. It remembers what a line says about those that follow, nothing else."""

    def __init__(self, layout: Layout, protect: Protect) -> None:
        self._layout = layout
        self._protect = protect
        self._columns = list(layout.columns.values())
        blank = len(
            layout.columns
        )  # of a cell behind the others, for the columns that the layout does not have
        self._place = defaultdict(lambda: blank, {name: place for place, name in enumerate(layout.columns)})
        self._fixes = [(i, c) for i, c in enumerate(self._columns) if c.value or c.otherwise or c.pattern]
        self._contexts = [
            (self._condition(context.when), [self._place[name] for name in context.columns])
            for context in layout.context
        ]
        self._totals = [(self._condition(total.when), total) for total in layout.totals]
        self._skips = [self._condition(when) for when in layout.skip]
        self._wanted = self._condition(layout.rows) if layout.rows else None
        self._key = [self._place[name] for name in layout.key.columns]
        self._text_places = [(self._place[name], longest, points) for name, longest, points in _TEXTS]
        self._remembered: dict[int, str] = {}

    def _condition(self, when: When) -> _Condition:
        return _Condition([(self._place[name], values) for name, values in when.items()])

    def read(self, raw: Raw) -> Row:
        """Return what a row of the file is."""
        cells = [*raw.cells, ""]
        if not any(cells):
            return PassedOver(raw.line)
        for place, column in self._fixes:
            cells[place] = _fixed(cells[place], column)
        special = self._special(raw.line, cells)
        if special is not None:
            return special
        return self._transaction(raw, cells)

    def _special(self, line: int, cells: list[str]) -> Stated | PassedOver | None:
        for condition, places in self._contexts:
            if condition.fits(cells):
                self._remembered.update((place, cells[place]) for place in places)
                return PassedOver(line)
        for place, value in self._remembered.items():
            cells[place] = value
        for condition, totals in self._totals:
            if condition.fits(cells):
                return Stated(line, totals.of, self._figures(totals.checks, cells))
        unwanted = self._wanted is not None and not self._wanted.fits(cells)
        return PassedOver(line) if unwanted or any(skip.fits(cells) for skip in self._skips) else None

    def _figures(
        self, checks: Mapping[Measure, str], cells: Sequence[str]
    ) -> Mapping[Measure, tuple[str, str]]:
        figures = {}
        for measure, name in checks.items():
            currency = "original_currency" if measure is Measure.ORIGINAL_AMOUNT else "currency"
            figures[measure] = (cells[self._place[name]], cells[self._place[currency]])
        return figures

    def _transaction(self, raw: Raw, cells: list[str]) -> Incoming | Refused:
        reading = _Reading(self._layout, self._place, cells)
        if raw.fault:
            return Refused(raw.line, self._masked(cells), [Finding(None, "too_many_cells", raw.fault)])
        currency = reading.currency("currency")
        amount = reading.amount("amount", currency)
        if amount == 0:
            reading.fault("amount", "zero_amount", "an amount of zero moves nothing")
        original_currency = reading.currency("original_currency", optional=True)
        original = reading.amount("original_amount", original_currency, optional=True)
        on = reading.day("transacted_on")
        posted_on = reading.day("posted_on")
        if on is None and posted_on is None and not reading.findings:
            reading.fault("transacted_on", "missing", "there is no date")
        card_number = self._card_number(reading, cells)
        key = self._key_of(reading, cells)
        rate = reading.matching("rate", _RATE, "rate such as 1.3203")
        category = reading.matching("merchant_category", _CATEGORY, "merchant category code of four digits")
        country = reading.matching("country", _COUNTRY, "country code of two letters")
        if reading.findings:
            return Refused(
                raw.line, self._masked(cells), reading.findings, amount, currency, original, original_currency
            )
        assert amount is not None
        assert currency is not None
        on = on or posted_on
        assert on is not None
        merchant, city, cost_centre, ledger_code, purpose, *pointers = self._texts(cells)
        account_id, last_four, employee_id, universal_number, control_account = pointers
        return Incoming(
            raw.line, key, reading.kind(amount), amount, currency,
            original if original_currency else None, original_currency if original is not None else None,
            on, posted_on, rate, merchant, category and category.zfill(4), city, country, cost_centre, ledger_code,
            purpose, account_id, card_number, last_four, employee_id, universal_number, control_account,
        )  # fmt: skip

    def _texts(self, cells: Sequence[str]) -> list[str | None]:
        """Return the texts that are taken as they are, in the order of `_TEXTS`."""
        return [
            cell[:longest] if (cell := cells[place]) and not (points and len(cell) > longest) else None
            for place, longest, points in self._text_places
        ]

    def _card_number(self, reading: "_Reading", cells: list[str]) -> str | None:
        place = self._place["card_number"]
        if not cells[place]:
            return None
        number = "".join(cells[place].split())
        if _CARD_NUMBER.fullmatch(number):
            number = self._protect(number)
        elif not _PROTECTED.fullmatch(number):
            reading.fault("card_number", "unreadable", "this is no card number of 12 to 19 digits")
            return None
        cells[place] = number  # the key, and the file of refused rows, never hold the number itself
        return number

    def _masked(self, cells: list[str]) -> list[str]:
        """Return the cells with no card number readable among them, whatever else is wrong with the row."""
        place = self._place["card_number"]
        if not _PROTECTED.fullmatch(cells[place]):
            number = "".join(cells[place].split())
            cells[place] = self._protect(number) if _CARD_NUMBER.fullmatch(number) else "•" * len(number)
        return cells[:-1]

    def _key_of(self, reading: "_Reading", cells: Sequence[str]) -> str:
        parts = [cells[place] for place in self._key]
        if len(parts) == 1 and len(parts[0]) <= _LONGEST_KEY:
            if not parts[0]:
                reading.fault(self._layout.key.columns[0], "missing", "it tells the row from every other one")
            return parts[0]
        if not any(parts):
            reading.fault(
                self._layout.key.columns[0], "missing", "nothing tells the row from every other one"
            )
        return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


class _Reading:
    """One row on its way to being a transaction."""

    __slots__ = ("_cells", "_layout", "_place", "findings")

    def __init__(self, layout: Layout, place: Mapping[str, int], cells: Sequence[str]) -> None:
        self._layout = layout
        self._place = place
        self._cells = cells
        self.findings: list[Finding] = []

    def fault(self, column: str | None, code: str, message: str) -> None:
        self.findings.append(Finding(column, code, message))

    def matching(self, name: str, form: re.Pattern[str], words: str) -> str | None:
        text = self._cells[self._place[name]]
        if text and not form.fullmatch(text):
            self.fault(name, "unreadable", f"“{text}” is no {words}")
        return text or None

    def _given(self, name: str, *, optional: bool) -> str | None:
        cell = self._cells[self._place[name]]
        if not cell and not optional:
            self.fault(name, "missing", "there is no value")
        return cell or None

    def currency(self, name: str, *, optional: bool = False) -> str | None:
        cell = self._given(name, optional=optional)
        if cell is None or cell in EXPONENTS:
            return cell
        try:
            return currency_of(cell)
        except Unreadable as error:
            self.fault(name, "unreadable", str(error))
            return None

    def amount(self, name: str, currency: str | None, *, optional: bool = False) -> int | None:
        cell = self._given(name, optional=optional)
        if cell is None or currency is None:
            return None
        try:
            amount = self._layout.amounts.read(cell, EXPONENTS[currency], self._decimals(name))
            return -amount if self._is_credit() else amount
        except Unreadable as error:
            self.fault(name, "unreadable", str(error))
            return None

    def _decimals(self, name: str) -> int | None:
        column = self._layout.columns[name]
        if column.decimals_column is None:
            return column.decimals
        text = self._cells[self._place[column.decimals_column]]
        if not (text.isdecimal() and len(text) == 1):
            raise Unreadable(
                f"{column.decimals_column} is “{text}” and should say how many decimals there are"
            )
        return int(text)

    def _is_credit(self) -> bool:
        """Return whether an amount above zero, as it is written, is a credit."""
        signs = self._layout.signs
        if signs is None:
            return self._layout.positive is Sign.CREDIT
        sign = self._cells[self._place[signs.column]]
        if sign in signs.credit:
            return True
        if signs.debit and sign not in signs.debit:
            raise Unreadable(
                f"{signs.column} is “{sign}”, which the layout lists neither as debit nor as credit"
            )
        return False

    def day(self, name: str) -> date | None:
        column = self._layout.columns.get(name)
        cell = self._given(name, optional=column.optional) if column else None
        if column is None or cell is None or column.dates is None:
            return None
        try:
            return column.dates.read(cell)
        except Unreadable as error:
            self.fault(name, "unreadable", str(error))
            return None

    def kind(self, amount: int) -> str:
        """Return what the row is: a payment that is taken back stays one, any other credit is a refund."""
        kinds = self._layout.kinds
        named = kinds.of.get(self._cells[self._place[kinds.column]]) if kinds else None
        if named in {"payment", "fee"} or (named == "cash_advance" and amount > 0):
            return named
        if self._layout.subject is Subject.PAYMENTS:
            return "payment"
        return "purchase" if amount > 0 else "refund"


def _fixed(cell: str, column: Column) -> str:
    if column.value is not None:
        return column.value
    if column.pattern is not None:
        match = column.pattern.search(cell)
        cell = match[match.lastindex or 0] if match else ""
    return cell or column.otherwise
