"""The dry run: what would become of each row, found out by carrying the rows out and taking all of it back.

So there is no rule that a dry run and the run could see differently. A handler that speaks to the world outside would
not do here: what it sends cannot be taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import orjson
import sqlalchemy as sa
from sqlalchemy import orm

from services.accounts.aggregates import AGGREGATES
from services.accounts.bulk.columns import Columns
from services.accounts.bulk.item import Asked, Became, carry_out
from services.accounts.bulk.kinds import Kind
from services.accounts.bulk.xlsx import Row
from services.accounts.model import BulkItem, CardAccount, ControlAccount
from shared.contracts.base import Message
from shared.contracts.bulk import ItemState
from shared.contracts.schema import scopes_of
from shared.database import given_values, is_postgresql, values_parameter
from shared.errors import Rejected
from shared.messaging.envelope import Envelope
from shared.messaging.transaction import Batch, Transaction
from shared.service import Running


@dataclass(slots=True)
class Draft:
    """A row on its way to being an item: a command that could be carried out, or a finding."""

    number: int
    message: Message | None = None
    subject: str | None = None
    account_id: str | None = None
    finding: Became | None = None

    def refuse(self, refusal: Rejected) -> None:
        """Note what is wrong with the row."""
        self.finding = Became(
            state=ItemState.REFUSED, code=refusal.code, message=refusal.message, field=refusal.field
        )


class _TakenBack(Exception):
    """The end of every trial."""


def draft(row: Row, columns: Columns) -> Draft:
    """Return a row that has been read by itself."""
    number, cells = row
    drafted = Draft(number, account_id=columns.account_of(cells))
    try:
        message = columns.message(cells)
    except Rejected as refusal:
        drafted.refuse(refusal)
        return drafted
    drafted.message = message
    drafted.subject = drafted.account_id or sha256(orjson.dumps(message)).hexdigest()
    return drafted


def find_repeated(drafts: Sequence[Draft], bulk_id: str, session: orm.Session) -> None:
    """Refuse the rows whose subject an earlier row of the same file has, and look up only the good ones."""
    subjects = [one.subject for one in drafts if one.subject]
    known = (
        sa.select(BulkItem.subject, sa.func.min(BulkItem.number))
        .where(
            BulkItem.bulk_id == bulk_id,
            BulkItem.subject.in_(given_values(postgresql_=is_postgresql(session))),
        )
        .group_by(BulkItem.subject)
    )
    found = session.execute(known, values_parameter(subjects))
    before: dict[str | None, int] = dict(found.all())
    for one in drafts:
        if one.subject is None:
            continue
        first = before.setdefault(one.subject, one.number)
        if first != one.number:
            what = "names the same account" if one.account_id else "says the same"
            one.refuse(Rejected("duplicate_row", f"Row {first} {what}; only that one is carried out."))


def try_out(drafts: Sequence[Draft], kind: Kind, asked: Asked, running: Running) -> list[str]:
    """Refuse the rows that would be refused, and return the paths of the control accounts that the rows name.

    The paths are those of what the asker may act on: the numbers from the master down, joined by ``/``.
    """
    paths: list[str] = []
    try:
        with running.database.write() as session, session.no_autoflush:
            batch = Batch(session, "accounts", running.clock(), running.settings, AGGREGATES)
            good = [one for one in drafts if one.message and not one.finding]
            for name, mark in scopes_of(kind.item).items():
                ids = {getattr(one.message, name) for one in good} - {None}
                if mark.kind in AGGREGATES:
                    batch.load(mark.kind, ids)
            tx = Transaction(batch, _trial(batch.now, asked))
            for one in good:
                assert one.message
                became = carry_out(one.message, kind.handle, asked, tx)
                if became.state is ItemState.REFUSED:
                    one.finding = became
            paths = _paths(batch, asked, kind)
            raise _TakenBack
    except _TakenBack:
        return paths


def _paths(batch: Batch, asked: Asked, kind: Kind) -> list[str]:
    named = (*_loaded(batch, CardAccount), *_loaded(batch, ControlAccount))
    return sorted(
        {"/".join(one.control_path) for one in named if asked.actor.covers(kind.function, one.control_path)}
    )


def _loaded(
    batch: Batch, model: type[CardAccount] | type[ControlAccount]
) -> Sequence[CardAccount | ControlAccount]:
    return list(batch.loaded.get(model, {}).values())


def _trial(now: datetime, asked: Asked) -> Envelope:
    """Return the envelope that the rows are tried out under, which nobody will ever see."""
    return Envelope(
        id=asked.command_id,
        key=asked.key,
        source="accounts",
        time=now,
        data={},
        correlation_id=asked.command_id,
    )
