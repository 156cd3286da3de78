"""Errands in short runs: a worker handles no command while one lasts."""

import time
from collections.abc import Callable

from shared.messaging.transaction import Transaction
from shared.service import Transact

LONGEST_RUN_SECONDS = 0.5


def in_short_runs(errand: str, step: Callable[[Transaction], int | None], transact: Transact) -> int:
    """Take one step after the other, each in a transaction of its own, and return how much they did together.

    A step returns None where nothing is left to be done. A run that was long enough has its errand go on later.
    """
    until, done = time.monotonic() + LONGEST_RUN_SECONDS, 0
    while True:
        with transact() as tx:
            made = step(tx)
            if made is None:
                return done
            done += made
            if time.monotonic() > until:
                tx.wake(errand)
                return done
