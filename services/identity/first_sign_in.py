"""stand-in until merged"""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import orm

from services.identity.model import AccessCode, User
from services.identity.passwords import hash_password
from services.identity.sessions import hash_token
from shared.settings import Settings


def expiry_of_codes(now: datetime, settings: Settings) -> datetime:
    return now + timedelta(days=settings.access_code_days)


def issue_access_code(
    session: orm.Session, user: User, *, phrase: str | None, now: datetime, settings: Settings
) -> str:
    code = secrets.token_hex(8)
    known = session.get(AccessCode, user.id)
    if known is None:
        known = AccessCode(user=user.id, phrase_hash=hash_password(phrase or ""), failures=0)
        session.add(known)
    elif phrase is not None:
        known.phrase_hash = hash_password(phrase)
    known.code_hash, known.expires_at = hash_token(code), expiry_of_codes(now, settings)
    return code
