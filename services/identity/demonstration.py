"""Identity's share of the demonstration programme: its companies, and its users who have signed in before, made once."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.identity.enrolment import enrol_user
from services.identity.model import Company, ControlAccount, User
from services.identity.passwords import hash_password
from shared.actor import Party
from shared.contracts.identity import UserStatus
from shared.database import Database


def load(
    database: Database,
    users: Iterable[Mapping[str, Any]],
    now: datetime,
    *,
    companies: Iterable[Mapping[str, Any]] = (),
    structure: Mapping[str, str] | None = None,
) -> int:
    """Enrol the users who are missing and return how many those were.

    Each has ``user_id``, ``password`` and the facts that `enrol_user` asks for; ``party`` may be plain text, and
    ``own_accounts`` may be left out.
    ``companies`` are rows of that table, ``structure`` has the path of each control account; those that are known stay as
    they are. Raises Rejected, with nobody enrolled, where a party has no such role.
    """
    wanted = {user["user_id"]: user for user in users}
    with database.read() as session:
        known = set(session.scalars(sa.select(User.user_id).where(User.user_id.in_(wanted))))
    missing = [user for user_id, user in wanted.items() if user_id not in known]
    with ThreadPoolExecutor() as pool:
        hashes = list(pool.map(hash_password, (user["password"] for user in missing)))
    with database.write() as session:
        for company in companies:
            if not session.get(Company, company["number"]):
                session.add(Company(**company, enrolled_at=now))
        for number, path in (structure or {}).items():
            if not session.get(ControlAccount, number):  # it may have moved since
                session.add(ControlAccount(number=number, path=path))
        session.flush()
        for facts, password_hash in zip(missing, hashes, strict=True):
            given = {
                name: value for name, value in facts.items() if name not in ("user_id", "password", "party")
            }
            user = enrol_user(session, **given, party=Party(facts["party"]), now=now)
            user.user_id, user.password_hash = facts["user_id"], password_hash
            user.status = UserStatus.ACTIVE
    return len(missing)
