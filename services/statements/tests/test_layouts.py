"""What an operator writes: the shipped layouts can be used, and a wrong one says what is wrong, where, all at once."""

import re
from io import BytesIO
from pathlib import Path

import pytest

from services.statements.imports.layout_file import find_layout, known_layouts, read_layout
from services.statements.imports.reading import Reader
from services.statements.imports.rows import Incoming
from services.statements.layout_files import BadLayout

GOOD = """
dates = "DD/MM/YYYY"
find_account_by = ["last_four"]
[file]
form = "delimited"
[columns]
transacted_on = "Date"
amount = "Amount"
currency = { value = "GBP" }
last_four = { header = "Card", pattern = "[0-9]{4}$" }
[key]
columns = ["transacted_on", "amount"]
repeats = true
"""


@pytest.mark.parametrize("name", sorted(known_layouts(Path("none"))))
def test_every_shipped_layout_can_be_used(name: str) -> None:
    layout = find_layout(name, Path("none"))
    assert layout.name == name
    assert layout.title


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('form = "delimited"', 'form = "excel"', "file.form is “excel”; it can be delimited, fixed or xml"),
        ('form = "delimited"', 'from = "delimited"', "file.form is missing"),
        ('form = "delimited"', 'form = "delimited"\ndelimitr = ";"', "file.delimitr is unknown; did you mean delimiter?"),
        ('form = "delimited"', 'form = "delimited"\ndelimiter = ";;"', "file.delimiter has to be one character"),
        ('form = "delimited"', 'form = "delimited"\nencodings = "utf-99"', "file.encodings names “utf-99”"),
        ('form = "delimited"', 'form = "delimited"\nencodings = "utf-16"', "file.encodings names “utf-16”"),
        ('dates = "DD/MM/YYYY"', "", "columns.transacted_on.dates is missing"),
        ('amount = "Amount"\n', "", "columns: amount is missing"),
        ('currency = { value = "GBP" }\n', "", "columns: currency is missing"),
        ('"[0-9]{4}$"', '"[0-9{4}$("', "columns.last_four.pattern is no regular expression"),
        ('amount = "Amount"', "amount = 3", "columns.amount.header has to be a text in quotation marks"),
        ('amount = "Amount"', "amount = { optional = true }", "columns.amount.header or value is missing"),
        ('["last_four"]', '["card"]', "find_account_by: there is no column card"),
        ('["last_four"]', '["amount"]', "find_account_by: an account is not found by amount"),
        ("[key]", '[skip]\nx = "1"\n[key]', "skip has to be written as [[skip]]"),
        ("[key]", "colour = \"red\"\n[key]", "columns.colour: nothing uses it"),
        ("repeats = true", 'repeats = "yes"', "key.repeats has to be true or false"),
        ("[key]", '[amounts]\ndecimal = ","\nthousands = ","\n[key]', "amounts.thousands and decimal are the same"),
        ("[key]", '[[totals]]\nwhen = { amount = "" }\n[key]', "totals[1] has to name the column of at least one of"),
        ("[file]", "rows_are = \"cards\"\n[file]", "rows_are is “cards”; it can be transactions or payments"),
        ("[columns]", "[columns", "it is no TOML"),
    ],
)  # fmt: skip
def test_a_wrong_layout_says_what_is_wrong_and_where(before: str, after: str, fault: str) -> None:
    assert before in GOOD
    with pytest.raises(BadLayout) as error:
        read_layout(GOOD.replace(before, after, 1), "mine.toml")
    assert "mine.toml" in str(error.value)
    assert any(fault in one for one in error.value.faults), error.value.faults


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadLayout) as error:
        read_layout(GOOD.replace('"delimited"', '"excel"').replace("repeats = true", "repeats = 1"), "mine")
    assert len(error.value.faults) >= 2


def test_a_layout_of_the_operators_own_goes_before_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "csv.toml").write_text(f'title = "Ours"\n{GOOD}', "utf-8")
    assert find_layout("csv", tmp_path).title == "Ours"


def test_a_layout_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(BadLayout, match="vcf4"):
        find_layout("visa", tmp_path)


def test_the_example_of_the_guide_reads_the_file_that_it_is_for() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guide" / "imports.md").read_text("utf-8")
    (layout,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    content = re.findall(r"```text\n(.*?)```", guide, re.DOTALL)[0]
    reader = Reader(read_layout(layout, "guide"), str)
    rows = list(reader.read(BytesIO(content.encode("windows-1252"))))
    assert [
        (row.amount, row.merchant, row.last_four, row.cost_centre)
        for row in rows
        if isinstance(row, Incoming)
    ] == [
        (123450, "CAFÉ DE LA GARE", "8431", "4100"),
        (-1200, "CAFÉ DE LA GARE", "8431", "4100"),
    ]
    assert (reader.refused, reader.compared, reader.differing) == (0, 1, 0)
