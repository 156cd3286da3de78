"""Identity's policies, as pure values and functions: what each role may do, and how a guesser is slowed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared.actor import Party
from shared.contracts.base import catalogue
from shared.errors import Rejected

LAST_USE_STEP = timedelta(minutes=1)
"""How often the last use of a session is written down at most; a session may end that much early, never late."""

ENDED_SESSIONS_KEPT = timedelta(days=30)

FREE_ATTEMPTS = 5
FAILURES_KEPT = timedelta(days=1)
PHRASE_FAILURES = 5
"""After how many wrong secret phrases an access code is worth nothing any more."""

LINKS_AN_HOUR = 3
MOST_OWN_ACCOUNTS = 100
"""How many card accounts a user may hold: all of them travel with every request."""

RECOVERY_CODES = 10
DEVICE_KEPT = timedelta(days=90)
MOST_DEVICES = 20

_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of functions for people of one party (IDN-06): where grants come from, never what is checked.

    With ``holds`` these people have card accounts of their own, and are enrolled with them.
    """

    party: Party
    functions: frozenset[str] = frozenset()
    holds: bool = False


_OWN = frozenset({"me.contact"})
_SEEING = _OWN | {
    "accounts.view",
    "companies.view",
    "control-accounts.view",
    "roles.view",
    "statements.view",
    "tracking.view",
    "transactions.view",
}
_ADMINISTERING = _SEEING | {
    "accounts.activate",
    "accounts.cancel",
    "accounts.replace",
    "accounts.accounting",
    "accounts.holder",
    "accounts.refund",
    "accounts.remind",
    "accounts.suspend",
    "accounts.transfer",
    "control-accounts.configure",
    "delegations.lend",
    "delegations.view",
    "tracking.approve",
    "tracking.withdraw",
    "transactions.code",
    "transactions.export",
}
_HELPING = _SEEING | {
    "accounts.activate",
    "accounts.refund",
    "accounts.remind",
    "accounts.replace",
    "accounts.suspend",
    "delegations.view",
    "tracking.withdraw",
    "users.contact",
    "users.deactivate",
    "users.enrol",
    "users.entitle",
    "users.reactivate",
    "users.second-factor",
    "users.view",
}

# A grant is a function over a control account. Holders act on the own card accounts, which is no grant (`own_accounts`).
ROLES: Mapping[str, Role] = {
    "programme_manager": Role(Party.CLIENT, _SEEING | {"delegations.view", "users.view"}),
    "programme_administrator": Role(Party.CLIENT, _ADMINISTERING),
    "principal_programme_administrator": Role(
        Party.CLIENT,
        _ADMINISTERING
        | {
            "companies.configure",
            "control-accounts.move",
            "users.consent",
            "users.deactivate",
            "users.view",
        },
    ),
    "alternate_programme_administrator": Role(
        Party.CLIENT, _SEEING | {"delegations.lend", "delegations.view", "tracking.withdraw"}
    ),
    "application_approver": Role(Party.CLIENT, _OWN),
    "identity_voucher": Role(Party.CLIENT, _OWN | {"users.view", "users.vouch"}),
    "cardholder": Role(Party.HOLDER, _OWN, holds=True),
    "applicant": Role(Party.HOLDER, _OWN),
    "issuer_help_desk": Role(Party.ISSUER, _HELPING),
    "issuer_operator": Role(
        Party.ISSUER,
        _HELPING
        | {
            "accounts.accounting",
            "accounts.cancel",
            "accounts.holder",
            "accounts.open",
            "accounts.reinstate",
            "accounts.transfer",
            "companies.configure",
            "companies.enrol",
            "control-accounts.configure",
            "control-accounts.move",
            "control-accounts.open",
            "payments.post",
            "tracking.approve",
            "transactions.correct",
            "transactions.import",
            "transactions.post",
        },
    ),
}


def role_named(role: str) -> Role:
    """Return a role; raises Rejected where there is none of that name."""
    known = ROLES.get(role)
    if known is None:
        raise Rejected("unknown_role", f"There is no role {role}; see GET /roles.", "role")
    return known


def functions_open_to(party: Party) -> frozenset[str]:
    """Return the functions that people of a party may be granted: those of any of its roles."""
    return frozenset().union(*(role.functions for role in ROLES.values() if role.party is party))


def functions_of(role: str, party: Party) -> frozenset[str]:
    """Return the functions that a role brings; raises Rejected where the party has no such role."""
    known = role_named(role)
    if known.party is not party:
        raise Rejected("unknown_role", f"There is no role {role} for the party {party}.", "role")
    return known.functions


def approvable_commands() -> frozenset[str]:
    """Return the commands that a company may have a second person approve: its own people's, but for decisions."""
    open_to_clients = functions_open_to(Party.CLIENT)
    return frozenset(
        c.name for c in catalogue.commands() if c.function in open_to_clients and c.owner != "tracking"
    )


def lowest_common(paths: Iterable[str]) -> str:
    """Return the path of the lowest control account at or above all of these; nothing is above everything."""
    common: list[str] | None = None
    for path in paths:
        steps = path.split("/") if path else []
        if common is None:
            common = steps
        common = [mine for mine, other in zip(common, steps, strict=False) if mine == other]
    return "/".join(common or [])


def pause_after(failures: int) -> timedelta:
    """Return how long a user ID stays closed after this many failed sign-ins in a row: doubling, never for good."""
    if failures < FREE_ATTEMPTS:
        return timedelta(0)
    doublings = min(failures - FREE_ATTEMPTS, 16)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)
