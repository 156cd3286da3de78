"""What may become of a mail, and how long it waits before it is tried again."""

import re
from datetime import timedelta
from enum import StrEnum

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=12)

ABANDONED_AFTER = timedelta(minutes=5)
"""How long a mail may be under way; whoever has not told by then what became of it was killed."""

_ADDRESS = re.compile(r"[^\s<>,;:]+@[^\s<>,;:]+")
_LONGEST_REASON = 300


class State(StrEnum):
    """Where a mail stands.

    waiting ──► sending ──► sent        the mail server has accepted it
       ▲           ├──────► failed      refused, or tried too often
       │           ├──────► uncertain   handed over, but no answer: only an operator sends it again
       └───────────┘                    not accepted; tried again after a pause
    """

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


STUCK = frozenset({State.FAILED, State.UNCERTAIN})
"""The states that a mail leaves only by an operator's word."""


def pause_after(attempts: int) -> timedelta:
    """Return how long a mail waits that was tried this often in vain: half a minute, then twice as long each time.

    The twelfth try is some 17 hours after the first.
    """
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 16)), LONGEST_PAUSE)


def mask_address(address: str) -> str:
    """Return an e-mail address as an operator sees it: enough to recognise, too little to write to."""
    name, _, domain = address.rpartition("@")
    return f"{name[:1]}•••@{domain}"


def without_addresses(reason: str) -> str:
    """Return what a mail server said, fit for logs and tables: one line, not long, no e-mail address in it."""
    line = " ".join(_ADDRESS.sub("•••", reason).split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"
