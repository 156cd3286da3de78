"""Identity's policies, as pure values and functions: how a guesser is slowed."""

from datetime import timedelta

FREE_ATTEMPTS = 5
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=15)


def pause_after(failures: int) -> timedelta:
    """Return how long a user ID stays closed after this many failed sign-ins in a row: doubling, never for good."""
    if failures < FREE_ATTEMPTS:
        return timedelta(0)
    return min(_FIRST_PAUSE * 2 ** min(failures - FREE_ATTEMPTS, 16), _LONGEST_PAUSE)
