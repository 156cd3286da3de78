"""What a layout says: which transactions go into a file, and how their lines are written (Part 2 no. 17)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache

EXPORT_FACTS = ("export_id", "control_account", "posted_from", "posted_to", "made_on")
"""What is known of the export itself; any line may have it."""

TOTAL_FACTS = ("currency", "transactions", "total", "total_reversed", "debits", "credits")
"""What is known at the end, for each currency."""

TRANSACTION_FACTS = (
    "number", "transaction_id", "account_id", "account_control_account", "last_name", "first_name", "embossed_name",
    "employee_id", "universal_number", "kind", "transacted_on", "posted_on", "amount", "amount_reversed", "amount_unsigned",
    "debit", "credit", "side", "other_side", "currency", "original_amount", "original_currency", "rate", "merchant",
    "merchant_category", "city", "country", "cost_centre", "ledger_code", "tax_code", "project", "note", "purpose",
    "corrects",
)  # fmt: skip
"""What is known of each transaction; ``number`` counts them within the file."""

_PARTS = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DDD": "%j", "DD": "%d"}
_DATE_FORM = re.compile("|".join(_PARTS))


class Align(StrEnum):
    """At which side of its place in a fixed-width line a value stands."""

    LEFT = "left"
    RIGHT = "right"


class Negative(StrEnum):
    """Where the minus of an amount below zero stands."""

    LEADING = "leading"
    TRAILING = "trailing"


class Quoting(StrEnum):
    """Which cells of a delimited file stand in quotes."""

    MINIMAL = "minimal"
    ALL = "all"


class LineEnd(StrEnum):
    """How a line ends."""

    CRLF = "crlf"
    LF = "lf"

    @property
    def text(self) -> str:
        """The characters themselves."""
        return {"crlf": "\r\n", "lf": "\n"}[self]


@dataclass(frozen=True, slots=True)
class DateForm:
    """How dates are written, such as ``DD.MM.YYYY``."""

    form: str = "YYYY-MM-DD"

    def write(self, day: date) -> str:
        """Return a date in this form."""
        return _written(self.form, day)


@lru_cache(maxsize=4096)
def _written(form: str, day: date) -> str:
    return day.strftime(_DATE_FORM.sub(lambda part: _PARTS[part.group()], form.replace("%", "%%")))


@dataclass(frozen=True, slots=True)
class AmountForm:
    """How amounts are written; in ``minor_units`` there is no decimal mark."""

    decimal: str = "."
    negative: Negative = Negative.LEADING
    minor_units: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One value of a line: a ``fact``, or the same ``text`` in every line.

    ``words`` are what stands for certain values of the fact, ``otherwise`` what stands where it is empty. The ``width`` is
    that of a fixed-width line; a value that is longer is ``cut`` or, as an amount cannot be, refused.
    """

    name: str = ""
    fact: str | None = None
    text: str = ""
    otherwise: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    dates: DateForm
    width: int = 0
    align: Align = Align.LEFT
    fill: str = " "
    cut: bool = False


Line = Sequence[Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimited:
    """Cells with a delimiter between them."""

    delimiter: str
    quoting: Quoting
    header: bool


@dataclass(frozen=True, slots=True)
class Fixed:
    """Values that each have their place in the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A layout; ``lines`` are those of each transaction, ``opening`` and ``closing`` the first and the last of the file.

    ``closing`` is written for each currency. ``kinds`` are those of the transactions that are exported; none means all.
    """

    name: str
    title: str
    form: Delimited | Fixed
    encoding: str
    line_end: LineEnd
    extension: str
    media_type: str
    amounts: AmountForm
    kinds: frozenset[str]
    lines: Sequence[Line]
    opening: Line | None
    closing: Line | None
