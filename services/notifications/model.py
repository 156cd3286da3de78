"""The mails: each a row from the event that asked for it until it is forgotten, and what may become of it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import Mapped, mapped_column

from services.notifications.rules import STUCK, State, pause_after
from shared.database import Instant
from shared.errors import Rejected
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox


class Base(orm.DeclarativeBase):
    """What the tables of notifications have in common."""


class Mail(Base):
    """A mail to one of the recipients of an event, ``place`` saying which.

    ``letter`` is a sealed `Letter`: neither an address nor a code lies in clear. ``claimed_at`` tells one try from
    another.
    """

    __tablename__ = "mail"
    __table_args__ = (
        sa.UniqueConstraint("event_id", "place", name="mail_of_recipient"),
        sa.Index("mail_by_state", "state", "due_at"),
    )

    id: Mapped[str] = mapped_column(sa.String(31), primary_key=True)
    event_id: Mapped[str] = mapped_column(sa.String(200))
    place: Mapped[int] = mapped_column(sa.SmallInteger)
    template: Mapped[str] = mapped_column(sa.String(50))
    language: Mapped[str] = mapped_column(sa.String(2))
    letter: Mapped[str] = mapped_column(sa.Text)
    state: Mapped[str] = mapped_column(sa.String(10))
    attempts: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(Instant)
    claimed_at: Mapped[datetime | None] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    error: Mapped[str | None] = mapped_column(sa.Text)

    def claim(self, now: datetime) -> None:
        """Take it up; once this is committed nobody else does."""
        self.state, self.claimed_at = State.SENDING, now
        self.attempts += 1

    def succeed(self, now: datetime, letter: str) -> None:
        """Note that the mail server has accepted it; ``letter`` is what is worth keeping of it."""
        self.state, self.sent_at, self.error, self.letter = State.SENT, now, None, letter

    def put_off(self, now: datetime, why: str, *, most_attempts: int) -> None:
        """Have it tried again after a pause, unless it was tried too often."""
        if self.attempts >= most_attempts:
            self.fail(f"given up after {self.attempts} tries: {why}")
        else:
            self.state, self.error, self.due_at = State.WAITING, why, now + pause_after(self.attempts)

    def fail(self, why: str) -> None:
        """Note that it cannot be sent, whoever tries."""
        self.state, self.error = State.FAILED, why

    def doubt(self, why: str) -> None:
        """Note that nobody knows whether the mail server has it: sending it again may send it twice."""
        self.state, self.error = State.UNCERTAIN, why

    def send_again(self, now: datetime) -> None:
        """Have it tried as if it were new; raises Rejected unless it failed or is uncertain."""
        if self.state not in STUCK:
            raise Rejected(
                "not_stuck",
                f"The mail {self.id} is {self.state}: only failed and uncertain ones are sent again.",
            )
        self.state, self.attempts, self.due_at, self.error = State.WAITING, 0, now, None


define_inbox(Base.metadata)
define_outbox(Base.metadata)
