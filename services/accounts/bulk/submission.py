"""A file that was submitted: in whose name its rows are carried out, how its request ends, and how it is taken back."""

import orjson
import sqlalchemy as sa

from services.accounts.bulk.item import Asked, request_of
from services.accounts.bulk.kinds import KINDS
from services.accounts.bulk.queries import counts_of
from services.accounts.model import Bulk, BulkItem
from shared.actor import Actor, Party
from shared.contracts.bulk import BulkState, ItemState
from shared.contracts.outcomes import CommandCompleted, CommandWithdrawn
from shared.contracts.types import Channel
from shared.messaging.transaction import Transaction


def asked_for(bulk: Bulk) -> Asked:
    """Return who submitted a file, with what was granted at that time."""
    function = KINDS[bulk.kind].function
    actor = Actor(
        user_id=bulk.actor or "",
        party=bulk.party or Party.SYSTEM,
        company=bulk.company,
        on_behalf_of=bulk.on_behalf_of,
        grants={function: frozenset(orjson.loads(bulk.granted or "[]"))},
    )
    return Asked(
        command_id=bulk.command_id or "",
        key=bulk.command_key or "",
        actor=actor,
        channel=bulk.channel or Channel.SYSTEM,
    )


def finish(bulk: Bulk, tx: Transaction) -> None:
    """End a file and its request: withdrawn where that left nothing done, else completed with how many rows ended how."""
    bulk.state, bulk.finished_at = BulkState.FINISHED, tx.now
    counts = counts_of(tx.session, [bulk.id])[bulk.id]
    request = request_of(asked_for(bulk), tx)
    about = {"command_id": request.envelope.id, "command": request.envelope.contract.name}
    if counts[ItemState.WITHDRAWN] and not counts[ItemState.CARRIED_OUT] + counts[ItemState.ACCEPTED]:
        request.publish(CommandWithdrawn(**about))
        return
    told = {state.value: count for state, count in counts.items() if state is not ItemState.WAITING}
    items = f"/api/v1/bulk/{bulk.id}/items"
    request.publish(CommandCompleted(**about, result={"bulk_id": bulk.id, **told, "items": items}))


def withdraw_bulk(command_id: str, tx: Transaction) -> bool:
    """Take back what is not yet carried out of the file that this command submitted (Part 2 no. 1)."""
    wanted = sa.select(Bulk).where(Bulk.command_id == command_id, Bulk.state == BulkState.RUNNING)
    bulk = tx.session.scalar(wanted.with_for_update())
    if bulk is None:
        return False
    waiting = sa.and_(BulkItem.bulk_id == bulk.id, BulkItem.state == ItemState.WAITING)
    tx.session.execute(
        sa.update(BulkItem).where(waiting).values(state=ItemState.WITHDRAWN, payload=None),
        execution_options={"synchronize_session": False},
    )
    finish(bulk, tx)
    return True
