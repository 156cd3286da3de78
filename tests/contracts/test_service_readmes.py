"""Each service's README says what its declaration says, and names no table and no setting that there is not."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from deploy.registry import find_services
from deploy.service_readmes import BEGIN, END, NoMarkers, readmes, renew
from shared.service import Service
from shared.settings import PREFIX, Settings

FILES = [pytest.param(file, id=file.parent.name) for file in readmes()]


@pytest.mark.parametrize("file", FILES)
def test_the_derived_part_is_up_to_date(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert renew(text, readmes()[file](), file) == text, "run: python -m deploy.service_readmes"


@pytest.mark.parametrize("service", find_services().values(), ids=lambda service: service.name)
def test_every_table_is_explained(service: Service) -> None:
    (file,) = (file for file in readmes() if file.parent.name == service.name)
    rows = [
        line.split("|")[1] for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("|")
    ]
    explained = {table for row in rows for table in re.findall(r"`(\w+)`", row)}
    assert set(service.metadata.tables) <= explained


@pytest.mark.parametrize("file", FILES)
def test_every_setting_that_is_named_exists(file: Path) -> None:
    known = {PREFIX + setting.name.upper() for setting in fields(Settings)}
    assert set(re.findall(r"CARDWORK_[A-Z_]+", file.read_text(encoding="utf-8"))) <= known


def test_only_the_derived_part_is_written_anew() -> None:
    text = f"# Title\n\n{BEGIN}\nold\n{END}\n\nmore\n"
    renewed = renew(text, "new\n", Path("README.md"))
    assert renewed == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n"
    assert renew(renewed, "new\n", Path("README.md")) == renewed


@pytest.mark.parametrize("text", ["# Title\n", f"# Title\n{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_readme_without_a_place_for_it_is_named(text: str) -> None:
    with pytest.raises(NoMarkers, match=r"services/new/README\.md needs"):
        renew(text, "new", Path("services/new/README.md"))
