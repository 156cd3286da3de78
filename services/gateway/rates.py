"""How often one may ask: counted by this process alone, so that a limit holds for each gateway."""

import math
import time

import limits

from shared.web.problems import Problem


class RateLimit:
    """A limit such as ``100 per second``, counted for each caller apart."""

    def __init__(self, rate: str) -> None:
        self._rate = limits.parse(rate)
        self._window = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())

    def count(self, caller: str) -> None:
        """Count one request; raises a 429 problem that says when to try again where it is one too many."""
        if self._window.hit(self._rate, caller):
            return
        reset = self._window.get_window_stats(self._rate, caller).reset_time
        seconds = max(1, math.ceil(reset - time.time()))
        raise Problem(
            status=429,
            code="too_many_requests",
            title="Too many requests.",
            detail=f"At most {self._rate} are taken. Try again in {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )
