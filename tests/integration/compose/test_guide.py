"""The guide to running in production tells the truth about settings and containers."""

import re
from dataclasses import fields
from pathlib import Path

import yaml

from shared.settings import PREFIX, Settings
from tests.integration.compose.stack import FILE, ROOT

GUIDE = (ROOT / "docs" / "guide" / "running-in-production.md").read_text()


def test_the_guide_names_every_setting_with_its_default() -> None:
    told = dict(re.findall(rf"^\| `({PREFIX}\w+)` \| (.+?) \|", GUIDE, re.MULTILINE))
    true = {
        f"{PREFIX}{setting.name.upper()}": "none" if setting.default is None else f"`{setting.default}`"
        for setting in fields(Settings)
    }
    assert told == true


def test_the_guide_names_every_container_and_every_volume() -> None:
    containers, volumes = re.findall(r"((?:^\|.+\n)+)", GUIDE, re.MULTILINE)[:2]
    document = yaml.safe_load(FILE.read_text())
    assert named_in(containers) == set(document["services"])
    assert named_in(volumes) == {volume for volume in document["volumes"] if not volume.endswith("-data")}


def named_in(table: str) -> set[str]:
    """What stands as code in the first column."""
    return {name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_the_files_that_the_guide_names_are_there() -> None:
    named = set(re.findall(r"`((?:deploy|docs)/[\w./-]+|CHANGELOG\.md)`", GUIDE))
    assert [name for name in named if not Path(ROOT, name).exists()] == []
