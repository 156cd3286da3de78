"""From the texts of a file to dates and amounts, exactly: what would have to be guessed or rounded is refused."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

_PARTS = {"YYYY": "%Y", "YY": "%y", "MMM": "%b", "MM": "%m", "DDD": "%j", "DD": "%d"}
_FORM = re.compile("|".join(_PARTS))
_YEARS = range(1970, 2101)
_THOUSANDS_DIGITS = 3


class Unreadable(ValueError):
    """A text is not the value that it should be; the message says what it should look like."""


class DateForms:
    """The forms in which dates are written, such as ``DD/MM/YYYY``; the first that fits is meant."""

    def __init__(self, forms: tuple[str, ...]) -> None:
        self.forms = forms
        self._parsed = [_FORM.sub(lambda part: _PARTS[part.group()], form) for form in forms]
        self._known: dict[str, date] = {}

    def read(self, text: str) -> date:
        """Return the date; raises Unreadable."""
        found = self._known.get(text)
        if found is None:
            found = self._read(text)
            if len(self._known) < 10_000:  # a file has few days, unless it is none
                self._known[text] = found
        return found

    def _read(self, text: str) -> date:
        for form in self._parsed:
            try:
                found = datetime.strptime(text, form).date()  # noqa: DTZ007  # a day has no zone
            except ValueError:
                continue
            if found.year in _YEARS:
                return found
        raise Unreadable(f"“{text}” is no date of the form {' or '.join(self.forms)}")


@dataclass(frozen=True)
class AmountForm:
    """How amounts are written: ``1,234.50``, ``-5``, ``5-``, ``(5.00)`` with these marks; ``signs`` may stand beside them."""

    decimal: str = "."
    thousands: str = ","
    signs: tuple[str, ...] = field(default=())

    @cached_property
    def _form(self) -> re.Pattern[str]:
        mark = re.escape(self.thousands)
        grouped = rf"[0-9]{{1,3}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}|" if self.thousands else ""
        return re.compile(rf"({grouped}[0-9]+)?(?:{re.escape(self.decimal)}([0-9]*))?")

    def read(self, text: str, exponent: int, implied: int | None = None) -> int:
        """Return an amount in minor units of a currency with ``exponent`` decimals; raises Unreadable.

        With ``implied`` decimals the text has no decimal mark. A decimal too many is never rounded away.
        """
        match, negative = self._form.fullmatch(text), False
        if match is None:
            digits, negative = _unsigned(text, self.signs)
            match = self._form.fullmatch(digits)
        if match is None or not (match[1] or match[2]):
            raise Unreadable(f"“{text}” is no amount such as {self._example()}")
        whole, decimals = match[1] or "", match[2] or ""
        if self.thousands:
            whole = whole.replace(self.thousands, "")
        if implied is not None:
            if match[2] is not None:
                raise Unreadable(f"“{text}” has a decimal mark, but the layout says where the decimals begin")
            whole = whole.rjust(implied + 1, "0")
            whole, decimals = (whole[:-implied], whole[-implied:]) if implied else (whole, "")
        elif len(decimals) > exponent and len(decimals) == _THOUSANDS_DIGITS:
            raise Unreadable(f"“{text}” has three decimals, or “{self.decimal}” is no decimal mark")
        kept, beyond = decimals[:exponent], decimals[exponent:]
        if beyond.strip("0"):
            raise Unreadable(f"“{text}” has more than the {exponent} decimals of its currency")
        amount = int(whole + kept.ljust(exponent, "0") or "0")
        return -amount if negative else amount

    def _example(self) -> str:
        return f"1{self.thousands}234{self.decimal}50"


def _unsigned(text: str, signs: tuple[str, ...]) -> tuple[str, bool]:
    """Return what is left of an amount without its signs, and whether it is below zero."""
    negative = False
    if text.startswith("(") and text.endswith(")"):
        text, negative = text[1:-1], True
    for sign in signs:
        text = text.replace(sign, "", 1)
    text = text.strip()
    if text.startswith(("-", "+")):
        negative, text = negative or text[0] == "-", text[1:]
    elif text.endswith(("-", "+")):
        negative, text = negative or text[-1] == "-", text[:-1]
    return text.strip(), negative
