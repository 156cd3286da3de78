"""Entitlements: given and taken at once, or once the principal consents to more of them."""

from typing import Any

from services.identity.enrolment import company_name
from services.identity.entitlements import (
    CONSENT,
    Pair,
    change_grants,
    check_pairs,
    covers,
    entitlements_of,
    grants_of,
    pairs_of,
    principals_of,
    user_to_change,
)
from services.identity.model import User
from services.identity.rules import functions_of
from shared.actor import EVERYWHERE, Party
from shared.contracts.identity import ChangeEntitlements, ConsentWanted, EntitlementsChanged
from shared.errors import Rejected
from shared.messaging.transaction import Transaction


def change_entitlements(command: ChangeEntitlements, tx: Transaction) -> dict[str, Any] | None:
    """Give and take functions at once, or once the principal consents to more of them (IDN-05)."""
    user = user_to_change(command.user, tx)
    if user.user_id == tx.actor.user_id:
        raise Rejected("own_rights", "Nobody changes their own rights.", "user")
    before = grants_of(tx.session, [user.id])[user.id]
    after = _wanted(command, user, before)
    check_pairs(user, before ^ after, tx)
    if after == before:
        raise Rejected("nothing_changes", "This user may do just that already.", "user")
    given, taken = entitlements_of(after - before), entitlements_of(before - after)
    if given and not tx.approved and _needs_consent(user, before):
        _ask_for_consent(user, after - before, tx)
        return None
    user.role = command.role or user.role
    change_grants(user, before, after, tx)
    tx.publish(
        EntitlementsChanged(
            user=user.id, company=user.company, given=given, taken=taken, recipient=user.recipient
        ),
        subject=user.id,
    )
    return {"given": len(given), "taken": len(taken)}


def _wanted(command: ChangeEntitlements, user: User, before: set[Pair]) -> set[Pair]:
    after = set(before)
    if command.role:
        numbers = [EVERYWHERE] if user.company is None else command.control_accounts
        if not numbers:
            raise Rejected(
                "control_account_required",
                "Say over which control accounts the role is given.",
                "control_accounts",
            )
        after = {
            (function, number)
            for function in functions_of(command.role, Party(user.party))
            for number in numbers
        }
    elif command.control_accounts:
        raise Rejected(
            "role_required", "Control accounts are given together with a role.", "control_accounts"
        )
    return (after | pairs_of(command.give)) - pairs_of(command.take)


def _needs_consent(user: User, grants: set[Pair]) -> bool:
    """Whether more rights take a principal's consent: for a company's users, but for a principal."""
    return user.company is not None and not covers(grants, CONSENT, user.place)


def _ask_for_consent(user: User, more: set[Pair], tx: Transaction) -> None:
    principals = principals_of(tx.session, user)
    if not principals:
        raise Rejected(
            "nobody_can_consent",
            "More rights need the consent of the company's principal administrator, and it has none who can sign in.",
            "user",
        )
    tx.publish(
        ConsentWanted(
            user=user.id,
            company=user.company or "",
            company_name=company_name(tx.session, user) or "",
            user_name=user.name,
            given=entitlements_of(more),
            recipients=[principal.recipient for principal in principals],
        ),
        subject=user.id,
    )
    tx.await_approval(CONSENT)
