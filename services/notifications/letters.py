"""What mails say: facts, sealed as long as they wait, and put into words of the reader's language when they are sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.notifications.words import words_of
from shared.contracts.types import Language
from shared.sealing import Seal

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """To whom a mail goes and what it tells: the names that its template uses, as JSON has them."""

    name: str
    email: str
    happened_at: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def seal(self, seal: Seal) -> str:
        """Return the form in which it may lie in a table."""
        return seal.close(orjson.dumps(self).decode())

    @classmethod
    def open(cls, sealed: str, seal: Seal) -> "Letter":
        """Return a letter from its sealed form; raises BrokenSeal."""
        return cls(**orjson.loads(seal.open(sealed)))

    def has_expired(self, now: datetime) -> bool:
        """Return whether what it tells is of no use any more."""
        expires_at = self.facts.get("expires_at")
        return expires_at is not None and datetime.fromisoformat(expires_at) <= now

    def address_alone(self) -> "Letter":
        """Return what is worth keeping when it was sent: no code that still opens something."""
        return replace(self, facts={})


@dataclass(frozen=True, slots=True)
class Written:
    """A letter in words: a subject of one line, and a plain text."""

    subject: str
    text: str


def write(template: str, language: Language, letter: Letter, *, portal_url: str) -> Written:
    """Return a letter in a language's words; raises jinja2's UndefinedError where a fact is missing."""
    words = _environment(language)
    known = {
        **letter.facts,
        "name": letter.name,
        "happened_at": letter.happened_at,
        "portal_url": portal_url.rstrip("/"),
    }
    greeting, body, closing = (
        words.get_template(f"{part}/{language}.txt").render(known)
        for part in ("greeting", template, "closing")
    )
    subject, _, text = body.partition("\n")
    return Written(" ".join(subject.split()), f"{greeting}\n\n{text.strip()}\n\n{closing}\n")


@cache
def _environment(language: Language) -> Environment:
    words = words_of(language)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        finalize=_on_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - plain text, in which nothing has to be escaped
    )
    environment.filters |= {
        "amount": words.amount,
        "day": words.day,
        "instant": words.instant,
        "function": words.function,
        "scope": words.scope,
        "grouped": words.grouped,
    }
    return environment


def _on_one_line(value: Any) -> Any:
    """Keep what people chose, such as a name, from adding paragraphs of its own."""
    return " ".join(value.split()) if isinstance(value, str) else value
