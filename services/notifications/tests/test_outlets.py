"""Where mails go: to a server, privately and as somebody; or into a folder."""

import ipaddress
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.notifications.outlets import check, outlet_of
from services.notifications.service import service
from services.notifications.tests.conftest import KEYS, Notifications
from services.notifications.tests.events import CODE, invited, password_changed
from shared.database import sqlite_url
from shared.migrations import upgrade
from shared.settings import BadSettings, Settings
from shared.testing.mail_server import LOGIN, MailServer
from shared.testing.servers import LOOPBACK


@pytest.fixture
def tables(tmp_path: Path) -> str:
    """A database; which one does not matter here."""
    file = sqlite_url(tmp_path / "notifications.sqlite")
    upgrade(service, file)
    return file


class Certificate:
    """A certificate for the loopback address, signed by itself; ``file`` is what a client has to trust."""

    def __init__(self, folder: Path) -> None:
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False
            )
            .sign(key, SHA256())
        )
        self.file, key_file = folder / "certificate.pem", folder / "key.pem"
        self.file.write_bytes(made.public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.context = SSLContext(PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.file, key_file)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate that nobody trusts yet."""
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=["starttls", "implicit"])
def private(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[MailServer]:
    """A mail server that takes mails by TLS only, from those who log in."""
    server = MailServer(tls=certificate.context, implicit=request.param == "implicit", login=True)
    login = f"{LOGIN.login.decode()}:{quote(LOGIN.password.decode())}"
    scheme = "smtps" if request.param == "implicit" else "smtp"
    server.url = f"{scheme}://{login}@{LOOPBACK}:{server.port}"
    server.start()
    yield server
    server.stop()


def test_a_password_goes_by_tls_to_a_server_that_is_trusted(
    notifications: Notifications,
    private: MailServer,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    notifications.change(mail_url=private.url)
    notifications.hear(invited())
    notifications.work()
    assert notifications.row.error is None
    assert private.logged_in == [True]


def test_a_server_that_is_not_trusted_gets_nothing(notifications: Notifications, private: MailServer) -> None:
    notifications.change(mail_url=private.url)
    notifications.hear(invited())
    notifications.work()
    assert (notifications.row.state, private.envelopes) == ("waiting", [])
    assert "certificate" in str(notifications.row.error)


def test_a_wrong_password_is_tried_again_later(
    notifications: Notifications,
    private: MailServer,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    notifications.change(mail_url=private.url.replace("ss%20word", "wrong"))
    notifications.hear(invited())
    notifications.work()
    assert notifications.row.state == "waiting"
    assert "535" in str(notifications.row.error)
    assert "wrong" not in str(notifications.row.error)
    notifications.change(mail_url=private.url)
    notifications.work(minutes=1)
    assert notifications.row.state == "sent"


def test_a_password_that_smtp_cannot_say_is_explained(
    notifications: Notifications,
    private: MailServer,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    notifications.change(mail_url=private.url.replace("ss%20word", "%C3%A9"))
    notifications.hear(invited())
    notifications.work()
    assert notifications.row.state == "waiting"
    assert "with such letters" in str(notifications.row.error)


def test_a_server_without_tls_gets_nothing_unless_the_setting_says_so(notifications: Notifications) -> None:
    notifications.change(mail_url=notifications.server.url.removesuffix("?tls=none"))
    notifications.hear(invited())
    notifications.work()
    assert (notifications.row.state, notifications.received) == ("waiting", [])
    assert "STARTTLS" in str(notifications.row.error)


def test_without_a_server_mails_are_files_that_only_their_owner_reads(
    notifications: Notifications, tmp_path: Path
) -> None:
    folder = tmp_path / "mails of 100%"
    notifications.change(mail_url=folder.as_uri())
    notifications.hear(invited(), password_changed())
    notifications.work()
    files = sorted(folder.iterdir())
    assert sorted(file.name for file in files) == sorted(f"{row.id}.eml" for row in notifications.rows)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    read = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
    assert {message["To"] for message in read} == {"Anna Administrator <anna@example.org>"}
    assert [message for message in read if CODE in message.get_content()]
    assert {row.state for row in notifications.rows} == {"sent"}


def test_a_folder_that_cannot_be_written_is_tried_again(notifications: Notifications, tmp_path: Path) -> None:
    tmp_path.joinpath("taken").write_text("a file")
    notifications.change(mail_url=f"file://{tmp_path}/taken/mail")
    notifications.hear(invited())
    notifications.work()
    assert notifications.row.state == "waiting"
    tmp_path.joinpath("taken").unlink()
    notifications.work(minutes=1)
    assert notifications.row.state == "sent"


@pytest.mark.parametrize(("option", "printed"), [("?console=yes", True), ("", False)])
def test_codes_are_printed_only_where_the_setting_says_so(
    notifications: Notifications,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    printed: bool,
) -> None:
    notifications.change(mail_url=f"file://{tmp_path}/mail{option}")
    notifications.hear(invited())
    notifications.work()
    said = capsys.readouterr().out
    assert (f"Your access code: {CODE}\n" in said) is printed
    assert ("anna@example.org" in said) is printed


def test_the_one_process_shape_prints_mails_and_keeps_them_beside_its_data(
    notifications: Notifications, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notifications.change(mail_url=None, data_directory=tmp_path)
    notifications.hear(invited())
    notifications.work()
    (file,) = tmp_path.joinpath("mail").iterdir()
    said = capsys.readouterr().out
    assert CODE in said
    assert str(file) in said


def good(**changes: object) -> Settings:
    chosen: dict[str, object] = {
        "sealing_key": KEYS["sealing_key"],
        "mail_url": "smtp://mail.example.org",
        **changes,
    }
    return Settings(**chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        None, "smtp://mail.example.org", "smtp://u:p@mail.example.org:2525?tls=starttls", "smtp://relay?tls=none",
        "smtps://u:p%40@mail.example.org", "file:///var/mail", "file:///var/mail?console=yes",
    ],
)  # fmt: skip
def test_these_addresses_of_an_outlet_are_right(url: str | None) -> None:
    check(good(mail_url=url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://mail.example.org", "it must be smtp://"),
        ("smtp://:587/", "it must be smtp://"),
        ("smtp://mail.example.org/path", "it must be smtp://"),
        ("smtp://mail.example.org:port", "[Pp]ort"),
        ("smtp://mail.example.org?tls=maybe", r"\?tls=starttls or \?tls=none"),
        ("smtp://mail.example.org?ssl=yes", r"\?tls=starttls or \?tls=none"),
        ("smtps://mail.example.org?tls=none", r"\?tls=starttls or \?tls=none"),
        ("smtp://u:secret@mail.example.org?tls=none", "a password is not sent without TLS"),
        ("file://folder", "a folder is file:///folder"),
        ("file:///folder?print=yes", "a folder is file:///folder"),
    ],
)
def test_a_wrong_address_of_an_outlet_is_explained_without_its_password(url: str, why: str) -> None:
    with pytest.raises(BadSettings, match=why) as refused:
        check(good(mail_url=url))
    assert "CARDWORK_MAIL_URL" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_many_processes_have_to_be_told_where_mails_go() -> None:
    settings = good(mail_url=None, broker_url="amqp://broker/", database_url="postgresql://database/x")
    with pytest.raises(BadSettings, match="CARDWORK_MAIL_URL is not set; it says where mails go: smtp://"):
        check(settings)


@pytest.mark.parametrize("sender", ["nobody", "", "Cards <cards>", "a@b@c"])
def test_a_sender_that_is_no_address_is_explained(sender: str) -> None:
    with pytest.raises(BadSettings, match="CARDWORK_MAIL_SENDER must be like"):
        check(good(mail_sender=sender))


@pytest.mark.parametrize("key", [None, "", "too-short", "ä" * 32])
def test_without_the_key_of_sealed_texts_it_does_not_start(key: str | None) -> None:
    with pytest.raises(BadSettings, match="CARDWORK_SEALING_KEY"):
        check(good(sealing_key=key))


def test_a_password_is_in_no_representation() -> None:
    outlet = outlet_of(good(mail_url="smtp://u:secret@mail.example.org"))
    assert "secret" not in f"{outlet!r} {vars(outlet)!r} {good(mail_url='smtp://u:secret@x')!r}"
