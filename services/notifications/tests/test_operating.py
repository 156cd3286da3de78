"""What an operator sees of mails and decides about them, by the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cardwork
from deploy.keys import write_secret
from services.notifications.tests.conftest import KEYS, Notifications
from services.notifications.tests.events import invited, password_changed, recipient
from shared.errors import Rejected
from shared.testing.processes import cardwork as run_to_its_end


@pytest.fixture
def environment(tables: str, tmp_path: Path) -> dict[str, str]:
    """The settings of the operator's process, which finds the same database."""
    if tables.startswith("sqlite"):
        folder = tmp_path / "keys"
        folder.mkdir()
        for name, value in KEYS.items():
            write_secret(folder / name, value)
        return {"CARDWORK_DATA_DIRECTORY": str(tmp_path)}
    return {
        "CARDWORK_DATABASE_URL": tables,
        "CARDWORK_BROKER_URL": "amqp://nobody.invalid/",
        "CARDWORK_SEALING_KEY": KEYS["sealing_key"],
    }


def run(environment: dict[str, str], *words: str) -> Result:
    return CliRunner().invoke(cardwork, ["mail", *words], env=environment)


def listed(environment: dict[str, str], *words: str) -> list[str]:
    done = run(environment, "list", *words)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_mails_are_listed_with_what_became_of_them_and_masked_addresses(
    notifications: Notifications, environment: dict[str, str]
) -> None:
    assert listed(environment) == []
    notifications.hear(invited())
    notifications.work()
    notifications.server.answer_recipient = "550 no such mailbox"
    notifications.hear(password_changed(recipient(email="bob@example.org")))
    notifications.work()
    sent, failed = listed(environment)
    assert "sent " in sent
    assert "access_code (en)  a•••@example.org" in sent
    assert "failed" in failed
    assert "b•••@example.org" in failed
    assert failed.endswith("550 no such mailbox")
    assert listed(environment, "--state", "failed") == [failed]
    assert listed(environment, "--most", "1") == [failed]
    assert "anna@example.org" in "".join(listed(environment, "--show"))


def test_a_failed_mail_is_sent_again_on_an_operators_word(
    notifications: Notifications, environment: dict[str, str]
) -> None:
    notifications.server.answer_recipient = "550 no such mailbox"
    notifications.hear(password_changed())
    notifications.work()
    notifications.server.answer_recipient = None
    done = run(environment, "send-again", notifications.row.id)
    assert done.output == f"{notifications.row.id}: was failed, will be sent\n"
    notifications.now = max(notifications.now, notifications.row.due_at)
    notifications.work()
    assert notifications.row.state == "sent"
    assert len(notifications.received) == 1


def test_a_mail_that_was_sent_is_not_sent_again(
    notifications: Notifications, environment: dict[str, str]
) -> None:
    notifications.hear(invited())
    notifications.work()
    done = run(environment, "send-again", notifications.row.id)
    assert isinstance(done.exception, Rejected)
    assert notifications.row.state == "sent"


def test_a_worker_that_is_not_told_where_mails_go_says_so_and_does_not_start() -> None:
    environment = {
        "CARDWORK_DATABASE_URL": "postgresql+psycopg://nobody.invalid/{service}",
        "CARDWORK_BROKER_URL": "amqp://nobody.invalid/",
        **{f"CARDWORK_{name.upper()}": value for name, value in KEYS.items()},
    }
    with pytest.raises(
        AssertionError, match=r"cardwork: CARDWORK_MAIL_URL is not set; it says where mails go"
    ):
        run_to_its_end("work", "notifications", environment=environment)
    with pytest.raises(AssertionError, match="notifications answers no questions; it has a worker alone"):
        run_to_its_end("serve", "notifications", environment=environment)


def test_a_mail_that_there_is_not_is_named(notifications: Notifications, environment: dict[str, str]) -> None:
    done = run(environment, "send-again", "mail_of_nobody")
    assert str(done.exception) == "There is no mail mail_of_nobody."
