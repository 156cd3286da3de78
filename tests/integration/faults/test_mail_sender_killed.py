"""Whoever sends a mail is killed before the mail server has answered: nobody gets the mail twice, and an operator decides."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.notifications.model import Mail
from shared.database import Database
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation
from shared.testing.mail_server import MailServer
from shared.testing.processes import Process, cardwork
from tests.integration.faults.publishing import put
from tests.integration.test_mails import QUEUE, invitation

FIRST, SECOND = "first@example.org", "second@example.org"


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server that takes mails and does not say so."""
    made = MailServer()
    made.never_answer_text = True
    made.start()
    yield made
    made.stop()


@pytest.fixture
def sender(either: Installation, server: MailServer) -> Process:
    """The process that sends mails, now to this server."""
    name = "notifications-worker" if isinstance(either, DistributedInstallation) else "run"
    usual = either.processes[name]
    usual.stop()
    environment = {**usual._environment, "CARDWORK_MAIL_URL": server.url}
    either.processes[name] = Process(usual._words, environment, usual._output)
    either.processes[name].start()
    return either.processes[name]


@pytest.fixture
def store(either: Installation) -> Iterator[Database]:
    """The database of notifications."""
    database = Database(either.database_url_of("notifications"))
    yield database
    database.close()


def test_killed_before_the_answer(
    either: Installation, server: MailServer, sender: Process, store: Database
) -> None:
    put(either, QUEUE, [invitation(either, FIRST, "1111-1111")])
    eventually(lambda: server.accepted, describe="the mail server has the first mail")
    sender.kill()
    server.never_answer_text = False
    sender.start()
    put(either, QUEUE, [invitation(either, SECOND, "2222-2222")])
    eventually(lambda: to(server, SECOND), timeout=60, describe="the next mail is sent")
    assert len(to(server, FIRST)) == 1
    (id_,) = ids(either, "sending")

    let_time_pass(store, id_)
    assert eventually(lambda: ids(either, "uncertain"), timeout=60) == [id_]
    assert len(to(server, FIRST)) == 1

    cardwork("mail", "send-again", id_, environment=either.environment)
    eventually(lambda: len(to(server, FIRST)) == 2, describe="an operator had it sent again")
    first, again = to(server, FIRST)
    assert first == again


def to(server: MailServer, address: str) -> list[str]:
    """Return the Message-IDs of what the server has for an address."""
    return [
        str(mail["Message-ID"]) for mail in server.accepted if mail["To"].addresses[0].addr_spec == address
    ]


def ids(installation: Installation, state: str) -> list[str]:
    """Return the mails that an operator sees in a state."""
    listed = cardwork("mail", "list", "--state", state, environment=installation.environment)
    return [line.split()[0] for line in listed.splitlines()]


def let_time_pass(store: Database, id_: str) -> None:
    """Make it some minutes since the mail was taken up."""
    with store.write() as session:
        mail = session.get_one(Mail, id_)
        assert mail.claimed_at
        mail.claimed_at -= timedelta(minutes=10)
