"""Walks through a JSON document: finds every reference, and what it points to."""

from collections.abc import Iterator
from typing import Any


def references(document: Any, path: str = "#") -> Iterator[tuple[str, str]]:
    """Yield each ``$ref`` with the place where it stands."""
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield path, document["$ref"]
        for name, value in document.items():
            yield from references(value, f"{path}/{name}")
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from references(value, f"{path}/{index}")


def resolve(document: Any, pointer: str) -> Any:
    """Return what a pointer within a document names; raises LookupError where there is nothing."""
    start, *steps = pointer.split("/")
    if start != "#":
        raise LookupError(f"{pointer} leads out of the document")
    for step in steps:
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document
