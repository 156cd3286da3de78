"""Pure policies of requests: the tracking number, service times, what is exceptional, and who may decide.

A tracking number is short, speakable, not to be guessed from the one before, and has a check character.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from random import SystemRandom

from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_37_2

from shared.contracts.base import Contract
from shared.contracts.outcomes import RequestStatus
from shared.contracts.service_times import ONE_DAY, read_service_times
from shared.settings import Settings

# Of an outcome alone nobody knows how long its command may take.
STUB_SERVICE_TIME = ONE_DAY
# From here on a request counts as one that lingers, and is found among the exceptional ones.
LINGERS_AFTER = timedelta(seconds=30)
WAITING = (
    RequestStatus.RECEIVED,
    RequestStatus.AWAITING_APPROVAL,
    RequestStatus.SCHEDULED,
    RequestStatus.PROCESSING,
)
# What is scheduled waits for its own time, and so is never late.
MAY_BE_OVERDUE = tuple(status for status in WAITING if status is not RequestStatus.SCHEDULED)
_USUAL = (RequestStatus.RECEIVED, RequestStatus.COMPLETED)

# No vowels, so that no words arise, and no letter that is taken for a digit.
ALPHABET = "0123456789BCDFGHJKMNPQRSTVWXYZ"
_DRAWN = 9
_source = SystemRandom()
_MISHEARD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_tracking_number() -> str:
    """Return a number of ten characters (TRK-01): nine drawn at random, then an ISO 7064 mod 37-2 check character.

    The check finds every single wrong character and every two swapped ones.
    """
    while True:
        drawn = "".join(_source.choices(ALPHABET, k=_DRAWN))
        check = mod_37_2.calc_check_digit(drawn)
        if check in ALPHABET:
            return drawn + check


def spoken(number: str) -> str:
    """Return a tracking number as it is printed: two groups of five."""
    return f"{number[:5]}-{number[5:]}"


def read_tracking_number(text: str) -> str | None:
    """Return the number that someone typed, whatever the spaces, hyphens and capitals; None where it is mistyped."""
    number = "".join(text.upper().split()).replace("-", "").translate(_MISHEARD)
    if len(number) != _DRAWN + 1:
        return None
    try:
        return str(mod_37_2.validate(number))
    except ValidationError:
        return None


def exceptional(status: RequestStatus, received_at: datetime, now: datetime) -> str | None:
    """Return the status where it is none that a request usually has, or has for too long; None otherwise."""
    lingers = status is RequestStatus.RECEIVED and received_at < now - LINGERS_AFTER
    return status.value if lingers or status not in _USUAL else None


def is_late(status: RequestStatus, due_at: datetime, now: datetime) -> bool:
    """Return whether a request that stands at this status is past its service time."""
    return status in MAY_BE_OVERDUE and due_at < now


def service_time_of(contract: Contract, settings: Settings) -> timedelta:
    """Return how long a command may take: as configured, else as its contract says (TRK-06)."""
    return (
        _configured(settings.service_times).get(contract.name) or contract.service_time or STUB_SERVICE_TIME
    )


_configured = cache(read_service_times)


def is_own(asked_by: Collection[str | None], deciding: Collection[str | None]) -> bool:
    """Return whether somebody who asked, or for whom was asked, has a part in the decision (Part 2 no. 6)."""
    return any(user in asked_by for user in deciding if user is not None)
