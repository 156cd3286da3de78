"""Reads a layout from TOML; what is wrong with it is told all at once, each with the table and the key."""

import re
from collections.abc import Mapping
from pathlib import Path

from services.statements.imports.layout import (
    FACTS,
    POINTERS,
    Column,
    Context,
    Delimited,
    Fixed,
    Key,
    Kinds,
    Layout,
    Measure,
    Sign,
    Signs,
    Span,
    Subject,
    Totals,
    When,
    Xml,
)
from services.statements.imports.values import AmountForm, DateForms
from services.statements.layout_files import BadLayout, layout_of, layouts_in, text_of
from services.statements.layout_tables import Table

LAYOUTS = Path(__file__).parents[1] / "layouts"
LONGEST_NAME = 40
KINDS = ("purchase", "cash_advance", "refund", "payment", "fee")
_WANTED = {
    Subject.TRANSACTIONS: (("amount",), ("currency",), ("transacted_on", "posted_on")),
    Subject.PAYMENTS: (("amount",), ("currency",), ("transacted_on", "posted_on")),
}
_DATES = {"transacted_on", "posted_on"}
_AMOUNTS = {"amount", "original_amount"}


def known_layouts(own: Path) -> dict[str, Path]:
    """Return the layouts that Cardwork ships with and those in a folder of the operator's own, by name."""
    return layouts_in(LAYOUTS, own)


def find_layout(name: str, own: Path) -> Layout:
    """Return a layout by its name, or the one in a file; raises BadLayout."""
    known = known_layouts(own)
    file = known.get(name) or Path(name)
    if not file.is_file():
        raise BadLayout(
            name, [f"there is no such file, and no layout of that name; there are: {', '.join(known)}"]
        )
    return read_layout_file(file)


def read_layout_file(file: Path) -> Layout:
    """Return the layout in a file; raises BadLayout."""
    return read_layout(text_of(file), file.stem)


def read_layout(text: str, name: str) -> Layout:
    """Return the layout that a text in TOML describes; raises BadLayout. ``name`` is how its errors speak of it."""
    return layout_of(text, name, lambda root: _layout(root, name), _contradictions)


def _layout(root: Table, name: str) -> Layout:
    file = root.table("file", required=True)
    form = _form(file)
    encodings = _encodings(file)
    file.end()
    dates = root.texts("dates")
    columns = _columns(root.table("columns", required=True), form, DateForms(dates) if dates else None)
    amounts, positive, signs = _amounts(root.table("amounts"))
    return Layout(
        name=_name(root, name),
        title=root.text("title", name),
        subject=root.choice("rows_are", Subject, Subject.TRANSACTIONS),
        form=form,
        encodings=encodings,
        columns=columns,
        amounts=amounts,
        positive=positive,
        signs=signs,
        kinds=_kinds(root.table("kinds")) if root.has("kinds") else None,
        key=_key(root.table("key", required=True)),
        find=tuple(tuple(step) for step in root.lists("find_account_by")),
        rows=_when(root.table("rows")) if root.has("rows") else None,
        skip=tuple(_when(table) for table in root.tables("skip")),
        context=tuple(_context(table) for table in root.tables("context")),
        totals=tuple(_totals(table) for table in root.tables("totals")),
    )


def _name(root: Table, default: str) -> str:
    name = root.text("name", default)
    if len(name) > LONGEST_NAME:
        root.fault("name", f"is longer than {LONGEST_NAME} characters")
    return name


def _form(file: Table) -> Delimited | Fixed | Xml:
    match file.text("form", "", required=True):
        case "delimited":
            return Delimited(
                delimiter=file.character("delimiter", ","),
                quote=file.character("quote", '"'),
                header=file.flag("header", True),
                header_within=file.number("header_within", 1),
            )
        case "fixed":
            return Fixed()
        case "xml":
            return Xml(entry=frozenset(file.texts("entry", required=True)), row=file.text("row", "") or None)
        case other:
            file.fault("form", f"is “{other}”; it can be delimited, fixed or xml")
            return Fixed()


def _encodings(file: Table) -> tuple[str, ...]:
    names = file.texts("encodings") or ("utf-8",)
    for name in names:
        try:
            plain = "A\n1,;\t".encode(name) == b"A\n1,;\t"
        except LookupError:
            file.fault("encodings", f"names “{name}”, which is no known encoding")
        else:
            if not plain:
                file.fault(
                    "encodings", f"names “{name}”, in which a line cannot be told from the next by itself"
                )
    return names


def _columns(table: Table, form: Delimited | Fixed | Xml, dates: DateForms | None) -> Mapping[str, Column]:
    return {name: _column(name, table.column(name), form, dates) for name in table.names()}


def _column(name: str, table: Table, form: Delimited | Fixed | Xml, dates: DateForms | None) -> Column:
    # ``merchant = "Merchant"`` is short for a table with the one thing that says where the column stands.
    place = {Fixed: "at", Xml: "path"}.get(type(form), "header" if getattr(form, "header", False) else "at")
    table.widen(place)
    own_dates = table.texts("dates")
    column = Column(
        name=name,
        header=table.texts("header") if place == "header" else (),
        at=table.span("at", whole=place == "at" and isinstance(form, Fixed)) if place == "at" else None,
        path=table.texts("path") if place == "path" else (),
        path_if_only=table.texts("path_if_only") if place == "path" else (),
        value=table.text("value", "") or None,
        otherwise=table.text("otherwise", ""),
        optional=table.flag("optional", False),
        pattern=_pattern(table),
        dates=DateForms(own_dates) if own_dates else dates,
        decimals=table.number("decimals", -1, least=0) if table.holds_number("decimals") else None,
        decimals_column=None if table.holds_number("decimals") else table.text("decimals", "") or None,
    )
    if not (column.header or column.at or column.path or column.path_if_only or column.value):
        table.fault(place, f"or value is missing: it says where the column {name} stands")
    if name in _DATES and column.dates is None:
        table.fault(
            "dates", "is missing, here or at the top: it says how dates are written, such as DD/MM/YYYY"
        )
    table.end()
    return column


def _pattern(table: Table) -> re.Pattern[str] | None:
    text = table.text("pattern", "")
    try:
        return re.compile(text) if text else None
    except re.error as error:
        table.fault("pattern", f"is no regular expression: {error}")
        return None


def _amounts(table: Table) -> tuple[AmountForm, Sign, Signs | None]:
    form = AmountForm(
        decimal=table.text("decimal", "."),
        thousands=table.text("thousands", "", blank=True),
        signs=table.texts("signs"),
    )
    if form.decimal == form.thousands:
        table.fault("thousands", "and decimal are the same")
    positive = table.choice("positive", Sign, Sign.DEBIT)
    signs = None
    if table.has("sign"):
        sign = table.table("sign")
        signs = Signs(
            column=sign.text("column", "", required=True),
            debit=frozenset(sign.texts("debit")),
            credit=frozenset(sign.texts("credit", required=True)),
        )
        sign.end()
    table.end()
    return form, positive, signs


def _kinds(table: Table) -> Kinds:
    column = table.text("column", "", required=True)
    of = {value: kind for kind in KINDS for value in table.texts(kind)}
    table.end()
    return Kinds(column=column, of=of)


def _key(table: Table) -> Key:
    key = Key(columns=table.texts("columns", required=True), repeats=table.flag("repeats", False))
    table.end()
    return key


def _when(table: Table) -> When:
    when = {name: frozenset(table.texts(name, blank=True)) for name in table.names()}
    table.end()
    return when


def _context(table: Table) -> Context:
    context = Context(
        when=_when(table.table("when", required=True)), columns=table.texts("columns", required=True)
    )
    table.end()
    return context


def _totals(table: Table) -> Totals:
    when = _when(table.table("when", required=True))
    spans = tuple(span for span in Span if span in (table.texts("of") or ("file",)))
    if not spans:
        table.fault("of", f"can be {' or '.join(Span)}")
    checks = {measure: table.text(measure, "") for measure in Measure if table.has(measure)}
    if not checks:
        table.fault("", f"has to name the column of at least one of {', '.join(Measure)}")
    table.end()
    return Totals(when=when, of=spans, checks=checks)


def _contradictions(layout: Layout) -> list[str]:
    """Return what is wrong although each table by itself is right: columns that are missing, or of no use."""
    known = layout.columns.keys()
    uses = {
        "key.columns": layout.key.columns,
        "find_account_by": [name for step in layout.find for name in step],
        "amounts.sign.column": [layout.signs.column] if layout.signs else [],
        "kinds.column": [layout.kinds.column] if layout.kinds else [],
        "rows": layout.rows or (),
        "skip": [name for when in layout.skip for name in when],
        "context.when": [name for context in layout.context for name in context.when],
        "context.columns": [name for context in layout.context for name in context.columns],
        "totals.when": [name for total in layout.totals for name in total.when],
        "totals": [name for total in layout.totals for name in total.checks.values()],
        "columns": [column.decimals_column for column in layout.columns.values() if column.decimals_column],
    }
    faults = [
        f"{table}: there is no column {name}"
        for table, names in uses.items()
        for name in dict.fromkeys(names)
        if name not in known
    ]
    faults += [
        f"columns: {' or '.join(names)} is missing"
        for names in _WANTED[layout.subject]
        if not known & set(names)
    ]
    used = {name for names in uses.values() for name in names} | {*FACTS, *POINTERS}
    faults += [
        f"columns.{name}: nothing uses it; a fact of a transaction is one of {', '.join(FACTS)}"
        for name in known
        if name not in used
    ]
    faults += [
        f"find_account_by: an account is not found by {name}, but by {', '.join(POINTERS)}"
        for name in dict.fromkeys(uses["find_account_by"])
        if name not in POINTERS
    ]
    if "original_amount" in known and "original_currency" not in known:
        faults.append("columns: original_currency is missing, as there is an original_amount")
    return faults
