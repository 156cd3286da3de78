"""How long to wait before trying again: longer each time, and never in step with everyone else."""

import random


class BackOff:
    """Waits that double from ``first`` to ``longest`` seconds, each cut by up to a half at random."""

    def __init__(self, first: float = 0.1, longest: float = 10.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next(self) -> float:
        """Return the seconds to wait now."""
        wait, self._next = self._next, min(self._next * 2, self._longest)
        return wait * random.uniform(0.5, 1)

    def reset(self) -> None:
        """Start over, as it worked."""
        self._next = self._first
