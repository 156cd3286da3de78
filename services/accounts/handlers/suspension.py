"""Suspending card accounts, and lifting that (ACC-14)."""

from datetime import timedelta
from typing import Any

from services.accounts.holds import close_hold, note_put, put_in_force, resume_if_free
from services.accounts.model import CardAccount, Hold, of_request, open_holds
from services.accounts.rules import may_lift, origin_of, suspension_period
from services.accounts.settings import settings_at
from shared.contracts.accounts import (
    SuspendAccount,
    UnsuspendAccount,
)
from shared.contracts.outcomes import RequestStatus
from shared.errors import Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction


def suspend_account(command: SuspendAccount, tx: Transaction) -> dict[str, Any]:
    """Put a hold of the asker's origin, in place of one that it has already (ACC-14)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    start, end = suspension_period(
        effective_at=command.effective_at, ends_at=command.ends_at, now=tx.now,
        longest=timedelta(days=settings_at(account.structure, tx).suspension_cap_days),
    )  # fmt: skip
    origin = origin_of(tx.actor.party)
    for hold in open_holds(tx.session, [account.id]):
        if hold.origin is origin:
            close_hold(hold, tx, Rejected("superseded", "Another suspension took its place."))
    hold = Hold(
        id=new_id("hold"), account_id=account.id, origin=origin, effective_at=start, ends_at=end, in_force=start <= tx.now,
        comment=command.comment, **of_request(tx),
    )  # fmt: skip
    tx.session.add(hold)
    note_put(hold, tx)
    if hold.in_force:
        put_in_force(account, hold, tx)
    else:
        resume_if_free(account, tx)
        tx.finish_later(RequestStatus.SCHEDULED)
    return {"hold_id": hold.id}


def unsuspend_account(command: UnsuspendAccount, tx: Transaction) -> dict[str, Any]:
    """Lift the holds that the asker's origin may lift; the card is usable when none is left (Part 2 no. 10)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    holds = open_holds(tx.session, [account.id])
    mine = [hold for hold in holds if may_lift(origin_of(tx.actor.party), hold.origin)]
    if not holds:
        raise Rejected("not_suspended", "There is no hold on this card account.", "account_id")
    if not mine:
        owner = holds[-1].origin.replace("_", " ")
        raise Rejected(
            "hold_of_higher_origin", f"The hold was put by the {owner}, who alone can lift it.", "account_id"
        )
    for hold in mine:
        close_hold(hold, tx, Rejected("lifted", "The suspension was lifted before it began."))
    resume_if_free(account, tx)
    return {"lifted": len(mine), "status": account.status}
