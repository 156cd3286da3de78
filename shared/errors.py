"""The three families of error, from which outcomes (in the dispatcher) and HTTP answers (in shared.web) are made.

    CardworkError
    ├── Rejected      the domain says no: the caller's to mend, never tried again
    │   ├── NotFound  there is no such thing, or the caller may not know of it
    │   └── Stale     what is to be changed was changed since the caller read it
    └── Unavailable   a server is away or a lock was lost: tried again later

Whatever else is raised is a defect: logged whole, and dead-lettered where a message caused it.
"""

NOT_FOUND = "not_found"
STALE = "stale"


class CardworkError(Exception):
    """The root of the errors that Cardwork raises on purpose."""


class Rejected(CardworkError):
    """The domain refuses, having changed nothing; ``code`` is stable and part of the API (Part 2 no. 2).

    ``field`` names the field of the command that is at fault, where one is.
    """

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class NotFound(Rejected):
    """There is nothing of that name within the caller's control accounts; it says no more than that."""

    def __init__(self, what: str, field: str | None = None) -> None:
        super().__init__(NOT_FOUND, f"There is no such {what} within your control accounts.", field)


class Stale(Rejected):
    """What is to be changed is not any more as the sender has seen it."""

    def __init__(self) -> None:
        super().__init__(STALE, "This was changed since you read it. Read it again, then decide.")


class Unavailable(CardworkError):
    """Something that is needed is away for now; trying again may help."""
