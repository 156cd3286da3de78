"""Control accounts, card accounts, cards and holds, with the transitions that they allow."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from services.accounts.lifecycle import OPEN_CARDS, AccountAct, CardAct, account_after, card_after
from services.accounts.rules import LONGEST_NAMES, searched_names
from shared.actor import Party
from shared.contracts.accounts import (
    AccountStatus,
    CancelReason,
    HoldOrigin,
    PaymentStatus,
    Product,
    StatementDelivery,
)
from shared.contracts.bulk import BulkKind, BulkState, ItemState
from shared.contracts.cards import CardState
from shared.contracts.structure import BillingModel, FieldUse, Level, Liability, StatementOption
from shared.contracts.types import Channel
from shared.database import Instant, code_point_text
from shared.folding import LONGEST_NAME_KEY
from shared.history import define_history
from shared.messaging.held import define_held
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox
from shared.messaging.transaction import Transaction


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
    # Settings of its own; what is null is inherited. The products are one text, separated by spaces.
    products: Mapped[str | None] = mapped_column(sa.String(250))
    liability: Mapped[Liability | None] = mapped_column(_word(Liability))
    billing_cycle_day: Mapped[int | None]
    renewal_months: Mapped[int | None]
    employee_id: Mapped[FieldUse | None] = mapped_column(_word(FieldUse))
    cost_centre: Mapped[FieldUse | None] = mapped_column(_word(FieldUse))
    universal_number: Mapped[FieldUse | None] = mapped_column(_word(FieldUse))
    statement_option: Mapped[StatementOption | None] = mapped_column(_word(StatementOption))
    billing_model: Mapped[BillingModel | None] = mapped_column(_word(BillingModel))
    billing_currency: Mapped[str | None] = mapped_column(sa.String(3))
    suspension_cap_days: Mapped[int | None]
    version: Mapped[int] = mapped_column(default=1)

    @property
    def id(self) -> str:
        """What its history goes by."""
        return self.number

    @property
    def control_path(self) -> tuple[str, ...]:
        """The numbers from the master down to this node."""
        return tuple(self.path.split("/"))


class CardAccount(Base):
    """A billing unit with one live card at a time.

    What seldom changes stands beside the order of name below a control account, to be looked through without the rows.
    """

    __tablename__ = "card_account"
    __table_args__ = (
        sa.Index("card_account_by_name", "name_key", "id"),
        sa.Index(
            "card_account_by_control_account",
            "control_account",
            "name_key",
            "id",
            postgresql_include=["names", "embossed_name", "cost_centre", "status"],
        ),
        sa.Index("card_account_by_payment_status", "control_account", "payment_status", "name_key", "id"),
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
    name_key: Mapped[str] = mapped_column(code_point_text(LONGEST_NAME_KEY))
    names: Mapped[str] = mapped_column(code_point_text(LONGEST_NAMES))
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
    chosen_delivery: Mapped[StatementDelivery | None] = mapped_column(_word(StatementDelivery))
    delivery_terms_at: Mapped[datetime | None] = mapped_column(Instant)
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
        self.name_key, self.names = searched_names(first_name, last_name, embossed_name)

    def hang_under(self, node: ControlAccount) -> None:
        """Let it hang under another basic control account (ACC-15)."""
        self.control_account = node.number
        orm.attributes.set_committed_value(self, "structure", node)

    def cancel(self, *, reason: CancelReason, now: datetime) -> None:
        """Cancel (ACC-10); raises Rejected where the account is cancelled or expired already."""
        self._become(AccountAct.CANCEL)
        self.cancel_reason = reason
        self.cancelled_at = now

    def reinstate(self, *, held: bool) -> None:
        """Bring back what was cancelled by mistake (ACC-13), as unusable as before where a hold is left."""
        self._become(AccountAct.REINSTATE)
        self.cancel_reason = self.cancelled_at = None
        if held:
            self.suspend()

    def suspend(self) -> None:
        """Make unusable while a hold is in force."""
        self._become(AccountAct.SUSPEND)

    def resume(self) -> None:
        """Make usable again: no hold is left. A cancelled account stays cancelled (Part 2 no. 10)."""
        self._become(AccountAct.RESUME)

    def expire(self) -> None:
        """End with the last card."""
        self._become(AccountAct.EXPIRE)

    def must_be_open(self) -> None:
        """Raise Rejected where nothing can be changed any more."""
        account_after(self.status, AccountAct.CHANGE)

    def _become(self, act: AccountAct) -> None:
        self.status = account_after(self.status, act)


# How many live card accounts hang under each basic control account: the sum of its rows. Each transaction appends what it
# changes, so that none waits for another, and a job folds many rows into one.
live_accounts = sa.Table(
    "live_accounts",
    Base.metadata,
    sa.Column("control_account", sa.String(15), primary_key=True),
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("difference", sa.Integer, nullable=False),
)


class Card(Base):
    """A plastic: its number encrypted, found by a keyed hash, shown by its last four digits.

    ``sequence`` tells the plastics of one number apart: 1 is the first, as which a number is given out only once.
    ``live`` marks the card that its account is shown by, ``due_on`` the day on which the clock looks at it next.
    """

    __tablename__ = "card"
    __table_args__ = (
        sa.UniqueConstraint("number_hash", "sequence"),
        sa.Index(
            "card_live_of_account",
            "account_id",
            unique=True,
            postgresql_where=sa.text("live"),
            sqlite_where=sa.text("live"),
        ),
        sa.Index("card_of_account", "account_id"),
        sa.Index(
            "card_due",
            "due_on",
            postgresql_where=sa.text("due_on is not null"),
            sqlite_where=sa.text("due_on is not null"),
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    account_id: Mapped[str] = mapped_column(sa.ForeignKey("card_account.id"))
    number_encrypted: Mapped[bytes] = mapped_column(sa.LargeBinary)
    number_hash: Mapped[str] = mapped_column(sa.String(64))
    sequence: Mapped[int]
    last_four: Mapped[str] = mapped_column(sa.String(4))
    issued_on: Mapped[date]
    expires_on: Mapped[date]
    state: Mapped[CardState] = mapped_column(_word(CardState))
    since: Mapped[datetime] = mapped_column(Instant)
    live: Mapped[bool]
    due_on: Mapped[date | None]

    account: Mapped[CardAccount] = orm.relationship(lazy="raise")

    @property
    def is_open(self) -> bool:
        """Whether it is, or may yet be, of use."""
        return self.state in OPEN_CARDS

    def become(self, act: CardAct, now: datetime) -> None:
        """Change its state; raises Rejected where that cannot be."""
        self.state, self.since = card_after(self.state, act), now


class OfRequest:
    """What is left of a request that is not finished: enough to go on with it, and to name it in the history."""

    command_id: Mapped[str] = mapped_column(sa.String(36), sort_order=1)
    command_key: Mapped[str] = mapped_column(sa.String(100), sort_order=1)
    actor: Mapped[str] = mapped_column(sa.String(64), sort_order=1)
    on_behalf_of: Mapped[str | None] = mapped_column(sa.String(64), sort_order=1)
    channel: Mapped[Channel] = mapped_column(_word(Channel), sort_order=1)
    account_id: Mapped[str]

    def request(self, tx: Transaction) -> Transaction:
        """Return a transaction, in the same batch, that goes on with the request."""
        return tx.continuing(
            command_id=self.command_id, key=self.command_key, actor=self.actor, on_behalf_of=self.on_behalf_of,
            channel=self.channel, subject=self.account_id,
        )  # fmt: skip


def of_request(tx: Transaction) -> dict[str, Any]:
    """Return the columns of `OfRequest` for the request that a transaction handles, or goes on with."""
    envelope = tx.envelope
    return {
        "command_id": envelope.correlation_id, "command_key": envelope.key, "actor": envelope.actor,
        "on_behalf_of": envelope.on_behalf_of, "channel": envelope.channel,
    }  # fmt: skip


class Hold(OfRequest, Base):
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

    account: Mapped[CardAccount] = orm.relationship(lazy="raise")

    @property
    def is_scheduled(self) -> bool:
        """Whether it has yet to begin."""
        return not self.in_force and self.closed_at is None


class OrderAct(StrEnum):
    """What the issuer's processor can be asked to do."""

    OPEN = "open"
    REPLACE = "replace"
    RENEW = "renew"
    REINSTATE = "reinstate"
    SHIP = "ship"
    ACTIVATE = "activate"
    CANCEL = "cancel"


MAKING = (OrderAct.OPEN, OrderAct.REPLACE, OrderAct.RENEW, OrderAct.REINSTATE)


class Order(OfRequest, Base):
    """What the issuer's processor is still to do; the row goes when that is done and its consequences are written.

    ``id`` is the reference that it goes by there. ``card_id`` is the card that it is about or that it makes, ``facts``
    what else the processor has to know.
    """

    __tablename__ = "issuer_order"

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    act: Mapped[OrderAct] = mapped_column(_word(OrderAct))
    account_id: Mapped[str] = mapped_column(
        sa.String(30), index=True
    )  # which is not there yet while it is opened
    card_id: Mapped[str | None] = mapped_column(sa.String(30))
    facts: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    placed_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant, index=True)
    attempts: Mapped[int] = mapped_column(default=0)

    @property
    def keeps_number(self) -> bool:
        """Whether the card that it makes has the number of the one that it replaces."""
        return bool(self.facts and self.facts.get("replaces"))


class Cancellation(OfRequest, Base):
    """A cancellation that is to come (ACC-12), one of an account at most; the row goes when its time has come."""

    __tablename__ = "cancellation"
    __table_args__ = (sa.Index("ix_cancellation_command_id", "command_id"),)

    account_id: Mapped[str] = mapped_column(sa.ForeignKey("card_account.id"), primary_key=True)
    effective_at: Mapped[datetime] = mapped_column(Instant, index=True)
    reason: Mapped[CancelReason] = mapped_column(_word(CancelReason))


class Bulk(Base):
    """An uploaded file: its rows are its items, and what they ask for is done when one command submits it (Part 2 no. 8).

    ``control_account`` is the lowest above all that the rows name. The columns from ``command_id`` on are those of the
    submission: who asked, and over which control accounts the function was theirs at that time.
    """

    __tablename__ = "bulk"
    __table_args__ = (
        sa.Index(
            "bulk_running",
            "submitted_at",
            postgresql_where=sa.text("state = 'running'"),
            sqlite_where=sa.text("state = 'running'"),
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    kind: Mapped[BulkKind] = mapped_column(_word(BulkKind))
    state: Mapped[BulkState] = mapped_column(_word(BulkState))
    rows: Mapped[int] = mapped_column(default=0)
    control_account: Mapped[str | None] = mapped_column(sa.ForeignKey("control_account.number"), index=True)
    uploaded_by: Mapped[str] = mapped_column(sa.String(64), index=True)
    uploaded_for: Mapped[str | None] = mapped_column(sa.String(64))
    uploaded_at: Mapped[datetime] = mapped_column(Instant)
    command_id: Mapped[str | None] = mapped_column(sa.String(36), unique=True)
    command_key: Mapped[str | None] = mapped_column(sa.String(100))
    actor: Mapped[str | None] = mapped_column(sa.String(64))
    on_behalf_of: Mapped[str | None] = mapped_column(sa.String(64))
    party: Mapped[Party | None] = mapped_column(_word(Party))
    company: Mapped[str | None] = mapped_column(sa.String(20))
    granted: Mapped[str | None] = mapped_column(sa.Text)
    channel: Mapped[Channel | None] = mapped_column(_word(Channel))
    submitted_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class BulkItem(Base):
    """A row of a file: what it asks for until that is dealt with, and from then on its one outcome.

    ``subject`` is what no two rows of a file may share: the account, or the whole row where that names none.
    """

    __tablename__ = "bulk_item"
    __table_args__ = (
        sa.Index("bulk_item_by_state", "bulk_id", "state", "number"),
        sa.Index("bulk_item_by_subject", "bulk_id", "subject"),
    )

    bulk_id: Mapped[str] = mapped_column(sa.ForeignKey("bulk.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[ItemState] = mapped_column(_word(ItemState))
    subject: Mapped[str | None] = mapped_column(sa.String(64))
    account_id: Mapped[str | None] = mapped_column(sa.String(30))
    payload: Mapped[str | None] = mapped_column(sa.Text)
    code: Mapped[str | None] = mapped_column(sa.String(60))
    field: Mapped[str | None] = mapped_column(sa.String(60))
    message: Mapped[str | None] = mapped_column(sa.Text)
    attempts: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    due_at: Mapped[datetime | None] = mapped_column(Instant)


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


def cards_of(session: orm.Session, account_ids: Sequence[str]) -> list[Card]:
    """Return every card of these accounts, the newest first."""
    found = sa.select(Card).where(Card.account_id.in_(account_ids)).order_by(Card.id.desc())
    return list(session.scalars(found))


def orders_of(session: orm.Session, account_id: str) -> list[Order]:
    """Return what the issuer's processor is still to do for an account, the oldest first."""
    found = sa.select(Order).where(Order.account_id == account_id).order_by(Order.placed_at, Order.id)
    return list(session.scalars(found))
