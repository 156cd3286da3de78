"""How mails are found: those that are due, one that is being sent, and those that an operator looks for."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.notifications.model import Mail
from services.notifications.rules import ABANDONED_AFTER, State
from shared.errors import Rejected


def next_due(session: orm.Session, now: datetime) -> Mail | None:
    """Return the mail that has been due the longest, locked; those that another worker is taking up are passed over."""
    return session.scalars(
        sa.select(Mail)
        .where(Mail.state == State.WAITING, Mail.due_at <= now)
        .order_by(Mail.due_at, Mail.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()


def abandoned(session: orm.Session, now: datetime) -> Sequence[Mail]:
    """Return the mails, locked, whose sender has not told what became of them."""
    return session.scalars(
        sa.select(Mail)
        .where(Mail.state == State.SENDING, Mail.claimed_at <= now - ABANDONED_AFTER)
        .with_for_update(skip_locked=True)
    ).all()


def claimed(session: orm.Session, id_: str, claimed_at: datetime | None) -> Mail | None:
    """Return a mail, locked, as long as nobody has taken it up since then or decided to send it again."""
    undecided = Mail.state.in_((State.SENDING, State.UNCERTAIN))
    return session.scalars(
        sa.select(Mail).where(Mail.id == id_, Mail.claimed_at == claimed_at, undecided).with_for_update()
    ).first()


def list_mails(session: orm.Session, state: State | None, *, most: int) -> Sequence[Mail]:
    """Return the newest mails of a state, or of any, the oldest of them first."""
    statement = sa.select(Mail).order_by(Mail.id.desc()).limit(most)
    if state:
        statement = statement.where(Mail.state == state)
    return session.scalars(statement).all()[::-1]


def one_mail(session: orm.Session, id_: str) -> Mail:
    """Return a mail, locked; raises Rejected where there is none of this id."""
    mail = session.get(Mail, id_, with_for_update=True)
    if mail is None:
        raise Rejected("not_found", f"There is no mail {id_}.")
    return mail
