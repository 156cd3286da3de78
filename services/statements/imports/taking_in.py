"""Takes a file in: every row is checked and laid ready, and nothing is posted yet. What breaks off leaves nothing behind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import file_digest, sha256
from io import BufferedReader
from itertools import islice
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.imports.copying import copy_rows
from services.statements.imports.layout import Layout
from services.statements.imports.protection import protection_of
from services.statements.imports.reading import Reader
from services.statements.imports.rows import Incoming, Refused
from services.statements.imports.text import Source
from services.statements.model import control_account as structure
from services.statements.model import file_import, import_finding, import_row
from shared.contracts.imports import ImportState, RowOutcome
from shared.database import insert_rows, is_postgresql
from shared.errors import NotFound, Rejected
from shared.folding import fold_name
from shared.ids import new_id, new_ids
from shared.service import Running

PORTION = 5000
_ROW_COLUMNS = tuple(column.name for column in import_row.c)
_FINDING_COLUMNS = tuple(column.name for column in import_finding.c)
_LONGEST_KEY = 100
_merchant_key = lru_cache(maxsize=32768)(lambda merchant: fold_name(merchant)[:_LONGEST_KEY])


@dataclass(slots=True)
class Digested:
    """A stream that is hashed as it is read."""

    stream: Source
    digest: Any = field(default_factory=sha256)

    def read(self, size: int = -1, /) -> bytes:
        """Read on."""
        piece = self.stream.read(size)
        self.digest.update(piece)
        return piece


def take_in(
    stream: Source,
    layout: Layout,
    running: Running,
    *,
    uploaded_by: str,
    file_name: str | None = None,
    control_account: str | None = None,
    mended: bool = False,
) -> str:
    """Read a file and return the id of its import, whose rows lie ready then.

    Accounts will be looked for below ``control_account``, or everywhere. Raises Rejected, keeping nothing, where the file
    cannot be read or was posted before; the same file, if it was not posted yet, is replaced.
    """
    import_id = new_id("imp")
    read_by = layout.mended() if mended else layout
    with running.database.write() as session:
        _must_be_known(control_account, session)
        session.execute(
            sa.insert(file_import).values(
                id=import_id, state=ImportState.RECEIVING, layout=layout.name, mended=mended,
                file_name=file_name and file_name[-200:], control_account=control_account,
                columns=orjson.dumps(list(layout.columns)).decode(), find_by=orjson.dumps(layout.find).decode(),
                repeats=layout.key.repeats, uploaded_by=uploaded_by, uploaded_at=running.clock(), differences="[]",
                **dict.fromkeys(_COUNTS, 0),
            )
        )  # fmt: skip
    try:
        _TakingIn(import_id, read_by, running).take(Digested(stream))
    except BaseException:
        discard(import_id, running)
        raise
    return import_id


_COUNTS = (
    "rows",
    "passed_over",
    "refused",
    "compared",
    "differing",
    "position",
    "posted",
    "seen",
    "suspended",
)


def _must_be_known(number: str | None, session: orm.Session) -> None:
    known = sa.select(structure.c.number).where(structure.c.number == number)
    if number and session.scalar(known) is None:
        raise NotFound("control account", "control_account")


def digest_of(stream: BufferedReader) -> str:
    """Return the digest by which a file is known."""
    return file_digest(stream, "sha256").hexdigest()


def find_file(digest: str, running: Running) -> str | None:
    """Return the import of a file that is being posted; it need not be read again."""
    wanted = sa.select(file_import.c.id).where(
        file_import.c.digest == digest, file_import.c.state == ImportState.POSTING
    )
    with running.database.read() as session:
        return session.scalar(wanted)


def discard(import_id: str, running: Running) -> None:
    """Give a file up; a job forgets its rows."""
    with running.database.write() as session:
        _discard(import_id, session)


def _discard(import_id: str, session: orm.Session) -> None:
    gone = sa.update(file_import).where(file_import.c.id == import_id)
    session.execute(gone.values(state=ImportState.DISCARDED, digest=None))


class _TakingIn:
    def __init__(self, import_id: str, layout: Layout, running: Running) -> None:
        self._import_id = import_id
        self._repeats = layout.key.repeats
        self._running = running
        self._reader = Reader(layout, protection_of(running.settings))

    def take(self, stream: Digested) -> None:
        rows = self._reader.read(stream)
        while portion := list(islice(rows, PORTION)):
            self._keep(portion)
        while stream.read(PORTION):
            pass  # what follows the last row counts for the digest
        with self._running.database.write() as session:
            if is_postgresql(session):  # or it would plan the posting of a million rows as if there were none
                session.execute(sa.text("analyze import_row"))
            self._finish(stream.digest.hexdigest(), session)

    def _keep(self, portion: Sequence[Incoming | Refused]) -> None:
        ids = new_ids("txn", len(portion))
        good = [
            self._row(row, id_) for row, id_ in zip(portion, ids, strict=True) if isinstance(row, Incoming)
        ]
        refused = [self._finding(row) for row in portion if isinstance(row, Refused)]
        with self._running.database.write() as session:
            copy_rows(session, import_row, _ROW_COLUMNS, good)
            insert_rows(session, import_finding, _FINDING_COLUMNS, refused)

    def _row(self, row: Incoming, id_: str) -> tuple[Any, ...]:
        number_hash, _, last_four = (row.card_number or "").partition(":")
        return (
            self._import_id, row.line, id_, row.key, self._repeats, row.kind, row.amount, row.currency,
            row.original_amount, row.original_currency, row.transacted_on, row.posted_on, row.rate, row.merchant,
            row.merchant and _merchant_key(row.merchant), row.merchant_category, row.city, row.country,
            row.cost_centre, row.ledger_code, row.purpose, row.account_id, number_hash or None,
            row.last_four or last_four or None, row.employee_id, row.universal_number, row.control_account,
        )  # fmt: skip

    def _finding(self, row: Refused) -> tuple[Any, ...]:
        first = row.findings[0]
        words = "; ".join(
            f"{each.column}: {each.message}" if each.column else each.message for each in row.findings
        )
        cells = orjson.dumps(row.cells).decode()
        return (self._import_id, row.line, RowOutcome.REFUSED.value, first.code, first.column, words, cells)

    def _finish(self, digest: str, session: orm.Session) -> None:
        reader = self._reader
        if not reader.readable + reader.refused:
            raise Rejected("no_rows", "The file has no row that its layout would post.")
        for earlier in session.execute(sa.select(file_import).where(file_import.c.digest == digest)):
            if earlier.state != ImportState.CHECKED:
                when = f"{earlier.uploaded_at:%Y-%m-%d %H:%M} UTC"
                raise Rejected(
                    "file_seen",
                    f"This very file was imported before, on {when} as {earlier.id}; it posts nothing.",
                )
            _discard(earlier.id, session)
        session.execute(
            sa.update(file_import)
            .where(file_import.c.id == self._import_id)
            .values(
                state=ImportState.CHECKED, digest=digest, rows=reader.readable + reader.refused, refused=reader.refused,
                passed_over=reader.passed_over, compared=reader.compared, differing=reader.differing,
                differences=orjson.dumps([each._asdict() for each in reader.differences]).decode(),
            )
        )  # fmt: skip
