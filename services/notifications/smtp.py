"""Sends mails by SMTP, and knows of each whether the server has it."""

import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from enum import StrEnum

from services.notifications.post import Away, Doubtful, Outlet, PutOff, Refused

_ANSWER_SECONDS = 10
# Servers look a mail through before they accept it.
_ACCEPTANCE_SECONDS = 30
_ACCEPTED = 250
_FORWARDED = 251


class Security(StrEnum):
    """How the way to the mail server is kept private."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where a mail server is, and as whom it is spoken to."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str | None = field(default=None, repr=False)


class SmtpOutlet(Outlet):
    """One connection for as long as all goes well, opened for the first mail; after any failure the next gets a new one."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._link: smtplib.SMTP | None = None

    def send(self, message: EmailMessage) -> None:
        """Hand a mail over; its fate is in doubt from the first byte of its text until the server's answer."""
        self._link = self._link or self._connect()
        try:
            _envelope(self._link, message)
            _hand_over(self._link, message)
        except BaseException:
            self._link.close()
            self._link = None
            raise

    def close(self) -> None:
        """Take leave of the server."""
        if self._link is not None:
            try:
                self._link.quit()
            except OSError:
                self._link.close()  # every mail has its answer; that the server hangs up first changes nothing
            self._link = None

    def _connect(self) -> smtplib.SMTP:
        try:
            return self._open()
        except OSError as error:  # smtplib's own errors are OSErrors too
            raise Away(f"no way to the mail server: {_words(error)}") from error
        except UnicodeError as error:
            raise Away(
                "SMTP takes neither host, user nor password with such letters as the setting has"
            ) from error

    def _open(self) -> smtplib.SMTP:
        server, name = self._server, socket.gethostname()
        if server.security is Security.IMPLICIT:
            link: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host,
                server.port,
                name,
                timeout=_ANSWER_SECONDS,
                context=ssl.create_default_context(),
            )
        else:
            link = smtplib.SMTP(server.host, server.port, name, timeout=_ANSWER_SECONDS)
        try:
            if server.security is Security.STARTTLS:
                link.starttls(context=ssl.create_default_context())
            if server.user is not None:
                link.login(server.user, server.password or "")
            else:
                link.ehlo_or_helo_if_needed()
        except BaseException:
            link.close()
            raise
        return link


def _envelope(link: smtplib.SMTP, message: EmailMessage) -> None:
    """Announce sender and recipient; the server has nothing of the mail yet."""
    sender, recipient = message["From"].addresses[0].addr_spec, message["To"].addresses[0].addr_spec
    try:
        code, answer = link.mail(sender)
        if code != _ACCEPTED:
            raise PutOff(f"the mail server does not take mails from us: {_said(code, answer)}")
        code, answer = link.rcpt(recipient)
    except OSError as error:
        raise PutOff(f"the connection to the mail server broke: {_words(error)}") from error
    if code not in (_ACCEPTED, _FORWARDED):
        raise _refusal(code)(f"the mail server does not take mails for the recipient: {_said(code, answer)}")


def _hand_over(link: smtplib.SMTP, message: EmailMessage) -> None:
    assert link.sock is not None  # it was just spoken through
    link.sock.settimeout(_ACCEPTANCE_SECONDS)
    try:
        code, answer = link.data(message.as_bytes(policy=SMTP))
    except smtplib.SMTPDataError as error:  # it did not even want to hear the text
        code, answer = error.smtp_code, _bytes(error.smtp_error)
    except OSError as error:
        raise Doubtful(f"no answer after the mail was handed over: {_words(error)}") from error
    if code != _ACCEPTED:
        raise _refusal(code)(f"the mail server does not take the mail: {_said(code, answer)}")
    link.sock.settimeout(_ANSWER_SECONDS)


def _refusal(code: int) -> type[PutOff | Refused | Doubtful]:
    """Return what an answer means for the mail; one that is none of SMTP's says nothing."""
    if 500 <= code < 600:
        return Refused
    return PutOff if 400 <= code < 500 else Doubtful


def _said(code: int, answer: bytes) -> str:
    return f"{code} {answer.decode(errors='replace')}"


def _bytes(answer: bytes | str) -> bytes:
    return answer.encode() if isinstance(answer, str) else answer


def _words(error: OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error.smtp_code, _bytes(error.smtp_error))
    return str(error) or type(error).__name__
