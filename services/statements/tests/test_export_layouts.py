"""What an operator writes to have files exported: the shipped layouts can be used, and a wrong one says what is wrong."""

import csv
import io
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_
from hypothesis import strategies as st

from services.statements.exports.layout import EXPORT_FACTS, TOTAL_FACTS, TRANSACTION_FACTS
from services.statements.exports.layout_file import known_layouts, read_layout
from services.statements.exports.writing import DoesNotFit, closing_of, lines_of, opening_of
from services.statements.layout_files import BadLayout

GOOD = """
[file]
form = "delimited"
[[lines]]
columns = [{ name = "Amount", fact = "amount" }]
"""
FIXED = """
[file]
form = "fixed"
[[lines]]
columns = [{ fact = "merchant", width = 6 }]
"""


def written(text: str, **facts: Any) -> str:
    """Return the lines that a layout makes of one transaction."""
    layout = read_layout(text, "test")
    given = defaultdict(lambda: None, facts)
    return lines_of(layout, [given]).decode(layout.encoding)


def columns(text: str, of: str = GOOD) -> str:
    """Return a layout with other columns."""
    head, _, _ = of.partition("columns")
    return f"{head}columns = [{text}]\n"


@pytest.mark.parametrize("name", sorted(known_layouts(Path("none"))))
def test_every_shipped_layout_can_be_used(name: str) -> None:
    layout = read_layout(known_layouts(Path("none"))[name].read_text("utf-8"), name)
    assert layout.title != name
    facts = dict.fromkeys((*EXPORT_FACTS, *TRANSACTION_FACTS, *TOTAL_FACTS))
    made = opening_of(layout, facts) + lines_of(layout, [facts]) + closing_of(layout, [facts])
    lines = made.decode(layout.encoding).splitlines()
    assert len(lines) >= len(layout.lines)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('form = "delimited"', 'form = "xml"', "file.form is “xml”; it can be delimited or fixed"),
        ('form = "delimited"', 'form = "delimited"\nquotes = "all"', "file.quotes is unknown; did you mean quoting?"),
        ('form = "delimited"', 'form = "delimited"\nencoding = "utf-16"', "file.encoding is “utf-16”, which is no known"),
        ('form = "delimited"', 'form = "delimited"\nencoding = "x"', "file.encoding is “x”, which is no known"),
        ('form = "delimited"', 'form = "delimited"\nextension = "../x"', "file.extension has to be letters and digits"),
        ('fact = "amount"', 'fact = "amuont"', "lines[1].columns[1].fact is “amuont”; here it can be"),
        (', fact = "amount"', "", "lines[1].columns[1].fact or text has to be there, one of the two"),
        ('fact = "amount"', 'fact = "amount", text = "x"', "lines[1].columns[1].fact or text has to be there"),
        ('fact = "amount"', 'fact = "amount", width = 3', "lines[1].columns[1].width is unknown"),
        ('name = "Amount", ', "", "lines[1].columns need a name each, for the header"),
        ("[file]", 'kinds = ["purchases"]\n[file]', "kinds names “purchases”; a kind is one of purchase"),
        ("[[lines]]", '[[lines]]\ncolumns = [{ name = "A", text = "" }]\n[[lines]]', "have other names than those of the first"),
        ("[[lines]]", '[closing]\ncolumns = [{ fact = "merchant" }]\n[[lines]]', "closing.columns[1].fact is “merchant”"),
        ("[[lines]]", "[[line]]", "lines is missing"),
        ("[file]", "[file", "it is no TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(before: str, after: str, fault: str) -> None:
    with pytest.raises(BadLayout) as problem:
        read_layout(GOOD.replace(before, after, 1), "test")
    assert fault in str(problem.value)


def test_fixed_width_needs_widths() -> None:
    with pytest.raises(BadLayout, match="width is missing"):
        read_layout(columns('{ fact = "merchant" }', FIXED), "test")


@pytest.mark.parametrize(
    ("form", "amount", "text"),
    [
        ("", "-12.50", "-12.50"),
        ('decimal = ","', "-12.50", '"-12,50"'),
        ('negative = "trailing"', "-12.50", "12.50-"),
        ('negative = "trailing"', "12.50", "12.50"),
        ("minor_units = true", "-0.05", "-5"),
        ("minor_units = true", "0.00", "0"),
        ("minor_units = true", "1.250", "1250"),
        ("", "1250", "1250"),
    ],
)
def test_amounts_are_written_exactly(form: str, amount: str, text: str) -> None:
    made = written(GOOD + f"[amounts]\n{form}\n", amount=Decimal(amount))
    assert made == f"{text}\r\n"


@pytest.mark.parametrize(
    ("column", "facts", "text"),
    [
        ('fact = "posted_on"', {"posted_on": date(2026, 3, 2)}, "2026-03-02"),
        ('fact = "posted_on", dates = "DD.MM.YY"', {"posted_on": date(2026, 3, 2)}, "02.03.26"),
        ('fact = "side", words = { debit = "S" }', {"side": "debit"}, "S"),
        ('fact = "side", words = { debit = "S" }', {"side": "credit"}, "credit"),
        ('fact = "note", otherwise = "none"', {}, "none"),
        ('fact = "note"', {"note": "two\r\nlines\tof it"}, "two lines of it"),
        ('fact = "note"', {"note": "=1+1"}, "'=1+1"),
        ('text = "=A1"', {}, "=A1"),  # the operator's own
    ],
)
def test_values_are_written_as_the_column_says(column: str, facts: dict[str, Any], text: str) -> None:
    assert written(columns(f'{{ name = "x", {column} }}'), **facts) == f"{text}\r\n"


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("", "Café", "Café  "),
        ('align = "right"', "Café", "  Café"),
        ('align = "right", fill = "0"', "12", "000012"),
        ('align = "right", fill = "0"', "-12", "-00012"),
        ("cut = true", "Grand Hôtel", "Grand "),
    ],
)
def test_fixed_width_values_have_their_places(column: str, value: str, text: str) -> None:
    said = ", ".join(filter(None, ['fact = "merchant", width = 6', column]))
    one = f"{{ {said} }}"
    assert written(columns(one, FIXED), merchant=value) == f"{text}\r\n"


def test_what_does_not_fit_is_not_cut_unless_the_layout_says_so() -> None:
    with pytest.raises(DoesNotFit, match="“Grand Hôtel” does not fit into the 6 characters of merchant"):
        written(FIXED, merchant="Grand Hôtel")


def test_an_encoding_that_lacks_a_character_gets_a_question_mark() -> None:
    text = columns('{ name = "x", fact = "note" }').replace(
        "[[lines]]", 'encoding = "latin-1"\nline_end = "lf"\n[[lines]]'
    )
    assert written(text, note="Łódź é") == "?ód? é\n"


def test_the_mark_of_an_encoding_stands_once_before_the_header() -> None:
    layout = read_layout(GOOD.replace("[[lines]]", 'encoding = "utf-8-sig"\n[[lines]]'), "test")
    assert opening_of(layout, {}) == b"\xef\xbb\xbfAmount\r\n"
    assert lines_of(layout, [{"amount": Decimal(1)}]) == b"1\r\n"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given_(texts=st.lists(TEXTS, min_size=1, max_size=5), delimiter=st.sampled_from(",;|\t"), quoting=st.sampled_from(["all", "minimal"]))  # fmt: skip
def test_whatever_people_type_stays_in_its_cell_and_is_no_formula(
    texts: list[str], delimiter: str, quoting: str
) -> None:
    head = GOOD.replace(
        "[[lines]]", f'delimiter = "{delimiter}"\nquoting = "{quoting}"\n[[lines]]'.replace("\t", "\\t")
    )
    cells = ", ".join(f'{{ name = "{fact}", fact = "{fact}" }}' for fact in ("note", "merchant"))
    layout = read_layout(columns(cells, head), "test")
    made = lines_of(layout, [{"note": text, "merchant": text} for text in texts]).decode()
    rows = list(csv.reader(io.StringIO(made, newline=""), delimiter=delimiter))
    for text, row in zip(texts, rows, strict=True):
        plain = " ".join(text.split())
        assert row in ([plain, plain], [f"'{plain}", f"'{plain}"])
        assert not row[0].startswith(("=", "+", "-", "@"))
