"""What the clock starts: going through submitted files, a little at a time, and forgetting those that nobody submitted.

Each row has a transaction of its own, in which it gets its outcome together with what it changes: whoever dies leaves
the row as it was, and several workers share a file without doing a row twice.
"""

import time
from datetime import datetime, timedelta

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy import orm

from services.accounts.bulk.item import Became, carry_out
from services.accounts.bulk.kinds import KINDS
from services.accounts.bulk.submission import asked_for, finish
from services.accounts.bulk.upload import forget
from services.accounts.model import Bulk, BulkItem
from shared.contracts.base import Message
from shared.contracts.bulk import BulkState, ItemState
from shared.contracts.schema import tolerant
from shared.database import DatabaseAway
from shared.errors import Unavailable
from shared.messaging.transaction import Transaction
from shared.service import Transact

# A worker handles no command meanwhile, so that nobody's cancellation waits longer for a file of a hundred thousand.
LONGEST_RUN_SECONDS = 0.25
_MOST_FILES = 20
_MOST_ROWS = 100

log = structlog.get_logger()


def carry_out_bulks(transact: Transact) -> int:
    """Carry out some rows of every submitted file, and return how many; each file gets its share of the time."""
    with transact() as tx:
        running = list(
            tx.session.scalars(
                sa.select(Bulk.id)
                .where(Bulk.state == BulkState.RUNNING)
                .order_by(Bulk.submitted_at)
                .limit(_MOST_FILES)
            )
        )
    started, done = time.monotonic(), 0
    for place, bulk_id in enumerate(running, 1):
        done += _go_on(bulk_id, transact, started + LONGEST_RUN_SECONDS * place / len(running))
    return done


def forget_unsubmitted_bulks(tx: Transaction) -> int:
    """Remove a file that nobody submitted within CARDWORK_BULK_DAYS, or whose check broke off a day ago."""
    left = sa.and_(
        Bulk.state == BulkState.CHECKED, Bulk.uploaded_at < tx.now - timedelta(days=tx.settings.bulk_days)
    )
    broken_off = sa.and_(Bulk.state == BulkState.CHECKING, Bulk.uploaded_at < tx.now - timedelta(days=1))
    old = sa.select(Bulk.id).where(sa.or_(left, broken_off)).order_by(Bulk.id).limit(1)
    bulk_id = tx.session.scalar(old.with_for_update(skip_locked=True))
    if bulk_id is None:
        return 0
    forget(tx.session.connection(), bulk_id)
    return 1


def _go_on(bulk_id: str, transact: Transact, until: float) -> int:
    with transact() as tx:
        numbers = _due(bulk_id, tx)
    done = 0
    for number in numbers:
        done += _deal_with(bulk_id, number, transact)
        if time.monotonic() > until:
            return done
    with transact() as tx:
        _finish_if_done(bulk_id, tx)
    return done


def _due(bulk_id: str, tx: Transaction) -> list[int]:
    waiting = sa.select(BulkItem.number).where(
        BulkItem.bulk_id == bulk_id, BulkItem.state == ItemState.WAITING, _is_due(tx.now)
    )
    return list(tx.session.scalars(waiting.order_by(BulkItem.number).limit(_MOST_ROWS)))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(BulkItem.due_at.is_(None), BulkItem.due_at <= now)


def _deal_with(bulk_id: str, number: int, transact: Transact) -> bool:
    """Give a row its outcome, unless another worker does or did; one that a lock was lost for comes again later."""
    try:
        with transact() as tx:
            item = _locked(bulk_id, number, tx.session)
            if item is None:
                return False
            bulk = tx.session.get_one(Bulk, bulk_id)
            kind = KINDS[bulk.kind]
            message: Message = tolerant(kind.item).load(orjson.loads(item.payload or "{}"))
            _settle(item, carry_out(message, kind.handle, asked_for(bulk), tx))
    except DatabaseAway:
        raise
    except Unavailable as error:
        return _put_off(bulk_id, number, str(error), transact)
    except Exception:
        log.exception("bulk item failed", bulk_id=bulk_id, row=number)
        return _fail(bulk_id, number, "internal_error", "A fault on our side; it has been noted.", transact)
    return True


def _locked(bulk_id: str, number: int, session: orm.Session) -> BulkItem | None:
    it = sa.and_(BulkItem.bulk_id == bulk_id, BulkItem.number == number, BulkItem.state == ItemState.WAITING)
    return session.scalar(sa.select(BulkItem).where(it).with_for_update(skip_locked=True))


def _settle(item: BulkItem, became: Became) -> None:
    item.state, item.code, item.field, item.message = became.state, became.code, became.field, became.message
    item.account_id = item.account_id or became.account_id
    item.payload = item.due_at = None


def _put_off(bulk_id: str, number: int, why: str, transact: Transact) -> bool:
    with transact() as tx:
        item = _locked(bulk_id, number, tx.session)
        if item is None:
            return False
        item.attempts += 1
        if item.attempts < tx.settings.attempts:
            item.due_at = tx.now + timedelta(seconds=tx.settings.retry_seconds * 2 ** (item.attempts - 1))
            log.warning("bulk item put off", bulk_id=bulk_id, row=number, attempts=item.attempts, why=why)
            return False
    return _fail(bulk_id, number, "unavailable", f"It was tried {item.attempts} times: {why}.", transact)


def _fail(bulk_id: str, number: int, code: str, message: str, transact: Transact) -> bool:
    with transact() as tx:
        item = _locked(bulk_id, number, tx.session)
        if item is not None:
            _settle(item, Became(state=ItemState.FAILED, code=code, message=message))
    return item is not None


def _finish_if_done(bulk_id: str, tx: Transaction) -> None:
    """Report the command as carried out where no row waits any more, neither due nor put off nor in others' hands."""
    waits = sa.exists().where(BulkItem.bulk_id == bulk_id, BulkItem.state == ItemState.WAITING)
    running = sa.and_(Bulk.id == bulk_id, Bulk.state == BulkState.RUNNING)
    bulk = tx.session.scalar(sa.select(Bulk).where(running, ~waits).with_for_update(of=Bulk))
    if bulk is not None:
        finish(bulk, tx)
