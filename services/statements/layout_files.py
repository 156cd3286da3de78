"""Layouts as files in TOML, of imports and exports alike: those that are shipped, and those of the operator's own."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from services.statements.layout_tables import Table

L = TypeVar("L")


class BadLayout(Exception):
    """A layout cannot be used; the message lists everything that is wrong with it."""

    def __init__(self, name: str, faults: list[str]) -> None:
        super().__init__(f"The layout {name} cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))
        self.faults = faults


def layouts_in(shipped: Path, own: Path) -> dict[str, Path]:
    """Return the files of layouts by name, in order; one of the operator's own goes before a shipped one of its name."""
    files = {file.stem: file for folder in (shipped, own) for file in folder.glob("*.toml")}
    return dict(sorted(files.items()))


def text_of(file: Path) -> str:
    """Return what stands in the file of a layout; raises BadLayout."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise BadLayout(str(file), [f"it cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise BadLayout(str(file), ["it is not in UTF-8"]) from None


def layout_of(
    text: str, name: str, make: Callable[[Table], L], check: Callable[[L], Iterable[str]] = lambda _: ()
) -> L:
    """Return the layout that a text in TOML describes; raises BadLayout, which calls it by its name.

    ``make`` takes the tables apart and notes what is wrong with them; ``check`` says what is wrong with the whole.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadLayout(name, [f"it is no TOML: {error}"]) from None
    faults: list[str] = []
    root = Table("", content, faults)
    layout = make(root)
    root.end()
    faults = faults or list(check(layout))
    if faults:
        raise BadLayout(name, faults)
    return layout
