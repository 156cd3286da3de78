"""Reconciliation with the client's own books: transactions are coded, and exported as files for its ERP (STM-06)."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.base import Message, command, event, read, view
from shared.contracts.history import FieldChange
from shared.contracts.service_times import AT_ONCE, ONE_DAY
from shared.contracts.statements import TransactionId
from shared.contracts.types import (
    Comment,
    ControlAccountNumber,
    Currency,
    Cursor,
    Items,
    Limit,
    Note,
    Number,
    Scoped,
    Text,
    identifier,
)

MOST_CODED_AT_ONCE = 100


class CodingField(StrEnum):
    """By what a company books a transaction."""

    COST_CENTRE = "cost_centre"
    LEDGER_CODE = "ledger_code"
    TAX_CODE = "tax_code"
    PROJECT = "project"
    NOTE = "note"


class ExportState(StrEnum):
    """How far an export has come; a cancelled one holds no transaction any more."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


CodedCostCentre = Annotated[str, Text(1, 40)]
LedgerCode = Annotated[str, Text(1, 40), Note("the company's own ledger account")]
TaxCode = Annotated[str, Text(1, 20)]
Project = Annotated[str, Text(1, 40)]
CodingNote = Annotated[str, Text(1, 250)]
ExportId = Annotated[str, identifier("exp"), Scoped("statements", "export")]
NewExportId = Annotated[str, identifier("exp")]
LayoutName = Annotated[
    str,
    Text(1, 40, r"^[A-Za-z0-9_-]+$", "letters, digits and _ -"),
    Note("one that `GET /export-layouts` lists"),
]
CodedIds = Annotated[list[TransactionId], Items(1, MOST_CODED_AT_ONCE)]


# Commands


@command("statements", route="/transactions/code", function="transactions.code", service_time=AT_ONCE)
class CodeTransactions(Message):
    """Say how posted transactions are booked, all or none; refused for one that is in an export (Part 2 no. 15).

    What is left out or null stays as it is; ``clear`` names what is to be again as it was posted.
    """

    transaction_ids: CodedIds
    cost_centre: CodedCostCentre | None = None
    ledger_code: LedgerCode | None = None
    tax_code: TaxCode | None = None
    project: Project | None = None
    note: CodingNote | None = None
    clear: Annotated[list[CodingField], Items(0, len(CodingField))] | None = None


@command("statements", route="/exports", function="transactions.export", service_time=ONE_DAY)
class ExportTransactions(Message):
    """Export whatever of a period is in no export yet, and lock it against coding (STM-06, Part 2 no. 17)."""

    control_account: Annotated[ControlAccountNumber, Note("of any level; all that lies below it is exported")]
    layout: LayoutName
    posted_from: Annotated[date, Note("the first day of posting")]
    posted_to: Annotated[date, Note("the last day of posting")]
    coded_only: Annotated[bool, Note("leave out what nobody has coded yet")] = False


@command(
    "statements", route="/exports/{export_id}/cancel", function="transactions.export", service_time=AT_ONCE
)
class CancelExport(Message):
    """Take an export back: its transactions can be coded again, and the next export has them."""

    export_id: ExportId
    comment: Annotated[Comment, Note("why; its file may have been booked already")]


# Events


@event("statements")
class TransactionsCoded(Message):
    """Transactions were coded; a field that is null and not in ``clear`` is as it was."""

    transaction_ids: CodedIds
    cost_centre: CodedCostCentre | None = None
    ledger_code: LedgerCode | None = None
    tax_code: TaxCode | None = None
    project: Project | None = None
    note: CodingNote | None = None
    clear: list[CodingField] | None = None


@view
class ExportTotal:
    """What the transactions of an export come to in one currency, in minor units: debits less credits is the amount."""

    currency: Currency
    transactions: int
    amount: int
    debits: int
    credits: int


@event("statements")
class TransactionsExported(Message):
    """An export is ready to be fetched, and its transactions are locked."""

    export_id: NewExportId
    control_account: ControlAccountNumber
    layout: LayoutName
    posted_from: date
    posted_to: date
    transactions: int
    totals: list[ExportTotal]


@event("statements")
class ExportCancelled(Message):
    """An export was taken back, and its transactions are free again."""

    export_id: NewExportId
    control_account: ControlAccountNumber


# Views and reads


@view
class ExportRow:
    """An export: what it was made of, by whom, and the control totals of its file."""

    export_id: str
    state: ExportState
    control_account: str
    layout: str
    posted_from: date
    posted_to: date
    coded_only: bool
    transactions: int
    totals: list[ExportTotal]
    file_name: str
    media_type: str
    bytes: Annotated[int, Note("the size of the file")]
    asked_by: str
    asked_at: datetime
    finished_at: datetime | None
    problem: Annotated[str | None, Note("why it failed")]
    cancelled_by: str | None
    cancelled_at: datetime | None
    command_id: str


@view
class ExportLayout:
    """A form in which transactions are exported; operators add their own without code (Part 2 no. 17)."""

    name: str
    title: str


@view
class PieceAsked:
    """The piece of an export's file that begins at this byte, as the gateway asks for one after the other."""

    begins_at: Annotated[int, Number(0, 2**53)]


@read("statements", route="/exports", function="transactions.export", returns=ExportRow, listing=True)
class ListExports(Message):
    """The exports of the caller's control accounts, the newest first."""

    control_account: (
        Annotated[ControlAccountNumber, Note("those of this one, and of all below it")] | None
    ) = None
    state: ExportState | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read("statements", route="/exports/{export_id}", function="transactions.export", returns=ExportRow)
class GetExport(Message):
    """One export, and how far it has come; its file is at `GET /exports/{export_id}/file`."""

    export_id: ExportId


@read(
    "statements", route="/export-layouts", function="transactions.export", returns=ExportLayout, listing=True
)
class ListExportLayouts(Message):
    """The forms in which transactions can be exported, by name."""


@read(
    "statements",
    route="/transactions/{transaction_id}/history",
    function="transactions.view",
    returns=FieldChange,
    listing=True,
)
class ListCodingHistory(Message):
    """How the coding of a transaction changed, the latest change first (Part 2 no. 9)."""

    transaction_id: TransactionId
    cursor: Cursor | None = None
    limit: Limit = 50
