"""Waiting for something to become true, without sleeping for a guessed time.

Messages travel, so a test can rarely look at once. It says what it waits for; this polls, and when patience ends
the failure tells what was seen last.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.2


class NeverHappenedError(AssertionError):
    """What a test waited for did not come true in time."""


def eventually(condition: Callable[[], T], *, timeout: float = 20.0, describe: str = "") -> T:
    """The first truthy value that ``condition`` returns.

    ``condition`` is called again and again, with pauses that grow from 5 ms to 200 ms; one that raises has not come
    true yet. ``timeout`` is in seconds of real time, ``describe`` names the thing waited for. Raises
    `NeverHappenedError` with the last value, or the last exception as its cause.
    """
    # perf_counter, not monotonic: tests that travel in time freeze the latter, and would wait for ever.
    deadline = time.perf_counter() + timeout
    pause = _FIRST_PAUSE
    while True:
        problem: Exception | None = None
        try:
            value = condition()
        except Exception as raised:  # noqa: BLE001 - any failure means "not yet"; the last one is reported
            problem = raised
        else:
            if value:
                return value
        if time.perf_counter() >= deadline:
            seen = f"raised {problem!r}" if problem else f"returned {value!r}"
            raise NeverHappenedError(
                f"{describe or 'the condition'}: not in {timeout:g} s; last it {seen}"
            ) from problem
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
