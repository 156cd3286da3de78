"""Identity's share of the demonstration programme: its users, enrolled once."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from services.identity.enrolment import enrol_user
from services.identity.model import User
from services.identity.passwords import hash_password
from shared.actor import Party
from shared.database import Database


def load(database: Database, users: Iterable[Mapping[str, Any]], now: datetime) -> int:
    """Enrol the users who are missing and return how many those were.

    Each has ``user_id``, ``password``, ``name``, ``party``, ``company``, ``role`` and ``control_accounts``;
    ``party`` may be plain text. Raises Rejected, with nobody enrolled, where a party has no such role.
    """
    wanted = {user["user_id"]: user for user in users}
    with database.read() as session:
        missing = [user for user_id, user in wanted.items() if not session.get(User, user_id)]
    with ThreadPoolExecutor() as pool:
        hashes = list(pool.map(hash_password, (user["password"] for user in missing)))
    with database.write() as session:
        for user, password_hash in zip(missing, hashes, strict=True):
            facts = {name: value for name, value in user.items() if name not in ("password", "party")}
            enrol_user(session, **facts, party=Party(user["party"]), password_hash=password_hash, now=now)
    return len(missing)
