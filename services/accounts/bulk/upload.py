"""Takes an uploaded file in, a portion of rows at a time: each row becomes an item that waits, or one with a finding."""

from collections.abc import Iterable
from itertools import islice
from posixpath import commonpath
from typing import IO
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from services.accounts.bulk.columns import Columns
from services.accounts.bulk.files import rows_of
from services.accounts.bulk.findings import Draft, draft, find_repeated, try_out
from services.accounts.bulk.item import Asked
from services.accounts.bulk.kinds import Kind
from services.accounts.bulk.xlsx import Row
from services.accounts.model import Bulk, BulkItem
from shared.actor import Actor
from shared.contracts.bulk import BulkState, ItemState
from shared.contracts.types import Channel
from shared.database import insert_rows
from shared.errors import Rejected
from shared.ids import new_id, new_message_id
from shared.service import Running

PORTION = 200
_COLUMNS = (
    "bulk_id", "number", "state", "subject", "account_id", "payload", "code", "field", "message", "attempts",
)  # fmt: skip


def take_in(stream: IO[bytes], media_type: str, kind: Kind, actor: Actor, running: Running) -> str:
    """Read and try out a file, and return the id of the bulk; raises Rejected, keeping nothing, where it cannot be read."""
    bulk_id = new_id("blk")
    rows = iter(rows_of(stream, media_type))
    _, heading = next(rows, (1, []))
    columns = Columns.read(kind, heading, ZoneInfo(running.settings.time_zone))
    with running.database.write() as session:
        session.add(
            Bulk(
                id=bulk_id, kind=kind.name, state=BulkState.CHECKING, uploaded_by=actor.user_id,
                uploaded_for=actor.on_behalf_of, uploaded_at=running.clock(),
            )
        )  # fmt: skip
    try:
        _Checking(bulk_id, columns, actor, running).check(rows)
    except BaseException:
        _forget(bulk_id, running)
        raise
    return bulk_id


class _Checking:
    """Checks one file. Nothing in here grows with the number of its rows."""

    def __init__(self, bulk_id: str, columns: Columns, actor: Actor, running: Running) -> None:
        self._bulk_id = bulk_id
        self._columns = columns
        self._running = running
        self._asked = Asked(
            command_id=new_message_id(),
            key=columns.kind.submission.contract.key,
            actor=actor,
            channel=Channel.API,
        )
        self._rows = 0
        self._place: str | None = None

    def check(self, rows: Iterable[Row]) -> None:
        """Keep an item for each row, and then the file as checked."""
        rows = iter(rows)
        while portion := list(islice(rows, PORTION)):
            self._rows += len(portion)
            self._must_not_be_too_long()
            self._keep([draft(row, self._columns) for row in portion])
        if not self._rows:
            raise Rejected("no_rows", "The file has no row below the one that names the columns.")
        with self._running.database.write() as session:
            bulk = session.get_one(Bulk, self._bulk_id)
            bulk.state, bulk.rows = BulkState.CHECKED, self._rows
            bulk.control_account = self._place.split("/")[-1] if self._place else None

    def _must_not_be_too_long(self) -> None:
        most = self._running.settings.bulk_rows
        if self._rows > most:
            raise Rejected(
                "too_many_rows", f"A file may have at most {most} rows: split it, and upload the parts."
            )

    def _keep(self, drafts: list[Draft]) -> None:
        database = self._running.database
        with database.read() as session:
            find_repeated(drafts, self._bulk_id, session)
        for path in try_out(drafts, self._columns.kind, self._asked, self._running):
            self._place = path if self._place is None else commonpath([self._place, path])
        with database.write() as session:
            table = BulkItem.metadata.tables[BulkItem.__tablename__]
            insert_rows(session, table, _COLUMNS, [self._values(one) for one in drafts])

    def _values(self, one: Draft) -> tuple[object, ...]:
        """Return a row of the table; what a row with a finding asked for is of no more use."""
        found = one.finding
        if found is None:
            payload = orjson.dumps(one.message).decode()
            return (
                self._bulk_id, one.number, ItemState.WAITING.value, one.subject, one.account_id, payload, None, None,
                None, 0,
            )  # fmt: skip
        return (
            self._bulk_id, one.number, ItemState.REFUSED.value, one.subject, one.account_id, None, found.code,
            found.field, found.message, 0,
        )  # fmt: skip


def _forget(bulk_id: str, running: Running) -> None:
    with running.database.write() as session:
        forget(session.connection(), bulk_id)


def forget(connection: sa.Connection, bulk_id: str) -> None:
    """Remove a file with its rows."""
    connection.execute(sa.delete(BulkItem).where(BulkItem.bulk_id == bulk_id))
    connection.execute(sa.delete(Bulk).where(Bulk.id == bulk_id))
