"""Identity's tables: who there is, what each was granted, who is signed in, and who tries to."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from services.identity import rules
from shared.database import Instant
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox


class Base(orm.DeclarativeBase):
    """What identity's tables have in common."""


class User(Base):
    """A person who may sign in while ``active``; ``company`` is the client's number, None for the issuer's people."""

    __tablename__ = "user"

    user_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    party: Mapped[str] = mapped_column(sa.String(10))
    company: Mapped[str | None] = mapped_column(sa.String(20))
    role: Mapped[str] = mapped_column(sa.String(50))
    password_hash: Mapped[str] = mapped_column(sa.String(200))
    active: Mapped[bool]
    enrolled_at: Mapped[datetime] = mapped_column(Instant)


class Grant(Base):
    """A function over a control account and all that lies below it, or over everything (IDN-05)."""

    __tablename__ = "grant"

    user_id: Mapped[str] = mapped_column(
        sa.ForeignKey("user.user_id", name="fk_grant_user"), primary_key=True
    )
    function: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    control_account: Mapped[str] = mapped_column(sa.String(15), primary_key=True)


class Session(Base):
    """A signed-in user; the token itself is known to its bearer alone (IDN-08)."""

    __tablename__ = "session"
    __table_args__ = (
        sa.Index("ix_session_token_hash", "token_hash", unique=True),
        sa.Index("ix_session_user_id", "user_id"),
    )

    session_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("user.user_id", name="fk_session_user"))
    started_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class SignInAttempts(Base):
    """The failed sign-ins under one user ID, existing or not; kept apart from users so that the two look the same."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (sa.Index("ix_sign_in_attempts_last_at", "last_at"),)

    user_id_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(Instant)
    open_at: Mapped[datetime] = mapped_column(Instant)

    def begin(self, now: datetime) -> timedelta | None:
        """Count an attempt as failed until it succeeds, so that guesses at the same time all count.

        Returns how long to wait where it comes too soon; it does not count then.
        """
        if now < self.open_at:
            return self.open_at - now
        if now - self.last_at > rules.FAILURES_KEPT:
            self.failures = 0
        self.failures += 1
        self.last_at = now
        self.open_at = now + rules.pause_after(self.failures)
        return None


inbox = define_inbox(Base.metadata)
outbox = define_outbox(Base.metadata)
