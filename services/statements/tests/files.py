"""A programme whose transactions come in files: a company with a few card accounts, and what imports do with a file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import sqlalchemy as sa

from services.statements.imports.layout import Layout
from services.statements.imports.layout_file import read_layout
from services.statements.imports.posting import post_imports
from services.statements.imports.protection import protection_of
from services.statements.imports.submitting import submit
from services.statements.imports.taking_in import take_in
from services.statements.model import (
    card_account,
    card_number,
    control_account,
    entry,
    file_import,
    import_finding,
    ledger_account,
    posting,
)
from services.statements.service import service
from shared.database import Database
from shared.messaging.envelope import Envelope
from shared.messaging.transaction import Batch, Transaction
from shared.service import Running
from shared.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MASTER, BASIC, CENTRAL, OTHER_BASIC = (f"10000000000000{i}" for i in range(1, 5))

CSV = """
find_account_by = ["card_number", ["last_four", "cost_centre"], "employee_id", "control_account"]
dates = "YYYY-MM-DD"
[file]
form = "delimited"
[columns]
id = "Id"
transacted_on = "Date"
amount = "Amount"
currency = { header = "Currency", optional = true, otherwise = "EUR" }
merchant = { header = "Merchant", optional = true }
kind = { header = "Kind", optional = true }
card_number = { header = "Card", optional = true }
last_four = { header = "Four", optional = true }
cost_centre = { header = "Centre", optional = true }
employee_id = { header = "Employee", optional = true }
control_account = { header = "Company", optional = true }
[kinds]
column = "kind"
payment = "payment"
[key]
columns = "id"
"""


@dataclass
class Files:
    """The service's database, and files that go into it."""

    database: Database
    settings: Settings
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.running = Running(database=self.database, settings=self.settings, clock=lambda: self.now)

    # The company

    def build(self) -> None:
        """Make a company with a basic control account that bills each holder, one that is billed centrally, and another's."""
        with self.database.write() as session:
            for number, parent, level, model in (
                (MASTER, None, "master", None),
                (BASIC, MASTER, "basic", None),
                (CENTRAL, MASTER, "basic", "central"),
                (OTHER_BASIC, None, "basic", None),
            ):
                session.execute(
                    sa.insert(control_account).values(
                        number=number, parent=parent, level=level, placed=1, configured=0, billing_model=model,
                        opened_on=date(2026, 1, 1), closed_through=date(2026, 1, 1),
                    )
                )  # fmt: skip

    def bill_in(self, number: str, currency: str) -> None:
        """Have what lies under a control account billed in another currency than the euro."""
        with self.database.write() as session:
            which = sa.update(control_account).where(control_account.c.number == number)
            session.execute(which.values(billing_currency=currency))

    def open(self, id_: str, place: str = BASIC, *, card: str | None = None, **fields: Any) -> str:
        """Open a card account; ``card`` is the number of its card."""
        account_id = f"acc_{id_:0>26}"
        with self.database.write() as session:
            session.execute(
                sa.insert(card_account).values(
                    id=account_id, control_account=place, product="corporate_green", first_name="", last_name="",
                    name_key="", embossed_name="", named=1, placed=1, coded=1, opened_on=date(2026, 1, 1), **fields,
                )
            )  # fmt: skip
            if card:
                number_hash, _, last_four = protection_of(self.settings)(card).partition(":")
                session.execute(
                    sa.insert(card_number).values(
                        number_hash=number_hash, account_id=account_id, last_four=last_four
                    )
                )
        return account_id

    # Files

    def take_in(self, content: bytes | str, layout: Layout | str = CSV, **more: Any) -> str:
        """Take a file in, and return the id of its import."""
        read = read_layout(layout, "test") if isinstance(layout, str) else layout
        stream = BytesIO(content.encode() if isinstance(content, str) else content)
        return take_in(stream, read, self.running, uploaded_by="usr_operator", **more)

    def post(self, import_id: str) -> None:
        """Submit a file and work until it is posted."""
        self.submit(import_id)
        while post_imports(self.transact):
            pass

    def submit(self, import_id: str) -> None:
        """Submit a file."""
        with self.database.write() as session:
            submit(session, import_id, self.now)

    def load(self, content: bytes | str, layout: Layout | str = CSV, **more: Any) -> str:
        """Take a file in and post it."""
        import_id = self.take_in(content, layout, **more)
        self.post(import_id)
        return import_id

    @contextmanager
    def transact(self) -> Iterator[Transaction]:
        """Open a transaction as a worker does for what the clock starts."""
        with self.database.write() as session:
            worker = Batch(session, service.name, self.now, self.settings, service.aggregates)
            yield Transaction(worker, _BY_THE_CLOCK)
            worker.flush()

    # What became of them

    def one(self, import_id: str) -> Any:
        """Return the row of an import."""
        return self._rows(sa.select(file_import).where(file_import.c.id == import_id))[0]

    def findings(self, import_id: str) -> list[tuple[int, str, str]]:
        """Return what there is to say of rows: line, outcome and code."""
        found = self._rows(sa.select(import_finding).where(import_finding.c.import_id == import_id))
        return sorted((row.line, row.outcome, row.code) for row in found)

    def balances(self) -> Mapping[str, int]:
        """Return the balance of every ledger account."""
        return {row.id: row.balance for row in self._rows(sa.select(ledger_account))}

    def postings(self) -> Sequence[Any]:
        """Return every posting."""
        return self._rows(sa.select(posting).order_by(posting.c.id))

    def assert_balanced(self) -> None:
        """Check that every balance is the sum of its entries, and that all of them come to nothing."""
        sums: dict[str, int] = {}
        for row in self._rows(sa.select(entry)):
            sums[row.debit] = sums.get(row.debit, 0) + row.amount
            sums[row.credit] = sums.get(row.credit, 0) - row.amount
        balances = self.balances()
        assert {id_: sums.get(id_, 0) for id_ in balances} == balances
        assert sum(balances.values()) == 0

    def _rows(self, statement: sa.Select[Any]) -> Sequence[Any]:
        with self.database.read() as session:
            return session.execute(statement).all()


_BY_THE_CLOCK = Envelope(
    id="0" * 36, key="statements.job.v1", source="statements", time=NOW, data={}, correlation_id="0" * 36
)
