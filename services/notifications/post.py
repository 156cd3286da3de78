"""The way out for mails: a message with its headers, an outlet that takes it, and what may go wrong there.

Undelivered
├── PutOff    certainly not accepted; worth another try
│   └── Away  and neither would the next mail be
├── Refused   certainly not accepted, and never will be
└── Doubtful  handed over, but nobody knows whether it was accepted
"""

import re
from abc import ABC, abstractmethod
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from types import TracebackType
from typing import Self

from services.notifications.letters import Letter, Written
from services.notifications.rules import without_addresses

_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(\.{_ATOM})*", re.ASCII)
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII | re.IGNORECASE)


class Undelivered(Exception):
    """A mail was not delivered, as far as anybody knows; the message says why, without an address in it."""

    def __init__(self, why: str) -> None:
        super().__init__(without_addresses(why))


class PutOff(Undelivered):
    """It was certainly not accepted, and may be later."""


class Away(PutOff):
    """There is no mail server that would take any mail right now."""


class Refused(Undelivered):
    """It was certainly not accepted, and trying again would change nothing."""


class Doubtful(Undelivered):
    """It was handed over, and no answer came: it may have been accepted."""


class Outlet(ABC):
    """Takes mails for as long as its `with` block lasts."""

    @abstractmethod
    def send(self, message: EmailMessage) -> None:
        """Hand a mail over to whoever delivers it; raises one of the kinds of Undelivered."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def message_of(
    id_: str, written: Written, letter: Letter, *, language: str, sender: str, now: datetime
) -> EmailMessage:
    """Return a mail as it goes out; its Message-ID stays the same however often it is tried.

    Raises Refused where the recipient's address is none that a mail server takes.
    """
    author = sender_address(sender)
    message = EmailMessage()
    message["From"] = author
    message["To"] = _address(letter.name, letter.email)
    message["Subject"] = _plain(written.subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{id_}@{author.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(written.text, cte="quoted-printable")
    message["Content-Language"] = language  # setting the content removes what speaks of it
    return message


def sender_address(sender: str) -> Address:
    """Return the address in a setting such as ``Cardwork <cardwork@example.org>``; raises Refused where there is none."""
    return _address(*parseaddr(sender))


def _address(name: str, email: str) -> Address:
    """Return an address with a name that nobody can make another header of; raises Refused."""
    local_part, _, domain = email.rpartition("@")
    try:
        host = domain.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not (_LOCAL_PART.fullmatch(local_part) and _DOMAIN.fullmatch(host)):
        raise Refused("the e-mail address is none that a mail server takes")
    return Address(display_name=_plain(name), username=local_part, domain=host)


def _plain(text: str) -> str:
    """Return a text that stays on its header line, and in which no program finds an encoded word to decode."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.replace("=?", "= ?").split())
