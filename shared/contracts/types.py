"""The values that messages are made of, each with the rules that hold wherever it appears."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any


@dataclass(frozen=True, slots=True)
class Text:
    """The length of a text and, where it has one, its form; ``form`` says the pattern in words."""

    shortest: int = 1
    longest: int = 250
    pattern: str | None = None
    form: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """The least and the greatest value of a whole number."""

    least: int
    greatest: int


@dataclass(frozen=True, slots=True)
class Items:
    """How many elements a list may hold."""

    least: int = 0
    most: int = 500


@dataclass(frozen=True, slots=True)
class Scoped:
    """The field names something that lies under a control account, so a caller must be entitled to it.

    ``owner`` is the service that knows where it lies, ``kind`` the sort of thing. With ``owner_decides`` it is the owner
    who says whether the caller may name it; the gateway only finds out where it lies. With ``owner_knows_holder`` it is
    the owner who says whether it is of a card account of the caller's own.
    """

    owner: str
    kind: str
    owner_decides: bool = False
    owner_knows_holder: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """Who handles the command is told where the thing lies, as another service owns it: see `Envelope.places`."""


@dataclass(frozen=True, slots=True)
class Sensitive:
    """The value is shown to nobody: it is masked in logs and in the record of a request.

    ``visible`` is the number of trailing characters that may be shown.
    """

    visible: int = 0


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret that travels in no message readably: the gateway seals it, and only who holds the key reads it.

    ``longest`` is the length of the plain text; the rule for the text itself has to leave room for the sealed form.
    """

    longest: int = 200


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader of the API should know of this field."""

    text: str


def identifier(prefix: str) -> Text:
    """Return the rule for an opaque, prefixed, time-ordered identifier."""
    size = len(prefix) + 1 + 26
    return Text(size, size, rf"^{prefix}_[0-9a-z]{{26}}$", f"{prefix}_ and 26 letters or digits")


VERSIONED = frozenset({"account_id", "number"})
"""The fields in a path that name what has a version, which ``If-Match`` can ask for (API, *Concurrency*)."""

Json = Mapping[str, Any]

CARD_ACCOUNT = Scoped("accounts", "account")
AccountId = Annotated[str, identifier("acc"), CARD_ACCOUNT]
CardId = Annotated[str, identifier("crd")]
ControlAccountNumber = Annotated[
    str, Text(15, 15, r"^[0-9]{15}$", "15 digits"), Scoped("accounts", "control_account")
]
NewControlAccountNumber = Annotated[str, Text(15, 15, r"^[0-9]{15}$", "15 digits")]
CompanyNumber = Annotated[str, Text(1, 20)]
KnownCompanyNumber = Annotated[str, Text(1, 20), Scoped("identity", "company")]
CardNumber = Annotated[str, Text(12, 19, r"^[0-9]{12,19}$", "12 to 19 digits"), Sensitive(visible=4)]
UserId = Annotated[str, Text(3, 64, r"^[a-z0-9][a-z0-9._@-]*$", "lower-case letters, digits and . _ @ -")]
UserKey = Annotated[str, identifier("usr"), Scoped("identity", "user")]
DelegationId = Annotated[str, identifier("dlg"), Scoped("identity", "delegation")]
CommandId = Annotated[str, Text(36, 36, r"^[0-9a-f-]{36}$", "a UUID")]
TrackingNumber = Annotated[str, Text(10, 16, None, "as printed in the answer to a command")]
Comment = Annotated[str, Text(1, 500)]
Name = Annotated[str, Text(1, 100)]
EmbossedName = Annotated[
    str, Text(1, 26, r"^[A-Z0-9 .'/&-]+$", "capital letters, digits, spaces and . ' / & -")
]
Function = Annotated[
    str, Text(3, 60, r"^[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*$", "a function, such as accounts.cancel")
]
CommandName = Annotated[
    str, Text(3, 100, r"^[a-z-]+\.[a-z0-9-]+$", "a command's name, such as accounts.cancel-account")
]
Cursor = Annotated[str, Text(1, 500), Note("next_cursor of the page before")]
Limit = Annotated[int, Number(1, 500)]
Currency = Annotated[str, Text(3, 3, r"^[A-Z]{3}$", "an ISO 4217 code")]
LastFour = Annotated[str, Text(4, 4, r"^[0-9]{4}$", "4 digits")]
EmployeeId = Annotated[str, Text(1, 10)]
CostCentre = Annotated[str, Text(1, 10)]
UniversalNumber = Annotated[str, Text(1, 25)]
Address = Annotated[str, Text(1, 60)]
Postcode = Annotated[str, Text(1, 12)]
Country = Annotated[str, Text(2, 2, r"^[A-Z]{2}$", "an ISO 3166 code of two letters")]
Phone = Annotated[
    str, Text(3, 32, r"^[+0-9][0-9 ()./-]*$", "digits, with a leading + for an international number")
]
Email = Annotated[str, Text(3, 254, r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "an e-mail address")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in minor units of its currency; below zero it is owed the other way round."""

    amount: int
    currency: Currency


class Language(StrEnum):
    """A language that Cardwork speaks to people in (Part 2 no. 19)."""

    ENGLISH = "en"
    FRENCH = "fr"
    SPANISH = "es"
    GERMAN = "de"


class Channel(StrEnum):
    """Through which door a request came in."""

    PORTAL = "portal"
    API = "api"
    OPERATOR = "operator"
    SYSTEM = "system"
