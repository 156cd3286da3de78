"""What a statement calls things in each language; `words/<language>.toml` holds it. Babel knows dates and numbers."""

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import NumberPattern, format_currency, format_decimal, parse_pattern

from shared.contracts.types import Language
from shared.money import exponent_of, in_major_units

_FOLDER = Path(__file__).parent / "words"


@dataclass(frozen=True, slots=True)
class Words:
    """One language: ``labels`` are words of the statement, by name, ``kinds`` those of what is posted."""

    locale: Locale
    labels: dict[str, str]
    kinds: dict[str, str]

    def day(self, day: date) -> str:
        """Return a day in full."""
        return format_date(day, "long", locale=self.locale)

    def short_day(self, day: date) -> str:
        """Return a day in figures, with all of its year."""
        return _in_figures(day, self.locale)

    def money(self, minor_units: int, currency: str) -> str:
        """Return an amount with the sign or the name of its currency."""
        return format_currency(in_major_units(minor_units, currency), currency, locale=self.locale)

    def figure(self, minor_units: int, currency: str) -> str:
        """Return an amount without its currency, with all of its decimals."""
        pattern = _with_decimals(exponent_of(currency))
        figure: str = pattern.apply(in_major_units(minor_units, currency), self.locale)
        return figure

    def country(self, code: str) -> str:
        """Return the name of a country, or its code where the language has none."""
        return str(self.locale.territories.get(code, code))

    def rate(self, rate: str) -> str:
        """Return a rate with as many decimals as it was given."""
        return format_decimal(Decimal(rate), "#,##0.###########", locale=self.locale)


# Two-digit years are read as another century, so the short form of each language has all four.
_IN_FIGURES = {"en": "dd/MM/yyyy", "fr": "dd/MM/yyyy", "es": "dd/MM/yyyy", "de": "dd.MM.yyyy"}


@lru_cache(maxsize=4096)
def _in_figures(day: date, locale: Locale) -> str:
    return format_date(day, _IN_FIGURES[locale.language], locale=locale)


@cache
def _with_decimals(decimals: int) -> NumberPattern:
    return parse_pattern(f"#,##0.{'0' * decimals}" if decimals else "#,##0")


@cache
def words_of(language: Language) -> Words:
    """Return the words of a language."""
    found: dict[str, Any] = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    return Words(Locale.parse(found["locale"]), found["labels"], found["kinds"])
