"""Identity's policies, as pure values and functions: what each role may do, and how a guesser is slowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared.actor import Party
from shared.errors import Rejected

LAST_USE_STEP = timedelta(minutes=1)
"""How often the last use of a session is written down at most; a session may end that much early, never late."""

ENDED_SESSIONS_KEPT = timedelta(days=30)

FREE_ATTEMPTS = 5
FAILURES_KEPT = timedelta(days=1)
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of functions for people of one party (IDN-06): where grants come from, never what is checked."""

    party: Party
    functions: frozenset[str] = frozenset()


_SEEING = frozenset({"accounts.view", "control-accounts.view", "tracking.view"})
_ADMINISTERING = _SEEING | {"accounts.cancel", "accounts.suspend"}

# A grant is a function over a control account. Roles without any act by invitation, or on a single account of their
# own; they sign in, and see nothing of a control account.
ROLES: Mapping[str, Role] = {
    "programme_manager": Role(Party.CLIENT, _SEEING),
    "programme_administrator": Role(Party.CLIENT, _ADMINISTERING),
    "principal_programme_administrator": Role(Party.CLIENT, _ADMINISTERING),
    "alternate_programme_administrator": Role(Party.CLIENT, _SEEING),
    "application_approver": Role(Party.CLIENT),
    "identity_voucher": Role(Party.CLIENT),
    "cardholder": Role(Party.HOLDER),
    "applicant": Role(Party.HOLDER),
    "issuer_help_desk": Role(Party.ISSUER, _SEEING | {"accounts.suspend"}),
    "issuer_operator": Role(Party.ISSUER, _ADMINISTERING | {"accounts.open", "control-accounts.open"}),
}


def functions_of(role: str, party: Party) -> frozenset[str]:
    """Return the functions that a role brings; raises Rejected where the party has no such role."""
    known = ROLES.get(role)
    if known is None or known.party is not party:
        raise Rejected("unknown_role", f"There is no role {role} for the party {party}.", "role")
    return known.functions


def pause_after(failures: int) -> timedelta:
    """Return how long a user ID stays closed after this many failed sign-ins in a row: doubling, never for good."""
    if failures < FREE_ATTEMPTS:
        return timedelta(0)
    doublings = min(failures - FREE_ATTEMPTS, 16)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)
