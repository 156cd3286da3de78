"""How people come in: what they send to sign in, enrol or get a new password, and what they are told.

None of these is a message: a secret travels over HTTP to identity and nowhere else (ADR 0012).
"""

from datetime import datetime
from typing import Annotated

from shared.contracts.base import view
from shared.contracts.types import Note, Sensitive, Text, UserId

Password = Annotated[str, Text(1, 200), Sensitive()]
OneTime = Annotated[str, Text(6, 40), Sensitive()]


@view
class SignIn:
    """What opens a session."""

    user_id: Annotated[str, Text(1, 200)]
    password: Password
    otp: Annotated[
        OneTime | None, Note("with a second factor: 6 digits of the authenticator, or a recovery code")
    ] = None
    device: Annotated[
        str | None,
        Text(1, 200),
        Sensitive(),
        Note(
            "from an earlier answer, or the token of the mailed link just used: strangers' failures do not count here"
        ),
    ] = None


@view
class Enrolment:
    """The first sign-in: the access code from the mail and the secret phrase, for a user ID and a password (IDN-02)."""

    access_code: Annotated[str, Text(1, 100), Sensitive()]
    secret_phrase: Annotated[str, Text(1, 200), Sensitive()]
    user_id: Annotated[UserId, Note("of the user's own choice, for good")]
    password: Annotated[Password, Note("12 to 128 characters; what they are is free")]


@view
class Enrolled:
    """A user who may sign in from now on."""

    user_id: str


@view
class PasswordForgotten:
    """Who needs a new password (IDN-03)."""

    user_id: Annotated[str, Text(1, 200), Sensitive(), Note("people type passwords here")]


@view
class MailOnItsWay:
    """The same words whether there is such a user or not."""

    message: str


@view
class PasswordReset:
    """A new password for the token of the mailed link."""

    token: Annotated[str, Text(1, 200), Sensitive()]
    password: Annotated[Password, Note("12 to 128 characters; what they are is free")]


@view
class PasswordChange:
    """A new password for the one that is known."""

    current_password: Password
    password: Annotated[Password, Note("12 to 128 characters; what they are is free")]


@view
class OneTimePassword:
    """Proof of having the second factor at hand."""

    otp: Annotated[
        OneTime, Note("6 digits of the authenticator, or a recovery code; only the former confirms an offer")
    ]


@view
class SecondFactorState:
    """Whether there is a second factor, and how many recovery codes are left."""

    present: bool
    required: Annotated[bool, Note("whether the company requires one")]
    recovery_codes: int


@view
class SecondFactorOffered:
    """What an authenticator needs to know; in use once a one-time password has confirmed it (RFC 6238)."""

    secret: Annotated[str, Note("base 32, to type in")]
    uri: Annotated[str, Note("otpauth, to show as a QR code")]


@view
class RecoveryCodes:
    """Codes that stand in for the second factor, each once; they are shown this one time."""

    recovery_codes: list[str]


@view
class OwnSession:
    """One place where the user is signed in (IDN-08)."""

    id: str
    started_at: datetime
    last_used_at: datetime
    address: Annotated[str | None, Note("from where it was begun")]
    agent: Annotated[str | None, Note("the program, as it calls itself")]
    current: Annotated[bool, Note("whether it is the one that asks")]


@view
class OwnSessions:
    """Where the user is signed in, the newest first."""

    data: list[OwnSession]
