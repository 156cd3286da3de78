"""Writes the documents that are committed, and refuses to write one that would break those who rely on it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deploy.documents.asyncapi import asyncapi
from deploy.documents.compatibility import api_breaks, message_breaks
from deploy.documents.entitlements import entitlements
from deploy.documents.lifecycle import lifecycle
from deploy.documents.openapi import openapi
from shared.service import Service

OPENAPI = "openapi.json"
ASYNCAPI = "asyncapi.json"
ENTITLEMENTS = "entitlements.md"
LIFECYCLE = "lifecycle.md"
_BREAKS = {OPENAPI: api_breaks, ASYNCAPI: message_breaks}


class BreakingChange(Exception):
    """The contracts changed in a way that breaks others; each break stands on a line of the message."""


def documents_of(services: Iterable[Service]) -> dict[str, dict[str, Any]]:
    """Return the documents by the names of their files."""
    return {OPENAPI: openapi(), ASYNCAPI: asyncapi(services)}


def as_text(document: dict[str, Any]) -> str:
    """Return a document as it is committed: indented JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write_documents(
    folder: Path, services: Iterable[Service], *, break_on_purpose: bool = False
) -> list[Path]:
    """Bring the documents in a folder up to date and return those that changed.

    Raises BreakingChange, with nothing written, where a change is no optional addition; declare a new version instead
    (``version=2``), or say that nobody relies on it yet by ``break_on_purpose``.
    """
    made = documents_of(services)
    broken = [fault for name, document in made.items() for fault in breaks_of(folder / name, document)]
    if broken and not break_on_purpose:
        raise BreakingChange("\n".join(broken))
    texts = texts_of(made)
    changed = [name for name, text in texts.items() if _text_in(folder / name) != text]
    for name in changed:
        (folder / name).write_text(texts[name], encoding="utf-8")
    return [folder / name for name in changed]


def texts_of(documents: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Return what is committed, by the names of the files: these documents, and the pages drawn from tables in the code."""
    texts = {name: as_text(document) for name, document in documents.items()}
    return {**texts, ENTITLEMENTS: entitlements(), LIFECYCLE: lifecycle()}


def breaks_of(file: Path, document: dict[str, Any]) -> list[str]:
    """Return what of a document breaks those who rely on the one in the file; nothing where there is none."""
    text = _text_in(file)
    return _BREAKS[file.name](json.loads(text), document) if text else []


def _text_in(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None
