"""What becomes, in the end, of the rows that were accepted and take effect later: a suspension begins, or is lifted."""

import sqlalchemy as sa

from services.accounts.model import Bulk, BulkItem
from shared.contracts.base import Message
from shared.contracts.bulk import ItemState
from shared.contracts.outcomes import CommandCompleted, CommandFailed, CommandRejected, CommandWithdrawn
from shared.messaging.transaction import Transaction

_STATES: dict[type[Message], ItemState] = {
    CommandCompleted: ItemState.CARRIED_OUT,
    CommandRejected: ItemState.REFUSED,
    CommandWithdrawn: ItemState.WITHDRAWN,
    CommandFailed: ItemState.FAILED,
}


def settle_item(outcome: Message, tx: Transaction) -> None:
    """Give a row its last outcome; a list from the screen has no rows, and its account's history alone tells it."""
    state = _STATES.get(type(outcome))
    if state is None:
        return
    bulk = sa.select(Bulk.id).where(Bulk.command_id == tx.envelope.correlation_id).scalar_subquery()
    accepted = sa.and_(
        BulkItem.bulk_id == bulk,
        BulkItem.account_id == tx.envelope.subject,
        BulkItem.state == ItemState.ACCEPTED,
    )
    told = {name: getattr(outcome, name, None) for name in ("code", "field", "message")}
    tx.session.execute(
        sa.update(BulkItem).where(accepted).values(state=state, **told),
        execution_options={"synchronize_session": False},
    )
