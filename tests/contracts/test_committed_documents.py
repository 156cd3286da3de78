"""The documents in ``docs/`` are what the contracts say today, and the contracts keep what the documents promised."""

from pathlib import Path

import pytest

from deploy.documents.publishing import breaks_of, documents_of, texts_of
from deploy.registry import find_services

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ["openapi.json", "asyncapi.json"]


@pytest.mark.parametrize("name", NAMES)
def test_contracts_keep_what_the_committed_document_promises(name: str) -> None:
    broken = breaks_of(DOCS / name, documents_of(find_services().values())[name])
    assert not broken, "declare a new version (version=2) instead of changing a message that others rely on"


@pytest.mark.parametrize("name", [*NAMES, "entitlements.md", "lifecycle.md"])
def test_the_committed_document_is_up_to_date(name: str) -> None:
    made = texts_of(documents_of(find_services().values()))[name]
    assert (DOCS / name).read_text(encoding="utf-8") == made, "run: python -m deploy.documents"
