"""Sessions after sign-in: check many at once, keep those alive that are used, list a user's own, end them (IDN-08)."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity import rules
from services.identity.model import Session, User
from services.identity.refusals import SessionOver
from services.identity.signed_in import SignedIn, find_sessions
from services.identity.tokens import hash_token, new_token
from shared.actor import Actor
from shared.contracts.access import OwnSession
from shared.contracts.identity import UserStatus
from shared.database import Database
from shared.ids import new_id


def start_session(
    session: orm.Session, user: str, now: datetime, *, address: str | None = None, agent: str | None = None
) -> str:
    """Sign a user in and return the token that only its bearer will know; sessions that ended long ago are dropped."""
    forgotten = now - rules.ENDED_SESSIONS_KEPT
    session.execute(sa.delete(Session).where(Session.user == user, Session.last_used_at < forgotten))
    token = new_token()
    session.add(
        Session(
            session_id=new_id("ses"),
            token_hash=hash_token(token),
            user=user,
            started_at=now,
            last_used_at=now,
            address=address,
            agent=agent,
        )
    )
    session.flush()
    return token


def check_sessions(
    database: Database, tokens: Sequence[str], *, now: datetime, lifetime: timedelta, used: bool = True
) -> list[SignedIn | None]:
    """Return the session of each token, None where it is unknown, expired or revoked.

    Being checked is being used, which lets a session live on (IDN-08), unless it is said that nobody does.
    """
    hashes = [hash_token(token) for token in tokens]
    with database.read() as session:
        found = find_sessions(session, set(hashes), now=now, lifetime=lifetime)
    due = {
        signed_in.session_id
        for signed_in in found.values()
        if signed_in.expires_at - lifetime <= now - rules.LAST_USE_STEP
    }
    if due and used:
        with database.write() as session:
            kept = _keep_alive(session, due, now=now, lifetime=lifetime)
        for token_hash, signed_in in found.items():
            if signed_in.session_id in kept:
                found[token_hash] = replace(signed_in, expires_at=now + lifetime)
    return [found.get(token_hash) for token_hash in hashes]


def _keep_alive(
    session: orm.Session, session_ids: Collection[str], *, now: datetime, lifetime: timedelta
) -> set[str]:
    """Write down that these are used, and return those for which nobody else just did."""
    due = (
        sa.select(Session.session_id)
        .where(
            Session.session_id.in_(sorted(session_ids)),
            Session.last_used_at > now - lifetime,
            Session.last_used_at <= now - rules.LAST_USE_STEP,
            Session.revoked_at.is_(None),
        )
        # What another process holds, it is writing down just now; waiting for it in another order could deadlock.
        .with_for_update(skip_locked=True)
    )
    ids = set(session.scalars(due))
    session.execute(sa.update(Session).where(Session.session_id.in_(ids)).values(last_used_at=now))
    return ids


def revoke_session(session: orm.Session, session_id: str, now: datetime) -> None:
    """End a session at once; one that has ended stays as it is."""
    ending = sa.update(Session).where(Session.session_id == session_id, Session.revoked_at.is_(None))
    session.execute(ending.values(revoked_at=now))


def revoke_sessions_of(session: orm.Session, user: str, now: datetime, *, but: str | None = None) -> None:
    """End every session of a user at once, but for one where that is given."""
    ending = sa.update(Session).where(Session.user == user, Session.revoked_at.is_(None))
    if but:
        ending = ending.where(Session.session_id != but)
    session.execute(ending.values(revoked_at=now))


def revoke_own_session(session: orm.Session, user: str, session_id: str, now: datetime) -> None:
    """End a session of this user; anybody else's stays as it is."""
    ending = sa.update(Session).where(Session.session_id == session_id, Session.user == user)
    session.execute(ending.where(Session.revoked_at.is_(None)).values(revoked_at=now))


def own_sessions(
    session: orm.Session, user: str, current: str, *, now: datetime, lifetime: timedelta
) -> list[OwnSession]:
    """Return a user's good sessions, the newest first."""
    good = Session.user == user, Session.revoked_at.is_(None), Session.last_used_at > now - lifetime
    found = session.scalars(
        sa.select(Session).where(*good).order_by(Session.started_at.desc(), Session.session_id.desc())
    )
    return [
        OwnSession(
            id=one.session_id,
            started_at=one.started_at,
            last_used_at=one.last_used_at,
            address=one.address,
            agent=one.agent,
            current=one.session_id == current,
        )
        for one in found
    ]


def signed_in_user(session: orm.Session, actor: Actor) -> User:
    """Return the user whose session this is; raises SessionOver, as an assertion outlives its session for a moment."""
    good = Session.session_id == actor.session_id, Session.revoked_at.is_(None)
    asking = sa.select(User).join(Session, Session.user == User.id)
    user = session.scalar(asking.where(*good, User.status == UserStatus.ACTIVE))
    if user is None:
        raise SessionOver
    return user
