"""Notifications behind its queue, on SQLite and on PostgreSQL, with a clock that tests move and a mail server they spoil."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
import sqlalchemy as sa

from deploy.keys import make_keys
from services.notifications.model import Mail
from services.notifications.service import service
from shared.actor import Verifier
from shared.contracts import load_all
from shared.contracts.base import Message
from shared.database import Database
from shared.ids import new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, encode
from shared.observability import Metrics
from shared.sealing import Seal
from shared.service import Service
from shared.settings import Settings
from shared.testing.mail_server import MailServer

KEYS = make_keys()
SEAL = Seal(KEYS["sealing_key"])
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    return service


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server that runs."""
    made = MailServer()
    made.start()
    yield made
    made.stop()


@dataclass
class Notifications:
    """The service as the broker and the operator see it; ``now`` is the time that it thinks it is."""

    store: Database
    settings: Settings
    server: MailServer
    now: datetime = NOW
    _worker: Dispatcher | None = field(default=None)

    def new_worker(self) -> Dispatcher:
        verifier = Verifier(KEYS["assertion_public_key"], "notifications")
        return Dispatcher(
            service,
            self.store,
            settings=self.settings,
            verifier=verifier,
            clock=lambda: self.now,
            metrics=Metrics(),
        )

    def change(self, **settings: object) -> None:
        """Go on with other settings."""
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type]
        self._worker = None

    @property
    def worker(self) -> Dispatcher:
        self._worker = self._worker or self.new_worker()
        return self._worker

    def hear(self, *events: Message, ids: Sequence[str] = ()) -> list[str]:
        """Deliver events in one batch and return their ids."""
        given = list(ids) or [new_message_id() for _ in events]
        self.worker.process([delivery(e, id_, self.now) for e, id_ in zip(events, given, strict=True)])
        return given

    def work(self, **later: float) -> None:
        """Let time pass, a second at least, and do what is due."""
        self.now += timedelta(**later) if later else timedelta(seconds=1)
        self.worker.run_jobs()

    @property
    def rows(self) -> Sequence[Mail]:
        with self.store.read() as session:
            return session.scalars(sa.select(Mail).order_by(Mail.due_at, Mail.id)).all()

    @property
    def row(self) -> Mail:
        (row,) = self.rows
        return row

    @property
    def received(self) -> list[EmailMessage]:
        """What the mail server has accepted, in that order."""
        return self.server.accepted


def delivery(event: Message, id_: str, now: datetime) -> Delivery:
    """Return an event as the broker delivers it."""
    envelope = Envelope(
        id=id_, key=event.contract.key, source="identity", time=now, data=event, correlation_id=id_
    )
    return Delivery(queue="notifications.events", body=encode(envelope), tag=1, message_id=id_)


@pytest.fixture
def notifications(tables: str, server: MailServer) -> Iterator[Notifications]:
    """Notifications that sends by the mail server."""
    load_all()
    store = Database(tables, pool_size=10)
    settings = Settings(
        sealing_key=KEYS["sealing_key"],
        portal_url="https://cards.example.org/",
        mail_url=server.url,
        mail_sender="Cards <cards@example.org>",
    )
    yield Notifications(store, settings, server)
    store.close()
