"""Reads a layout of exports from TOML; what is wrong with it is told all at once, each with the table and the key."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from services.statements.exports.layout import (
    EXPORT_FACTS,
    TOTAL_FACTS,
    TRANSACTION_FACTS,
    Align,
    AmountForm,
    Column,
    DateForm,
    Delimited,
    Fixed,
    Layout,
    Line,
    LineEnd,
    Negative,
    Quoting,
)
from services.statements.layout_files import layout_of, layouts_in
from services.statements.layout_tables import Table
from shared.contracts.statements import TransactionKind

LAYOUTS = Path(__file__).parents[1] / "export_layouts"


def known_layouts(own: Path) -> dict[str, Path]:
    """Return the layouts that Cardwork ships with and those in a folder of the operator's own, by name."""
    return layouts_in(LAYOUTS, own)


@lru_cache(maxsize=64)
def read_layout(text: str, name: str) -> Layout:
    """Return the layout that a text in TOML describes; raises BadLayout."""
    return layout_of(text, name, lambda root: _layout(root, name))


def _layout(root: Table, name: str) -> Layout:
    file = root.table("file", required=True)
    form = _form(file)
    encoding = _encoding(file)
    fixed = isinstance(form, Fixed)
    line_end = file.choice("line_end", LineEnd, LineEnd.CRLF)
    extension = file.text("extension", "txt" if fixed else "csv")
    if not (extension.isascii() and extension.isalnum()):
        file.fault("extension", "has to be letters and digits")
    file.end()
    dates = DateForm(root.text("dates", "YYYY-MM-DD"))
    amounts = _amounts(root.table("amounts"))
    lines = tuple(
        _line(line, form, dates, (*EXPORT_FACTS, *TRANSACTION_FACTS)) for line in root.tables("lines")
    )
    if not lines:
        root.fault("lines", "is missing: [[lines]] says what is written of each transaction")
    _check_header(root, form, lines)
    return Layout(
        name=name,
        title=root.text("title", name),
        form=form,
        encoding=encoding,
        line_end=line_end,
        extension=extension,
        media_type=f"text/{'plain' if fixed else 'csv'}; charset={encoding.removesuffix('-sig')}",
        amounts=amounts,
        kinds=_kinds(root),
        lines=lines,
        opening=_line(root.table("opening"), form, dates, EXPORT_FACTS) if root.has("opening") else None,
        closing=_line(root.table("closing"), form, dates, (*EXPORT_FACTS, *TOTAL_FACTS))
        if root.has("closing")
        else None,
    )


def _form(file: Table) -> Delimited | Fixed:
    match file.text("form", "", required=True):
        case "delimited":
            return Delimited(
                delimiter=file.character("delimiter", ","),
                quoting=file.choice("quoting", Quoting, Quoting.MINIMAL),
                header=file.flag("header", True),
            )
        case "fixed":
            return Fixed()
        case other:
            file.fault("form", f"is “{other}”; it can be delimited or fixed")
            return Fixed()


def _encoding(file: Table) -> str:
    name = file.text("encoding", "utf-8").lower()
    try:
        plain = "A\n1".encode(name.removesuffix("-sig")) == b"A\n1"
    except LookupError:
        plain = False
    if not plain:
        file.fault(
            "encoding", f"is “{name}”, which is no known encoding in which a line can be told from the next"
        )
        return "utf-8"
    return name


def _amounts(table: Table) -> AmountForm:
    form = AmountForm(
        decimal=table.character("decimal", "."),
        negative=table.choice("negative", Negative, Negative.LEADING),
        minor_units=table.flag("minor_units", False),
    )
    table.end()
    return form


def _kinds(root: Table) -> frozenset[str]:
    kinds = root.texts("kinds")
    unknown = sorted(set(kinds) - set(TransactionKind))
    if unknown:
        root.fault("kinds", f"names “{unknown[0]}”; a kind is one of {', '.join(TransactionKind)}")
    return frozenset(kinds)


def _line(table: Table, form: Delimited | Fixed, dates: DateForm, facts: Iterable[str]) -> Line:
    columns = tuple(_column(column, form, dates, tuple(facts)) for column in table.tables("columns"))
    if not columns:
        table.fault("columns", "is missing")
    table.end()
    return columns


def _column(table: Table, form: Delimited | Fixed, dates: DateForm, facts: tuple[str, ...]) -> Column:
    fixed = isinstance(form, Fixed)
    fact = table.text("fact", "") or None
    if fact and fact not in facts:
        table.fault("fact", f"is “{fact}”; here it can be {', '.join(facts)}")
    if bool(fact) == table.has("text"):
        table.fault("fact", "or text has to be there, one of the two")
    words = table.table("words")
    column = Column(
        name=table.text("name", ""),
        fact=fact,
        text=table.text("text", "", blank=True),
        otherwise=table.text("otherwise", ""),
        words={value: words.text(value, "", blank=True) for value in words.names()},
        dates=DateForm(table.text("dates", dates.form)),
        width=_width(table) if fixed else 0,
        align=table.choice("align", Align, Align.LEFT) if fixed else Align.LEFT,
        fill=table.character("fill", " ") if fixed else " ",
        cut=table.flag("cut", False) if fixed else False,
    )
    words.end()
    table.end()
    return column


def _width(table: Table) -> int:
    if not table.has("width"):
        table.fault("width", "is missing")
    return table.number("width", 1)


def _check_header(root: Table, form: Delimited | Fixed, lines: tuple[Line, ...]) -> None:
    """Note where the lines have no names, or others than the first one, that could stand above them."""
    if not (isinstance(form, Delimited) and form.header):
        return
    for number, line in enumerate(lines, 1):
        names = [column.name for column in line]
        if not all(names):
            root.fault(f"lines[{number}].columns", "need a name each, for the header")
        elif names != [column.name for column in lines[0]]:
            root.fault(f"lines[{number}].columns", "have other names than those of the first line")
