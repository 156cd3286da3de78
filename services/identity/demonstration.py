"""Identity's share of the demonstration programme: its users, enrolled once."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.identity.enrolment import enrol_user
from services.identity.model import User
from shared.actor import Party
from shared.database import Database


def load(database: Database, users: Iterable[Mapping[str, Any]], now: datetime) -> int:
    """Enrol the users who are missing and return how many those were.

    Each has ``user_id``, ``password``, ``name``, ``party``, ``company``, ``role`` and ``control_accounts``, as
    `enrol_user` takes them; ``party`` may be plain text.
    """
    wanted = {user["user_id"]: user for user in users}
    with database.read() as session:
        known = {user_id for user_id in wanted if session.get(User, user_id)}
    # One transaction each: hashing takes its time, and nobody else could write to SQLite meanwhile.
    for user_id in wanted.keys() - known:
        with database.write() as session:
            enrol_user(session, **{**wanted[user_id], "party": Party(wanted[user_id]["party"])}, now=now)
    return len(wanted) - len(known)
