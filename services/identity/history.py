"""Which fields of a user and of a company have a history: every one that a person could ask about (Part 2 no. 9)."""

from collections.abc import Mapping
from typing import Any

from services.identity.model import Company, User, change
from shared.history import note_changes
from shared.messaging.transaction import Transaction

_OF_USERS = frozenset({"user_id", "name", "role", "email", "phone", "language", "status", "vouched_for"})
_OF_COMPANIES = frozenset({"name", "language", "second_factor_required", "vouching_required", "approvals"})


def record_user(tx: Transaction, user: User, before: Mapping[str, Any]) -> None:
    """Write a line for each field of a user that differs from before."""
    note_changes(tx, change, user, before, _OF_USERS)


def record_company(tx: Transaction, company: Company, before: Mapping[str, Any]) -> None:
    """Write a line for each field of a company that differs from before."""
    note_changes(tx, change, company, before, _OF_COMPANIES)
