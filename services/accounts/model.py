"""Control accounts, card accounts, cards and holds, with the transitions that they allow."""

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from shared.contracts.accounts import AccountStatus, CancelReason, HoldOrigin, PaymentStatus, Product
from shared.contracts.structure import Level
from shared.contracts.types import Channel
from shared.database import Instant, code_point_text
from shared.errors import Rejected
from shared.folding import fold_name
from shared.history import define_history
from shared.messaging.held import define_held
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox


class Base(orm.DeclarativeBase):
    """The tables of the accounts service."""


def _word(kind: type) -> sa.Enum:
    """Store an enumeration by its value, as text, so that a new value needs no change of a type."""
    return sa.Enum(
        kind,
        native_enum=False,
        length=40,
        values_callable=lambda e: [m.value for m in e],
        validate_strings=True,
    )


class ControlAccount(Base):
    """A node of a company's structure; ``path`` holds the numbers from the master down to itself, joined by ``/``."""

    __tablename__ = "control_account"

    number: Mapped[str] = mapped_column(sa.String(15), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    level: Mapped[Level] = mapped_column(_word(Level))
    parent: Mapped[str | None] = mapped_column(sa.ForeignKey("control_account.number"), index=True)
    path: Mapped[str] = mapped_column(code_point_text(250), index=True)
    company_name: Mapped[str] = mapped_column(sa.String(100))
    company_number: Mapped[str] = mapped_column(sa.String(20), index=True)
    contact: Mapped[str | None] = mapped_column(sa.String(100))

    @property
    def control_path(self) -> tuple[str, ...]:
        """The numbers from the master down to this node."""
        return tuple(self.path.split("/"))


class CardAccount(Base):
    """A billing unit with one live card at a time.

    Its status is in no index: few rows are passed over in order of name, and an update that touches no index is cheap.
    """

    __tablename__ = "card_account"
    __table_args__ = (
        sa.Index("card_account_by_name", "name_key", "id"),
        sa.Index("card_account_by_control_account", "control_account", "name_key", "id"),
        sa.Index("card_account_by_payment_status", "payment_status", "name_key", "id"),
        sa.Index(
            "card_account_by_part_of_name",
            "names",
            postgresql_using="gin",
            postgresql_ops={"names": "gin_trgm_ops"},
        ).ddl_if(dialect="postgresql"),
    )

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    control_account: Mapped[str] = mapped_column(sa.ForeignKey("control_account.number"))
    product: Mapped[Product] = mapped_column(_word(Product))
    status: Mapped[AccountStatus] = mapped_column(_word(AccountStatus), default=AccountStatus.ACTIVE)
    payment_status: Mapped[PaymentStatus] = mapped_column(_word(PaymentStatus), default=PaymentStatus.CURRENT)
    first_name: Mapped[str] = mapped_column(sa.String(100))
    last_name: Mapped[str] = mapped_column(sa.String(100))
    embossed_name: Mapped[str] = mapped_column(code_point_text(26), index=True)
    name_key: Mapped[str] = mapped_column(code_point_text(210))
    names: Mapped[str] = mapped_column(code_point_text(250))
    address_line_1: Mapped[str | None] = mapped_column(sa.String(60))
    address_line_2: Mapped[str | None] = mapped_column(sa.String(60))
    address_line_3: Mapped[str | None] = mapped_column(sa.String(60))
    city: Mapped[str | None] = mapped_column(sa.String(60))
    postcode: Mapped[str | None] = mapped_column(sa.String(12))
    country: Mapped[str | None] = mapped_column(sa.String(2))
    business_phone: Mapped[str | None] = mapped_column(sa.String(32))
    home_phone: Mapped[str | None] = mapped_column(sa.String(32))
    other_phone: Mapped[str | None] = mapped_column(sa.String(32))
    email: Mapped[str | None] = mapped_column(sa.String(254))
    employee_id: Mapped[str | None] = mapped_column(sa.String(10), index=True)
    cost_centre: Mapped[str | None] = mapped_column(sa.String(10), index=True)
    universal_number: Mapped[str | None] = mapped_column(sa.String(25), index=True)
    balance: Mapped[int | None] = mapped_column(sa.BigInteger)
    currency: Mapped[str | None] = mapped_column(sa.String(3))
    last_used_on: Mapped[date | None]
    nil_since: Mapped[date | None]
    standing_as_of: Mapped[datetime | None] = mapped_column(Instant)
    cancel_reason: Mapped[CancelReason | None] = mapped_column(_word(CancelReason))
    cancelled_at: Mapped[datetime | None] = mapped_column(Instant)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    version: Mapped[int] = mapped_column(default=1)

    structure: Mapped[ControlAccount] = orm.relationship(lazy="raise", viewonly=True)

    @property
    def control_path(self) -> tuple[str, ...]:
        """The numbers of the control accounts above it, the master first."""
        return self.structure.control_path

    def rename(self, first_name: str, last_name: str, embossed_name: str) -> None:
        """Set the holder's name, the key by which it is found, and all of it, of which a part is found."""
        self.first_name, self.last_name, self.embossed_name = first_name, last_name, embossed_name
        self.name_key = fold_name(f"{last_name} {first_name}")
        self.names = fold_name(f"{last_name} {first_name} {embossed_name}")

    def cancel(self, *, reason: CancelReason, now: datetime) -> None:
        """Cancel for good (ACC-10); raises Rejected where the account is cancelled or expired already."""
        self.must_be_open()
        self.status = AccountStatus.CANCELLED
        self.cancel_reason = reason
        self.cancelled_at = now

    def suspend(self) -> None:
        """Make unusable while a hold is in force."""
        if self.status is AccountStatus.ACTIVE:
            self.status = AccountStatus.SUSPENDED

    def resume(self) -> None:
        """Make usable again: no hold is left. A cancelled account stays cancelled (Part 2 no. 10)."""
        if self.status is AccountStatus.SUSPENDED:
            self.status = AccountStatus.ACTIVE

    def must_be_open(self) -> None:
        """Raise Rejected where nothing can be changed any more."""
        if self.status is AccountStatus.CANCELLED:
            raise Rejected(
                "account_cancelled",
                "This card account is cancelled, and a cancelled card is never revived. The issuer can open a new one.",
                "account_id",
            )
        if self.status is AccountStatus.EXPIRED:
            raise Rejected("account_expired", "This card account has expired.", "account_id")


class Card(Base):
    """A plastic: its number encrypted, found by a keyed hash, shown by its last four digits."""

    __tablename__ = "card"
    __table_args__ = (
        sa.Index(
            "card_live_of_account",
            "account_id",
            unique=True,
            postgresql_where=sa.text("live"),
            sqlite_where=sa.text("live"),
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.ForeignKey("card_account.id"))
    number_encrypted: Mapped[bytes] = mapped_column(sa.LargeBinary)
    number_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    last_four: Mapped[str] = mapped_column(sa.String(4))
    issued_on: Mapped[date]
    expires_on: Mapped[date]
    live: Mapped[bool]

    account: Mapped[CardAccount] = orm.relationship(lazy="raise")


class Hold(Base):
    """A reason why an account is unusable, or will be: who put it there, from when, until when (ACC-14)."""

    __tablename__ = "hold"
    __table_args__ = (
        sa.Index(
            "hold_open_of_account",
            "account_id",
            postgresql_where=sa.text("closed_at is null"),
            sqlite_where=sa.text("closed_at is null"),
        ),
        sa.Index(
            "hold_open_of_command",
            "command_id",
            postgresql_where=sa.text("closed_at is null"),
            sqlite_where=sa.text("closed_at is null"),
        ),
        sa.Index(
            "hold_due",
            "effective_at",
            "ends_at",
            postgresql_where=sa.text("closed_at is null"),
            sqlite_where=sa.text("closed_at is null"),
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(31), primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.ForeignKey("card_account.id"))
    origin: Mapped[HoldOrigin] = mapped_column(_word(HoldOrigin))
    effective_at: Mapped[datetime] = mapped_column(Instant)
    ends_at: Mapped[datetime] = mapped_column(Instant)
    in_force: Mapped[bool]
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    comment: Mapped[str | None] = mapped_column(sa.String(500))
    command_id: Mapped[str] = mapped_column(sa.String(36))
    command_key: Mapped[str] = mapped_column(sa.String(100))
    actor: Mapped[str] = mapped_column(sa.String(64))
    on_behalf_of: Mapped[str | None] = mapped_column(sa.String(64))
    channel: Mapped[Channel] = mapped_column(_word(Channel))

    account: Mapped[CardAccount] = orm.relationship(lazy="raise")

    @property
    def is_scheduled(self) -> bool:
        """Whether it has yet to begin."""
        return not self.in_force and self.closed_at is None


change = define_history(Base.metadata)
define_inbox(Base.metadata)
define_outbox(Base.metadata)
define_held(Base.metadata)


def open_holds(session: orm.Session, account_ids: Sequence[str]) -> list[Hold]:
    """Return the holds of these accounts that are in force or yet to begin, in order of origin and start."""
    found = session.scalars(sa.select(Hold).where(Hold.account_id.in_(account_ids), Hold.closed_at.is_(None)))
    return sorted(
        found, key=lambda hold: (hold.account_id, list(HoldOrigin).index(hold.origin), hold.effective_at)
    )
