"""One table of a TOML file, taken apart key by key; what is wrong is noted with the name of the table and of the key."""

from collections.abc import Iterator
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeVar

E = TypeVar("E", bound=StrEnum)


class Table:
    """A table and how it is called; whatever is left when `end` comes is a key that nobody knows."""

    def __init__(self, name: str, content: Any, faults: list[str]) -> None:
        self._name = name
        self._faults = faults
        self._asked: set[str] = set()
        self._content: dict[str, Any] = dict(content) if isinstance(content, dict) else {}
        if not isinstance(content, dict):
            self.fault("", "has to be a table")

    def fault(self, key: str, words: str) -> None:
        """Note that something is wrong with a key."""
        self._faults.append(f"{'.'.join(filter(None, (self._name, key)))} {words}")

    def has(self, key: str) -> bool:
        """Return whether the key is there."""
        return key in self._content

    def names(self) -> list[str]:
        """Return every key."""
        return list(self._content)

    def text(self, key: str, default: str, *, required: bool = False, blank: bool = False) -> str:
        """Return a text, which may be empty only if ``blank``."""
        value = self._take(key, required)
        if value is None:
            return default
        if not isinstance(value, str) or not (value or blank):
            self.fault(key, "has to be a text in quotation marks")
            return default
        return value

    def character(self, key: str, default: str) -> str:
        """Return a text of one character."""
        value = self.text(key, default)
        if len(value) != 1:
            self.fault(key, "has to be one character")
            return default
        return value

    def texts(self, key: str, *, required: bool = False, blank: bool = False) -> tuple[str, ...]:
        """Return a list of texts; a text by itself is a list of one."""
        value = self._take(key, required)
        if value is None:
            return ()
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(one, str) and (one or blank) for one in found):
            self.fault(key, "has to be a text in quotation marks, or a list of them")
            return ()
        return tuple(found)

    def lists(self, key: str) -> list[tuple[str, ...]]:
        """Return a list of lists of texts; a text in the outer list is a list of one."""
        value = self._take(key, False)
        if value is None:
            return []
        found = (
            [[one] if isinstance(one, str) else one for one in value] if isinstance(value, list) else [value]
        )
        if not all(isinstance(one, list) and all(isinstance(word, str) for word in one) for one in found):
            self.fault(key, "has to be a list of columns, or of lists of columns that count together")
            return []
        return [tuple(one) for one in found]

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, False)
        if value is not None and not isinstance(value, bool):
            self.fault(key, "has to be true or false")
            return default
        return default if value is None else value

    def holds_number(self, key: str) -> bool:
        """Return whether the key holds a whole number."""
        return type(self._content.get(key)) is int

    def number(self, key: str, default: int, *, least: int = 1) -> int:
        """Return a whole number."""
        value = self._take(key, False)
        if value is None:
            return default
        if type(value) is not int or value < least:
            self.fault(key, f"has to be a whole number from {least} on")
            return default
        return value

    def span(self, key: str, *, whole: bool) -> tuple[int, int] | None:
        """Return the first and the last place, counted from one: of characters where ``whole``, else of one cell."""
        value = self._take(key, False)
        if value is None:
            return None
        ends = value if isinstance(value, list) else [value, value]
        right = len(ends) == 2 and all(type(end) is int and end > 0 for end in ends) and ends[0] <= ends[1]
        if not right or (isinstance(value, list) and not whole):
            self.fault(
                key, "has to be [first, last], counted from 1" if whole else "has to be a number from 1 on"
            )
            return None
        return ends[0], ends[1]

    def choice(self, key: str, choices: type[E], default: E) -> E:
        """Return one of a few words."""
        value = self.text(key, default)
        if value not in list(choices):
            self.fault(key, f"is “{value}”; it can be {' or '.join(choices)}")
            return default
        return choices(value)

    def table(self, key: str, *, required: bool = False) -> "Table":
        """Return the table under a key; an empty one where there is none."""
        value = self._take(key, required)
        return Table(self._under(key), {} if value is None else value, self._faults)

    def column(self, key: str) -> "Table":
        """Return what is under a key as a table; something else stays to be `widen`ed to one."""
        value = self._take(key, False)
        return Table(self._under(key), value if isinstance(value, dict) else {"": value}, self._faults)

    def widen(self, key: str) -> None:
        """Let what was no table be a table with it under this key."""
        if "" in self._content:
            self._content[key] = self._content.pop("")

    def tables(self, key: str) -> Iterator["Table"]:
        """Return the tables of a list, as ``[[key]]`` writes them."""
        value = self._take(key, False)
        if value is not None and not isinstance(value, list):
            self.fault(key, f"has to be written as [[{key}]]")
            value = None
        for number, one in enumerate(value or (), 1):
            yield Table(f"{self._under(key)}[{number}]", one, self._faults)

    def end(self) -> None:
        """Note every key that nothing asked for, with the one that may have been meant."""
        for key in sorted(self._content.keys() - self._asked):
            near = get_close_matches(key, self._asked, 1)
            self.fault(key, f"is unknown; did you mean {near[0]}?" if near else "is unknown")

    def _take(self, key: str, required: bool) -> Any:
        self._asked.add(key)
        value = self._content.get(key)
        if value is None and required:
            self.fault(key, "is missing")
        return value

    def _under(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key
