"""Delegations: an administrator lends functions to a colleague, or takes them back (IDN-07, Part 2 no. 7)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from services.identity.delegations import end_delegation, possible_borrowers, status_of
from services.identity.entitlements import Pair, covers, grants_of, place_of, places_of
from services.identity.handlers.contact import asker
from services.identity.model import Delegation, User, change
from shared.contracts.functions import lendable_functions
from shared.contracts.identity import (
    DelegationStatus,
    FunctionsLent,
    LendFunctions,
    RevokeDelegation,
)
from shared.errors import NotFound, Rejected
from shared.history import note_change
from shared.ids import new_id
from shared.messaging.transaction import Transaction

_LATE = timedelta(minutes=5)  # how far a client's clock may be behind ours
_ADMINISTERING = "users.consent"


def lend_functions(command: LendFunctions, tx: Transaction) -> dict[str, Any]:
    """Share functions with a colleague from an instant to an instant, or for an absence."""
    lender = asker(tx)
    if lender.company is None:
        raise Rejected("no_company", "Only a company's administrators share functions.", "borrower")
    numbers = _lendable(command, grants_of(tx.session, [lender.id])[lender.id], tx)
    borrower = _borrower(command, lender, numbers, tx)
    starts, ends = _period(command, tx)
    delegation = Delegation(
        id=new_id("dlg"), company=lender.company, lender=lender.id, borrower=borrower.id,
        functions=" ".join(sorted(set(command.functions))), control_accounts=" ".join(sorted(numbers)),
        place=place_of(tx.session, numbers), starts_at=starts, ends_at=ends, until_return=command.until_return,
        comment=command.comment,
    )  # fmt: skip
    tx.session.add(delegation)
    lent = f"{delegation.functions} to {borrower.user_id}"
    note_change(tx, change, lender.id, "lends", None, lent)
    note_change(tx, change, borrower.id, "borrows", None, f"{delegation.functions} from {lender.user_id}")
    tx.publish(
        FunctionsLent(
            delegation=delegation.id, company=lender.company, functions=sorted(set(command.functions)),
            control_accounts=sorted(numbers), starts_at=starts, ends_at=ends, until_return=command.until_return,
            lender=lender.recipient, borrower=borrower.recipient,
        ),
        subject=delegation.id,
    )  # fmt: skip
    return {"delegation": delegation.id}


def revoke_delegation(command: RevokeDelegation, tx: Transaction) -> None:
    """End a delegation before its time."""
    delegation = tx.one(Delegation, command.delegation, "delegation")
    people = tx.session.scalars(
        sa.select(User.user_id).where(User.id.in_([delegation.lender, delegation.borrower]))
    )
    if tx.actor.user_id not in set(people) and not tx.actor.covers(_ADMINISTERING, delegation.control_path):
        raise NotFound("delegation", "delegation")
    if status_of(delegation, tx.now) is DelegationStatus.ENDED:
        raise Rejected("delegation_ended", "This delegation has ended already.", "delegation")
    end_delegation(delegation, "revoked", tx)


def _lendable(command: LendFunctions, grants: set[Pair], tx: Transaction) -> Collection[str]:
    """Return the control accounts over which the functions are lent; raises Rejected where they are not the lender's."""
    closed = sorted(set(command.functions) - lendable_functions())
    if closed:
        raise Rejected(
            "function_not_lendable", f"These functions cannot be shared: {', '.join(closed)}.", "functions"
        )
    own = {number for function, number in grants if function in command.functions}
    numbers = set(command.control_accounts or own)
    paths = places_of(tx.session, numbers)
    if not numbers or not all(
        covers(grants, function, paths[number]) for function in command.functions for number in numbers
    ):
        raise Rejected(
            "not_yours_to_lend",
            "You can share only what you may do yourself, where you may do it.",
            "functions",
        )
    return numbers


def _borrower(command: LendFunctions, lender: User, numbers: Collection[str], tx: Transaction) -> User:
    suitable = possible_borrowers(tx.session, lender, numbers)
    found = next((one for one in suitable if one.user_id == command.borrower), None)
    if found is None:
        raise Rejected(
            "borrower_not_suitable",
            "No administrator of your company with this user ID has access to these control accounts.",
            "borrower",
        )
    return found


def _period(command: LendFunctions, tx: Transaction) -> tuple[datetime, datetime]:
    starts = command.starts_at or tx.now
    longest = timedelta(days=tx.settings.longest_delegation_days)
    if starts < tx.now - _LATE:
        raise Rejected("starts_in_past", "A delegation cannot begin in the past.", "starts_at")
    starts = max(starts, tx.now)
    if command.ends_at is None and not command.until_return:
        raise Rejected(
            "end_required", "Say when the delegation ends, or that it ends on your return.", "ends_at"
        )
    ends = command.ends_at or starts + longest
    if ends <= starts:
        raise Rejected("ends_before_it_begins", "A delegation must end after it begins.", "ends_at")
    if ends > starts + longest:
        raise Rejected("delegation_too_long", f"A delegation lasts at most {longest.days} days.", "ends_at")
    return starts, ends
