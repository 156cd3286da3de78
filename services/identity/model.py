"""Identity's tables: companies and users, what each was granted, holds and lends, who is signed in, and who tries to be."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from services.identity import rules
from shared.actor import EVERYWHERE
from shared.contracts.identity import Recipient, UserStatus
from shared.contracts.types import Language
from shared.database import Instant
from shared.errors import Rejected
from shared.history import define_history
from shared.messaging.held import define_held
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox


class Base(orm.DeclarativeBase):
    """What identity's tables have in common."""


class ControlAccount(Base):
    """Where a control account lies: what identity has heard of accounts' structure, to know what lies below what.

    ``version`` is that of the control account when it told where it lies: of two such events the higher counts.
    """

    __tablename__ = "control_account"

    number: Mapped[str] = mapped_column(sa.String(15), primary_key=True)
    path: Mapped[str] = mapped_column(sa.String(50))
    version: Mapped[int] = mapped_column(default=1)


class Company(Base):
    """A client company (IDN-01); ``approvals`` are the commands that a second person has to approve."""

    __tablename__ = "company"

    number: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    control_account: Mapped[str] = mapped_column(sa.String(15), unique=True)
    language: Mapped[str] = mapped_column(sa.String(2))
    second_factor_required: Mapped[bool] = mapped_column(default=False)
    vouching_required: Mapped[bool] = mapped_column(default=False)
    approvals: Mapped[str] = mapped_column(sa.Text, default="")
    enrolled_at: Mapped[datetime] = mapped_column(Instant)

    @property
    def id(self) -> str:
        """What its history goes by."""
        return self.number

    @property
    def control_path(self) -> tuple[str, ...]:
        """Where it lies: at its master control account."""
        return (self.control_account,)


class User(Base):
    """A person who may sign in once enrolled; ``company`` is the client's number, None for the issuer's people.

    ``id`` names the user from the first day, ``user_id`` is what the user chose to sign in with. ``place`` is the path of
    the lowest control account above everything that was granted: whoever administers users there sees this one.
    ``active_since`` is when the user enrolled or was last reactivated.
    """

    __tablename__ = "user"
    __table_args__ = (
        sa.Index("ix_user_user_id", "user_id", unique=True),
        sa.Index("ix_user_company", "company"),
        sa.Index("ix_user_name", "name", "id"),
    )

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    user_id: Mapped[str | None] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(100))
    party: Mapped[str] = mapped_column(sa.String(10))
    company: Mapped[str | None] = mapped_column(sa.ForeignKey("company.number", name="fk_user_company"))
    role: Mapped[str] = mapped_column(sa.String(50))
    place: Mapped[str] = mapped_column(sa.String(50))
    email: Mapped[str] = mapped_column(sa.String(254))
    phone: Mapped[str | None] = mapped_column(sa.String(32))
    language: Mapped[str] = mapped_column(sa.String(2))
    status: Mapped[str] = mapped_column(sa.String(10))
    vouched_for: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str | None] = mapped_column(sa.String(200))
    enrolled_at: Mapped[datetime] = mapped_column(Instant)
    active_since: Mapped[datetime | None] = mapped_column(Instant)
    last_signed_in_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def control_path(self) -> tuple[str, ...]:
        """The control accounts above everything that the user may do, the master first."""
        return tuple(self.place.split("/")) if self.place else ()

    @property
    def recipient(self) -> Recipient:
        """The user as the addressee of a mail."""
        return Recipient(name=self.name, email=self.email, language=Language(self.language))

    def unused_since(self) -> datetime:
        """Return from when the days without sign-in count (IDN-04)."""
        known = (self.enrolled_at, self.active_since, self.last_signed_in_at)
        return max(instant for instant in known if instant)

    def may_sign_in(self, now: datetime, unused: timedelta) -> bool:
        """Return whether the user is active, and not gone ``unused`` without signing in, marked already or not."""
        return self.status == UserStatus.ACTIVE and now - self.unused_since() < unused

    def begin_activity(self, now: datetime) -> None:
        """Let the user sign in from now on: after enrolment, or when the help desk reactivates (IDN-04)."""
        self.status = UserStatus.ACTIVE
        self.active_since = now

    def must_be(self, status: UserStatus) -> None:
        """Raise Rejected where the user does not stand so."""
        if self.status != status:
            raise Rejected(f"user_is_{self.status}", f"This user is {self.status}.", "user")


class Grant(Base):
    """A function over a control account and all that lies below it, or over everything (IDN-05)."""

    __tablename__ = "grant"

    user: Mapped[str] = mapped_column(sa.ForeignKey("user.id", name="fk_grant_user"), primary_key=True)
    function: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    control_account: Mapped[str] = mapped_column(sa.String(15), primary_key=True)

    @property
    def everywhere(self) -> bool:
        """Whether it holds for the whole programme."""
        return self.control_account == EVERYWHERE


class OwnAccount(Base):
    """A card account that a user holds, and the control account under which it hangs (IDN-06).

    ``placed`` is the version of the card account that told of the latest transfer.
    """

    __tablename__ = "own_account"
    __table_args__ = (
        sa.Index("ix_own_account_user", "user"),
        sa.Index("ix_own_account_control_account", "control_account"),
    )

    account_id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    user: Mapped[str] = mapped_column(sa.ForeignKey("user.id", name="fk_own_account_user"))
    control_account: Mapped[str] = mapped_column(sa.String(15))
    placed: Mapped[int] = mapped_column(default=0)


class AccessCode(Base):
    """The code with which a user enrols, once, together with the secret phrase (IDN-02); neither is kept in clear."""

    __tablename__ = "access_code"
    __table_args__ = (sa.Index("ix_access_code_code_hash", "code_hash", unique=True),)

    user: Mapped[str] = mapped_column(sa.ForeignKey("user.id", name="fk_access_code_user"), primary_key=True)
    phrase_hash: Mapped[str] = mapped_column(sa.String(200))
    code_hash: Mapped[str | None] = mapped_column(sa.String(64))
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    failures: Mapped[int] = mapped_column(default=0)


class PasswordReset(Base):
    """A request for a new password, as typed (sealed), and the single-use link that came of it (IDN-03)."""

    __tablename__ = "password_reset"
    __table_args__ = (
        sa.Index("ix_password_reset_token_hash", "token_hash", unique=True),
        sa.Index("ix_password_reset_asked_at", "asked_at"),
    )

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    asked_for: Mapped[str | None] = mapped_column(sa.Text)
    asked_at: Mapped[datetime] = mapped_column(Instant)
    user: Mapped[str | None] = mapped_column(sa.ForeignKey("user.id", name="fk_password_reset_user"))
    token_hash: Mapped[str | None] = mapped_column(sa.String(64))
    expires_at: Mapped[datetime | None] = mapped_column(Instant)


class SecondFactor(Base):
    """A user's generator of one-time passwords (RFC 6238), its secret sealed; in use once confirmed."""

    __tablename__ = "second_factor"

    user: Mapped[str] = mapped_column(
        sa.ForeignKey("user.id", name="fk_second_factor_user"), primary_key=True
    )
    secret: Mapped[str] = mapped_column(sa.Text)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    last_step: Mapped[int] = mapped_column(sa.BigInteger, default=0)


class RecoveryCode(Base):
    """A code that stands in once for the second factor."""

    __tablename__ = "recovery_code"

    user: Mapped[str] = mapped_column(
        sa.ForeignKey("user.id", name="fk_recovery_code_user"), primary_key=True
    )
    code_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)


class Session(Base):
    """A signed-in user; the token itself is known to its bearer alone (IDN-08)."""

    __tablename__ = "session"
    __table_args__ = (
        sa.Index("ix_session_token_hash", "token_hash", unique=True),
        sa.Index("ix_session_user", "user"),
    )

    session_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    token_hash: Mapped[str] = mapped_column(sa.String(64))
    user: Mapped[str] = mapped_column(sa.ForeignKey("user.id", name="fk_session_user"))
    started_at: Mapped[datetime] = mapped_column(Instant)
    last_used_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    address: Mapped[str | None] = mapped_column(sa.String(45))
    agent: Mapped[str | None] = mapped_column(sa.String(200))


class Device(Base):
    """A browser or program from which a user has signed in before; strangers' failures do not close it out."""

    __tablename__ = "device"
    __table_args__ = (sa.Index("ix_device_user", "user"),)

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user: Mapped[str] = mapped_column(sa.ForeignKey("user.id", name="fk_device_user"))
    last_used_at: Mapped[datetime] = mapped_column(Instant)


class SignInAttempts(Base):
    """The failed sign-ins under one user ID, existing or not, or on one known device of a user.

    Kept apart from users, under a hash, so that the two look the same: people type passwords as user IDs.
    """

    __tablename__ = "sign_in_attempts"
    __table_args__ = (sa.Index("ix_sign_in_attempts_last_at", "last_at"),)

    key_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
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

    def take_back(self, now: datetime) -> None:
        """Uncount an attempt that was no failure, yet no success either."""
        self.failures -= 1
        self.open_at = now


class Delegation(Base):
    """Functions over control accounts that one administrator lends to another for a time (IDN-07).

    ``functions`` and ``control_accounts`` are lists in one text, separated by spaces.
    """

    __tablename__ = "delegation"
    __table_args__ = (
        sa.Index("ix_delegation_lender", "lender"),
        sa.Index("ix_delegation_borrower", "borrower"),
        sa.Index("ix_delegation_company", "company"),
    )

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    company: Mapped[str] = mapped_column(sa.ForeignKey("company.number", name="fk_delegation_company"))
    lender: Mapped[str] = mapped_column(sa.ForeignKey("user.id", name="fk_delegation_lender"))
    borrower: Mapped[str] = mapped_column(sa.ForeignKey("user.id", name="fk_delegation_borrower"))
    functions: Mapped[str] = mapped_column(sa.Text)
    control_accounts: Mapped[str] = mapped_column(sa.Text)
    place: Mapped[str] = mapped_column(sa.String(50))
    starts_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)
    until_return: Mapped[bool]
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    comment: Mapped[str | None] = mapped_column(sa.String(500))

    @property
    def control_path(self) -> tuple[str, ...]:
        """The control accounts above all that is lent, the master first."""
        return tuple(self.place.split("/"))


change = define_history(Base.metadata)
inbox = define_inbox(Base.metadata)
outbox = define_outbox(Base.metadata)
held = define_held(Base.metadata)
