"""A statement's lines as rows: plain ones for other programs, and a workbook in the reader's language for people."""

import csv
import io
from decimal import Decimal
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from services.statements.papers.words import words_of
from services.statements.queries.paper import Paper
from shared.contracts.types import Language
from shared.money import exponent_of, in_major_units
from shared.web.cells import cell

_COLUMNS = (
    "transaction_id", "account_id", "holder", "kind", "transacted_on", "posted_on", "merchant", "merchant_category",
    "city", "country", "original_amount", "original_currency", "rate", "amount", "currency", "cost_centre",
    "ledger_code", "purpose",
)  # fmt: skip
_SUMMARY = ("previous_balance", "payments", "credits", "debits", "balance")


def as_csv(paper: Paper) -> bytes:
    """Return a row for each line, amounts as decimal numbers, under the names that the API gives the columns."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows([cell(value) for value in _row(line)] for line in paper.lines)
    return text.getvalue().encode()


def as_xlsx(paper: Paper, language: Language) -> bytes:
    """Return a workbook: a sheet with the summary, and one with the lines."""
    words, made = words_of(language), paper.made
    book = Workbook(write_only=True)
    summary: Any = book.create_sheet(words.labels["summary"])
    facts = (
        ("number", made.id), ("account", made.account_id), ("control_account", made.control_account),
        ("holder", paper.holder), ("closed", made.closed_on), ("due", made.due_on),
    )  # fmt: skip
    for name, value in facts:
        if value:
            summary.append([_bold(summary, words.labels[name]), _safe(value)])
    for name in _SUMMARY:
        amount = _amount(summary, in_major_units(getattr(made, name), made.currency), made.currency)
        summary.append([_bold(summary, words.labels[name]), amount, made.currency])
    lines: Any = book.create_sheet(words.labels["transactions"])
    lines.append([_bold(lines, name) for name in _COLUMNS])
    for line in paper.lines:
        lines.append(
            [_written(lines, name, value, line) for name, value in zip(_COLUMNS, _row(line), strict=True)]
        )
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _row(line: Any) -> list[Any]:
    original = line.original_currency
    found = {
        "transaction_id": line.id,
        "holder": line.embossed_name,
        "amount": in_major_units(line.amount, line.currency),
        "original_amount": in_major_units(line.original_amount, original) if original else None,
    }
    return [found[name] if name in found else getattr(line, name) for name in _COLUMNS]


def _written(sheet: WriteOnlyWorksheet, name: str, value: Any, line: Any) -> Any:
    if isinstance(value, Decimal):
        return _amount(sheet, value, line.currency if name == "amount" else line.original_currency)
    return _safe(value)


def _amount(sheet: WriteOnlyWorksheet, amount: Any, currency: str) -> Any:
    found = WriteOnlyCell(sheet, amount)
    decimals = exponent_of(currency)
    found.number_format = f"#,##0.{'0' * decimals}" if decimals else "#,##0"
    return found


def _safe(value: Any) -> Any:
    return cell(value) if isinstance(value, str) else value


def _bold(sheet: WriteOnlyWorksheet, text: str) -> Any:
    title = WriteOnlyCell(sheet, text)
    title.font = Font(bold=True)
    return title
