"""Which letters a paper can show: its typeface has those of Europe, and whoever writes otherwise buys and sells too."""

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import typst

_TEMPLATE = Path(__file__).parent / "letter.typ"
_UNKNOWN = "?"


def shown(facts: Any) -> Any:
    """Return the facts with a question mark for each letter that the typeface has not; for one thread at a time.

    A tagged PDF may hold no letter that is not there to see. The workbook and the CSV file have them all.
    """
    if isinstance(facts, str):
        if facts.isascii() and facts.isprintable():
            return facts
        return "".join(letter if _is_shown(letter) else _UNKNOWN for letter in facts)
    if isinstance(facts, dict):
        return {name: shown(fact) for name, fact in facts.items()}
    if isinstance(facts, (list, tuple)):
        return [shown(fact) for fact in facts]
    return facts


@lru_cache(10_000)
def _is_shown(letter: str) -> bool:
    try:
        _compiler().compile(format="pdf", sys_inputs={"letter": letter}, pdf_standards=["ua-1"])
    except typst.TypstError:
        return False
    return True


@cache
def _compiler() -> typst.Compiler:
    return typst.Compiler(_TEMPLATE, root=_TEMPLATE.parent)
