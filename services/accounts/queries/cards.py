"""Reads of cards, and of what is about to change on a card account."""

from datetime import datetime
from typing import TypeVar

from services.accounts.model import Cancellation, OfRequest, OrderAct, cards_of, open_holds, orders_of
from services.accounts.queries.card_accounts import one_account
from services.accounts.vault import mask
from shared.contracts.accounts import AccountStatus
from shared.contracts.base import Page, catalogue
from shared.contracts.cards import (
    CardState,
    CardView,
    ListCards,
    ListPendingChanges,
    PendingChange,
    PendingKind,
)
from shared.contracts.outcomes import RequestStatus
from shared.messaging.transaction import Reader

V = TypeVar("V")
_KINDS = {
    OrderAct.REPLACE: PendingKind.REPLACEMENT,
    OrderAct.RENEW: PendingKind.RENEWAL,
    OrderAct.REINSTATE: PendingKind.REINSTATEMENT,
    OrderAct.SHIP: PendingKind.SHIPMENT,
    OrderAct.ACTIVATE: PendingKind.ACTIVATION,
}


def list_cards(query: ListCards, reader: Reader) -> Page[CardView]:
    """Return every card of an account, the newest first, their numbers masked."""
    account, _ = one_account(query.account_id, reader)
    views = [
        CardView(
            card_id=card.id, card_number=mask(card.last_four), state=card.state, since=card.since,
            issued_on=card.issued_on, expires_on=card.expires_on,
            usable=card.state is CardState.ACTIVE and account.status is AccountStatus.ACTIVE,
        )
        for card in cards_of(reader.session, [account.id])
    ]  # fmt: skip
    return _whole(views)


def list_pending_changes(query: ListPendingChanges, reader: Reader) -> Page[PendingChange]:
    """Return holds that begin or end, a cancellation to come, and what the issuer's processor is still to do."""
    account, _ = one_account(query.account_id, reader)
    found: list[PendingChange] = []
    for hold in open_holds(reader.session, [account.id]):
        if not hold.in_force:
            found.append(_pending(hold, PendingKind.SUSPENSION, hold.effective_at, withdrawable=_waits(hold)))
        found.append(_pending(hold, PendingKind.END_OF_SUSPENSION, hold.ends_at))
    cancellation = reader.session.get(Cancellation, account.id)
    if cancellation:
        found.append(
            _pending(
                cancellation, PendingKind.CANCELLATION, cancellation.effective_at,
                withdrawable=_waits(cancellation),
            )
        )  # fmt: skip
    found.sort(key=_due)
    at_work = [order for order in orders_of(reader.session, account.id) if order.act in _KINDS]
    return _whole([*(_pending(order, _KINDS[order.act], None) for order in at_work), *found])


def _waits(asked: OfRequest) -> bool:
    """Return whether the request waits for this; that of a file ended when each of its rows had been taken up."""
    return not catalogue[asked.command_key].bulk


def _pending(
    asked: OfRequest, kind: PendingKind, due_at: datetime | None, *, withdrawable: bool = False
) -> PendingChange:
    return PendingChange(
        kind=kind, status=RequestStatus.SCHEDULED if due_at else RequestStatus.PROCESSING, due_at=due_at,
        withdrawable=withdrawable, actor=asked.actor, on_behalf_of=asked.on_behalf_of, channel=asked.channel,
        command_id=asked.command_id,
    )  # fmt: skip


def _due(change: PendingChange) -> datetime:
    assert change.due_at
    return change.due_at


def _whole(data: list[V]) -> Page[V]:
    """Return a list that is never long as its only page."""
    return Page(data=data, has_more=False, next_cursor=None, total=len(data))
