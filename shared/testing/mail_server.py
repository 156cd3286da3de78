"""A real mail server in a thread, which a test tells to refuse, to put off or to hang up."""

import asyncio
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from shared.testing.servers import LOOPBACK, free_port

LOGIN = LoginPassword(b"cards", b"p@ss word")


class MailServer:
    """Counts what it accepted; each ``answer_…`` is what it says in place of a yes."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: bool = False
    ) -> None:
        self.port = free_port()
        self.url = f"smtp://{LOOPBACK}:{self.port}?tls=none"
        self.accepted: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.connections = 0
        self.logged_in: list[bool] = []
        self.answer_sender: str | None = None
        self.answer_recipient: str | None = None
        self.answer_text: str | None = None
        self.hang_up_after_text = False
        self.hang_up_before_text = False
        self.never_answer_text = False
        self._options: dict[str, Any] = {"decode_data": False}
        if tls:
            self._options |= (
                {"ssl_context": tls} if implicit else {"tls_context": tls, "require_starttls": True}
            )
        if login:  # of implicit TLS it does not know, as its socket is wrapped already
            options = {"auth_require_tls": False} if implicit else {"auth_required": True}
            self._options |= {"authenticator": _authenticate, **options}
        self._controller: Controller | None = None

    def start(self) -> None:
        self._controller = Controller(self, hostname=LOOPBACK, port=self.port, **self._options)
        self._controller.start()

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    # What the protocol calls

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, _: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answer_sender:
            return self.answer_sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.hang_up_before_text:
            _hang_up(server)
            return "250 OK"
        if self.answer_recipient:
            return self.answer_recipient.format(address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answer_text:
            return self.answer_text
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.accepted.append(message)
        self.envelopes.append(envelope)
        self.logged_in.append(bool(session.authenticated))
        if self.never_answer_text:
            await asyncio.get_running_loop().create_future()
        if self.hang_up_after_text:
            _hang_up(server)
        return "250 OK"


def _hang_up(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


def _authenticate(*arguments: Any) -> AuthResult:
    return AuthResult(success=arguments[-1] == LOGIN, handled=False)
