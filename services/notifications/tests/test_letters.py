"""Every event is told in every language, with all that it has to say."""

import tomllib
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from services.notifications import reactions
from services.notifications.letters import TEMPLATES, Letter, write
from services.notifications.post import message_of
from services.notifications.service import service
from services.notifications.tests.conftest import NOW, Notifications
from services.notifications.tests.events import CODE, password_changed, recipient, told
from services.notifications.words import words_of
from shared.contracts.types import Language
from shared.database import sqlite_url
from shared.migrations import upgrade

KINDS = sorted(told(recipient()))


@pytest.fixture
def tables(tmp_path: Path) -> str:
    """A database; which one does not matter here."""
    file = sqlite_url(tmp_path / "notifications.sqlite")
    upgrade(service, file)
    return file


def text_of(message: EmailMessage) -> str:
    return str(message.get_content()).replace("\r\n", "\n")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_says_what_happened_in_the_readers_language(
    notifications: Notifications, kind: str, language: Language
) -> None:
    reader = recipient("Zoë Müller-Žižek", "zoe@example.org", language)
    event, facts = told(reader)[kind]
    notifications.hear(event)
    notifications.work()
    assert [(row.state, row.error) for row in notifications.rows] == [("sent", None)] * len(
        notifications.rows
    )
    assert notifications.received
    for message in notifications.received:
        text = text_of(message)
        assert message["Content-Language"] == language
        assert message["Subject"].strip()
        assert [fact for fact in facts if fact not in text] == []
        assert "{" not in text + message["Subject"]
        assert "  " not in text
        assert "\n\n\n" not in text
        assert words_of(language).instant(NOW.isoformat()) in text
    assert "Zoë Müller-Žižek" in text_of(notifications.received[-1]) + text_of(notifications.received[0])


def test_every_event_that_is_reacted_to_is_among_these() -> None:
    assert {type(event) for event, _ in told(recipient()).values()} == set(service.reactions)
    assert {f.__name__ for f in service.reactions.values()} == {
        n for n in vars(reactions) if n.startswith("mail_")
    }


def test_every_template_is_written_in_every_language() -> None:
    for folder in TEMPLATES.iterdir():
        texts = {file.stem: file.read_text(encoding="utf-8") for file in folder.iterdir()}
        assert set(texts) == set(Language), folder.name
        assert len(set(texts.values())) == len(Language), folder.name


def test_a_function_has_words_in_every_language_or_in_none() -> None:
    files = [TEMPLATES.parent / "words" / f"{language}.toml" for language in Language]
    functions = [set(tomllib.loads(file.read_text(encoding="utf-8"))["functions"]) for file in files]
    assert all(found == functions[0] for found in functions)


@pytest.mark.parametrize(
    ("language", "written"),
    [
        (Language.ENGLISH, "1 August 2026 at 07:05 UTC"),
        (Language.FRENCH, "1er août 2026 à 07:05 UTC"),
        (Language.SPANISH, "1 de agosto de 2026 a las 07:05 UTC"),
        (Language.GERMAN, "1. August 2026 um 07:05 UTC"),
    ],
)
def test_dates_have_the_form_of_the_language_and_are_in_utc(language: Language, written: str) -> None:
    assert words_of(language).instant("2026-08-01T09:05:59+02:00") == written


def test_functions_with_the_same_reach_stand_in_one_line() -> None:
    pairs = [{"function": f, "control_account": a} for f in ("accounts.view", "x.y") for a in ("2", "1", "2")]
    pairs.append({"function": "roles.view", "control_account": "*"})
    assert words_of(Language.ENGLISH).grouped(pairs) == [
        (["see card accounts", "x.y"], "control accounts 1, 2"),
        (["see roles and functions"], "the whole programme"),
    ]


def test_headers_tell_who_when_and_that_no_person_wrote(notifications: Notifications) -> None:
    notifications.hear(password_changed())
    notifications.work()
    (message,) = notifications.received
    assert message["From"] == "Cards <cards@example.org>"
    assert message["To"] == "Anna Administrator <anna@example.org>"
    assert message["Date"].datetime == notifications.now
    assert message["Message-ID"] == f"<{notifications.row.id}@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    (envelope,) = notifications.server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("cards@example.org", ["anna@example.org"])


@pytest.mark.parametrize(
    "name",
    [
        'Eve\r\nBcc: all@example.org\r\n\r\nBuy"',
        "Eve\u2028\u0085Bcc: all@example.org",
        'Eve" <all@example.org>, "',
        "Eve, all@example.org",
        "=?utf-8?q?Eve=0ABcc=3A_all=40example=2Eorg?=",
        "\x00\x1b[2J",
    ],
)
def test_a_name_adds_no_header_no_recipient_and_no_paragraph(name: str) -> None:
    """The contracts let no control character through; a name that came by another way does no harm either."""
    facts = {"company": name, "access_code": CODE, "expires_at": NOW.isoformat()}
    letter = Letter(name=name, email="anna@example.org", happened_at=NOW.isoformat(), facts=facts)
    written = write("access_code", Language.ENGLISH, letter, portal_url="https://cards.example.org")
    written = replace(written, subject=f"{written.subject} {name}")
    made = message_of(
        "mail_1", written, letter, language="en", sender="Cards <cards@example.org>", now=NOW
    ).as_bytes(policy=policy.SMTP)
    message = message_from_bytes(made, policy=policy.default)
    assert [address.addr_spec for address in message["To"].addresses] == ["anna@example.org"]
    assert set(message.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip
    assert [address.addr_spec for address in message["From"].addresses] == ["cards@example.org"]
    assert message["Subject"].isprintable()
    lines = text_of(message).splitlines()
    assert len(lines) == len(lines_to_plain_name())
    assert not [line for line in lines if line.startswith(("Bcc", "Buy"))]


def lines_to_plain_name() -> list[str]:
    """The lines of the same mail to somebody with a plain name."""
    facts = {"company": "C-1", "access_code": CODE, "expires_at": NOW.isoformat()}
    letter = Letter(name="Eve", email="anna@example.org", happened_at=NOW.isoformat(), facts=facts)
    return write("access_code", Language.ENGLISH, letter, portal_url="https://x.org").text.splitlines()


@pytest.mark.parametrize(
    "address",
    [
        "a,b@example.org", "<a@b.example.org", '"a.b"@example.org', "a>@example.org", "a@b>c.org", "ä@example.org",
        "a@exa_mple.org", ".a@example.org", "a@-.org", "a@" + "x" * 70 + ".org",
    ],
)  # fmt: skip
def test_an_address_that_no_server_takes_fails_and_harms_no_other(
    notifications: Notifications, address: str
) -> None:
    notifications.hear(password_changed(recipient(email=address)), password_changed())
    notifications.work()
    assert [message["To"].addresses[0].addr_spec for message in notifications.received] == [
        "anna@example.org"
    ]
    (failed,) = [row for row in notifications.rows if row.state == "failed"]
    assert failed.error == "the e-mail address is none that a mail server takes"


def test_a_domain_in_other_letters_is_written_as_mail_servers_know_it(notifications: Notifications) -> None:
    notifications.hear(password_changed(recipient(email="anna@bücher.example.org")))
    notifications.work()
    assert notifications.server.envelopes[0].rcpt_tos == ["anna@xn--bcher-kva.example.org"]
