"""Words of each language that stand inside the sentences of the templates: dates, functions, places in the structure."""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from shared.actor import EVERYWHERE
from shared.contracts.types import Language
from shared.money import in_major_units

_FOLDER = Path(__file__).parent / "words"


class Words:
    """What one language calls things; ``words/<language>.toml`` holds it."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self._months: list[str] = found["months"]
        self._first: str = found.get("first", "1")
        self._instant: str = found["instant"]
        self._date: str = found["date"]
        self._amount: dict[str, str] = found["amount"]
        self._everywhere: str = found["everywhere"]
        self._one_account: str = found["one_account"]
        self._some_accounts: str = found["some_accounts"]
        self._functions: dict[str, str] = found["functions"]

    def instant(self, text: str) -> str:
        """Return an instant, given in ISO 8601, as the language writes date and time, in UTC."""
        at = datetime.fromisoformat(text).astimezone(UTC)
        return self._instant.format(**self._parts(at), time=f"{at:%H:%M}")

    def day(self, text: str) -> str:
        """Return a day, given in ISO 8601, as the language writes it."""
        return self._date.format(**self._parts(date.fromisoformat(text)))

    def _parts(self, of: date) -> dict[str, str]:
        number = self._first if of.day == 1 else str(of.day)
        return {"day": number, "month": self._months[of.month - 1], "year": str(of.year)}

    def amount(self, minor_units: int, currency: str) -> str:
        """Return an amount of money as the language writes it, with the decimals of its currency."""
        marks = {",": self._amount["group"], ".": self._amount["decimal"]}
        written = f"{in_major_units(minor_units, currency):,f}"
        number = "".join(marks.get(character, character) for character in written)
        return self._amount["pattern"].format(number=number, currency=currency)

    def function(self, name: str) -> str:
        """Return what a function lets one do, or its name where the language has no words for it."""
        return self._functions.get(name, name)

    def scope(self, control_accounts: Iterable[str]) -> str:
        """Return in words over what something holds: control accounts by number, or everything."""
        numbers = sorted(set(control_accounts))
        if EVERYWHERE in numbers:
            return self._everywhere
        pattern = self._one_account if len(numbers) == 1 else self._some_accounts
        return pattern.format(", ".join(numbers))

    def grouped(self, entitlements: Iterable[Mapping[str, str]]) -> list[tuple[list[str], str]]:
        """Return functions in words with the scope over which they all hold: a line for each scope, not for each pair."""
        scopes: dict[str, list[str]] = {}
        for entitlement in entitlements:
            scopes.setdefault(entitlement["function"], []).append(entitlement["control_account"])
        lines: dict[str, list[str]] = {}
        for function, control_accounts in sorted(scopes.items()):
            lines.setdefault(self.scope(control_accounts), []).append(self.function(function))
        return [(functions, scope) for scope, functions in lines.items()]


@cache
def words_of(language: Language) -> Words:
    """Return the words of a language."""
    return Words(tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8")))
