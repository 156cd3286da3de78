"""What a layout says about a file: how it is written, what its columns mean, and what to check (the guide has examples)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from services.statements.imports.values import AmountForm, DateForms


class Subject(StrEnum):
    """What the rows of a file are."""

    TRANSACTIONS = "transactions"
    PAYMENTS = "payments"


class Sign(StrEnum):
    """Which way an amount goes: a debit is owed by the holder or the company, a credit is taken off that."""

    DEBIT = "debit"
    CREDIT = "credit"


class Span(StrEnum):
    """What a control total sums up: the rows since the total before, or the whole file up to here."""

    GROUP = "group"
    FILE = "file"


class Measure(StrEnum):
    """What a control total counts or sums up."""

    ROWS = "rows"
    AMOUNT = "amount"
    ORIGINAL_AMOUNT = "original_amount"
    DEBITS = "debits"
    CREDITS = "credits"


# The columns that are facts of a transaction, and those that say whose it is. Others serve the rules of a layout.
FACTS = (
    "transacted_on",
    "posted_on",
    "amount",
    "currency",
    "original_amount",
    "original_currency",
    "merchant",
    "city",
    "country",
    "merchant_category",
    "rate",
    "ledger_code",
    "purpose",
)
POINTERS = (
    "account_id",
    "card_number",
    "last_four",
    "employee_id",
    "cost_centre",
    "universal_number",
    "control_account",
)

When = Mapping[str, frozenset[str]]
"""For each column the values that fit; an empty one fits a blank cell, ``*`` any that is not blank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Where a value stands. One of ``header``, ``at``, ``path`` and ``value`` says so, as the file's form has it."""

    name: str
    header: tuple[str, ...] = ()
    at: tuple[int, int] | None = None
    path: tuple[str, ...] = ()
    path_if_only: tuple[str, ...] = ()
    value: str | None = None
    otherwise: str = ""
    optional: bool = False
    pattern: re.Pattern[str] | None = None
    dates: DateForms | None = None
    decimals: int | None = None
    decimals_column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimited:
    """Cells with a character between them; a header is looked for in the first lines.

    With ``guarded`` an apostrophe stands before what a spreadsheet would take for a formula, such as an amount below zero.
    """

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    header_within: int = 1
    guarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Cells that begin and end at the same place in every line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Xml:
    """Elements named ``entry`` are rows; of those that hold elements at ``row``, these are the rows."""

    entry: frozenset[str]
    row: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A line whose values hold for the lines that follow it, such as the head of a block."""

    when: When
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A line that states what others add up to; ``checks`` names the column of each measure."""

    when: When
    of: tuple[Span, ...]
    checks: Mapping[Measure, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """A column that says which way an amount goes; what it does not list is a debit where only credits are listed."""

    column: str
    debit: frozenset[str]
    credit: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """A column that says what a row is; by its amount alone a debit is a purchase, a credit a refund."""

    column: str
    of: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What tells a row from every other one of its source.

    With ``repeats`` two rows of one file may have the same, as a coffee bought twice; they are told apart by number.
    """

    columns: tuple[str, ...]
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All that is known of a kind of file before one is read."""

    name: str
    title: str
    subject: Subject
    form: Delimited | Fixed | Xml
    columns: Mapping[str, Column]
    key: Key
    find: tuple[tuple[str, ...], ...]
    encodings: tuple[str, ...] = ("utf-8",)
    amounts: AmountForm = field(default_factory=AmountForm)
    positive: Sign = Sign.DEBIT
    signs: Signs | None = None
    kinds: Kinds | None = None
    rows: When | None = None
    skip: tuple[When, ...] = ()
    context: tuple[Context, ...] = ()
    totals: tuple[Totals, ...] = ()

    def mended(self) -> "Layout":
        """Return the layout of this one's file of refused rows: the same columns, each headed by its name here."""
        columns = {
            name: replace(
                column,
                header=(name,),
                at=None,
                path=(),
                path_if_only=(),
                value=None,
                pattern=None,
                optional=True,
            )
            for name, column in self.columns.items()
        }
        return replace(
            self,
            form=Delimited(guarded=True),
            encodings=("utf-8",),
            columns=columns,
            rows=None,
            skip=(),
            context=(),
            totals=(),
        )
