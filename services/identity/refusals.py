"""How identity says no to somebody at the door, where that is more than a rule of the domain."""

from datetime import timedelta
from typing import ClassVar

from shared.errors import Rejected


class NotAdmitted(Rejected):
    """Whoever asks has not proved who they are; the answer is 401 and never says what was wrong."""

    title: ClassVar[str] = "You could not be signed in."


class SignInFailed(NotAdmitted):
    """User ID and password do not belong together, or the user is not active; it says no more than that."""

    def __init__(self) -> None:
        super().__init__("sign_in_failed", "This user ID and this password do not go together.")


class SecondFactorNeeded(NotAdmitted):
    """The password was right, and this user has a second factor."""

    def __init__(self) -> None:
        super().__init__(
            "second_factor_needed",
            "Send the one-time password of your authenticator too, or a recovery code.",
        )


class SecondFactorWrong(NotAdmitted):
    """The password was right, the one-time password was not, or has been used."""

    def __init__(self) -> None:
        super().__init__(
            "second_factor_wrong",
            "This one-time password is not good, or was used before. Wait for the next one.",
        )


class SessionOver(NotAdmitted):
    """The session was ended while the assertion of it was still good."""

    title = "You are not signed in."

    def __init__(self) -> None:
        super().__init__("session_over", "This session is over. Sign in again.")


class EnrolmentFailed(NotAdmitted):
    """Access code and secret phrase do not belong together, or are no longer good."""

    title = "You could not be enrolled."

    def __init__(self) -> None:
        super().__init__(
            "enrolment_failed",
            "This access code and this secret phrase do not go together, or the code is no longer good. "
            "Your programme's administrators can have a new code mailed to you.",
        )


class ResetFailed(NotAdmitted):
    """The link was never mailed, was used or has expired."""

    title = "The password was not changed."

    def __init__(self) -> None:
        super().__init__("reset_failed", "This link is no longer good. Ask for a new one.")


class TooManyAttempts(Rejected):
    """Too many attempts have failed under this user ID, whether it exists or not; ``wait`` says until when it is closed."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too_many_attempts", "Too many sign-ins have failed under this user ID.")
        self.wait = wait
