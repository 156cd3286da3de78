"""Forgets what is of no more use: the rows of files that are posted, and files that were given up or broke off."""

from datetime import timedelta

import sqlalchemy as sa

from services.statements.model import file_import, import_finding, import_row
from shared.contracts.imports import ImportState
from shared.messaging.transaction import Transaction

_MOST = 20_000
_BROKEN_OFF = timedelta(days=1)


def forget_imports(tx: Transaction) -> int:
    """Remove some of these rows, and return how many; the file itself goes with its last one, unless it was posted."""
    state, uploaded_at = file_import.c.state, file_import.c.uploaded_at
    given_up = sa.or_(
        state == ImportState.DISCARDED,
        sa.and_(state == ImportState.RECEIVING, uploaded_at < tx.now - _BROKEN_OFF),
        sa.and_(state == ImportState.CHECKED, uploaded_at < tx.now - timedelta(days=tx.settings.bulk_days)),
    )
    gone = _remove(import_row, sa.or_(given_up, state == ImportState.POSTED), tx)
    if gone < _MOST:
        gone += _remove(import_finding, given_up, tx)
    if not gone:
        tx.session.execute(sa.delete(file_import).where(given_up))
    elif gone >= _MOST:
        tx.wake("forget-imports")
    return gone


def _remove(table: sa.Table, of: sa.ColumnElement[bool], tx: Transaction) -> int:
    imports = sa.select(file_import.c.id).where(of)
    some = sa.select(table.c.import_id, table.c.line).where(table.c.import_id.in_(imports)).limit(_MOST)
    keys = tx.session.execute(some).all()
    if not keys:
        return 0
    here = sa.tuple_(table.c.import_id, table.c.line).in_(sa.select(some.subquery()))
    tx.session.execute(sa.delete(table).where(here))
    return len(keys)
