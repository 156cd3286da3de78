"""Which outlet the settings name.

smtp://user:password@host:587             STARTTLS, without which nothing is said; tls=none for a server nearby
smtps://user:password@host:465            TLS from the first byte
file:///folder                            files; with ?console=yes also printed

Without one, the embedded shape keeps and prints them under its data directory, and the distributed one does not start.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from services.notifications.folder import FolderOutlet
from services.notifications.post import Outlet, Refused, sender_address
from services.notifications.smtp import MailServer, Security, SmtpOutlet
from shared.sealing import Seal
from shared.settings import BadSettings, Settings

_PORTS = {"smtp": 587, "smtps": 465}
_FORMS = "smtp://user:password@host:587, smtps://user:password@host:465 or file:///folder"


def outlet_of(settings: Settings) -> Outlet:
    """Return the outlet that the settings name, nothing opened yet; raises BadSettings."""
    if settings.mail_url is None:
        if not settings.embedded:
            raise BadSettings(f"CARDWORK_MAIL_URL is not set; it says where mails go: {_FORMS}.")
        return FolderOutlet(settings.data_directory / "mail", console=True)
    url = urlsplit(settings.mail_url)
    try:
        options = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
        return _folder(url, options) if url.scheme == "file" else SmtpOutlet(_server(url, options))
    except ValueError as error:
        raise BadSettings(f"CARDWORK_MAIL_URL is wrong: {error}.") from None


def check(settings: Settings) -> None:
    """Raise BadSettings where no mail could be opened or sent with these settings."""
    if not settings.sealing_key:
        raise BadSettings("CARDWORK_SEALING_KEY is not set; `cardwork provision` makes keys.")
    try:
        Seal(settings.sealing_key)
    except ValueError:
        raise BadSettings("CARDWORK_SEALING_KEY must be 32 bytes in URL-safe base 64.") from None
    try:
        sender_address(settings.mail_sender)
    except Refused:
        raise BadSettings("CARDWORK_MAIL_SENDER must be like: Cardwork <cardwork@example.org>") from None
    outlet_of(settings)


def _folder(url: SplitResult, options: Mapping[str, str]) -> FolderOutlet:
    if url.netloc or options.keys() - {"console"}:
        raise ValueError(
            "a folder is file:///folder, or file:///folder?console=yes to have mails printed as well"
        )
    return FolderOutlet(Path(unquote(url.path)), console=options.get("console") == "yes")


def _server(url: SplitResult, options: Mapping[str, str]) -> MailServer:
    if url.scheme not in _PORTS or not url.hostname or url.path.strip("/"):
        raise ValueError(f"it must be {_FORMS}")
    security = _security(url, options)
    if url.password and security is Security.NONE:
        raise ValueError("a password is not sent without TLS")
    return MailServer(
        host=url.hostname,
        port=url.port or _PORTS[url.scheme],
        security=security,
        user=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
    )


def _security(url: SplitResult, options: Mapping[str, str]) -> Security:
    if url.scheme == "smtps" and not options:
        return Security.IMPLICIT
    chosen = options.get("tls", Security.STARTTLS)
    if url.scheme == "smtps" or options.keys() - {"tls"} or chosen not in (Security.STARTTLS, Security.NONE):
        raise ValueError("behind smtp:// there may stand ?tls=starttls or ?tls=none, behind smtps:// nothing")
    return Security(chosen)
