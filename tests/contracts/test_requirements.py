"""The table of requirements tells the truth about where things are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| ([A-Z0-9]+-\d+) \|.*?\| (`.*?) \| (`.*?) \|$",
    (ROOT / "docs/requirements.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("requirement", "where", "tests"), ROWS, ids=[row[0] for row in ROWS])
def test_every_file_and_test_that_a_requirement_names_exists(
    requirement: str, where: str, tests: str
) -> None:
    """A row that names what is gone is mended in the commit that takes it away."""
    for file in re.findall(r"`(.*?)`", where):
        assert (ROOT / file).exists(), f"{requirement}: {file}"
    for test in re.findall(r"`(.*?)`", tests):
        file, _, name = test.partition("::")
        assert (ROOT / file).is_file(), f"{requirement}: {file}"
        assert f"def {name}(" in (ROOT / file).read_text() or not name, f"{requirement}: {test}"


def test_the_table_was_read() -> None:
    """Every row has the form that the test above reads."""
    lines = [
        line for line in (ROOT / "docs/requirements.md").read_text().splitlines() if line.startswith("| ")
    ]
    assert len(ROWS) == len(lines) - 1
