"""Who acts: a user with functions over control accounts, and the signed assertion that carries this between services.

The gateway signs an assertion for the services that a request concerns; a service accepts nothing without one made for
it (IDN-05). The signature is Ed25519: services hold only the public key, so none can speak for another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

EVERYWHERE = "*"
LIFETIME = timedelta(seconds=60)
_ISSUER = "cardwork.gateway"
_SKEW = timedelta(seconds=10)


class Party(StrEnum):
    """On whose side a user stands."""

    HOLDER = "holder"
    CLIENT = "client"
    ISSUER = "issuer"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A user and what the user may do: for each function, the control accounts over which it is granted.

    ``on_behalf_of`` is the user in whose stead this one acts, with just the functions that were lent (IDN-07).
    ``approvals`` are the commands that the user's company has a second person approve (Part 2 no. 6), ``own_accounts`` the
    card accounts that the user holds.
    """

    user_id: str
    party: Party
    company: str | None = None
    session_id: str | None = None
    on_behalf_of: str | None = None
    approvals: frozenset[str] = frozenset()
    own_accounts: frozenset[str] = frozenset()
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def may(self, function: str) -> bool:
        """Return whether the function is granted over anything at all."""
        return bool(self.grants.get(function))

    def control_accounts(self, function: str) -> frozenset[str]:
        """Return the control accounts over which the function is granted; `EVERYWHERE` stands for all."""
        return self.grants.get(function, frozenset())

    def everywhere(self, function: str) -> bool:
        """Return whether the function is granted over the whole programme."""
        return EVERYWHERE in self.control_accounts(function)

    def covers(self, function: str, path: Iterable[str]) -> bool:
        """Return whether the function is granted over what lies at ``path``, the numbers from the master downwards."""
        granted = self.control_accounts(function)
        return EVERYWHERE in granted or not granted.isdisjoint(path)


class BadAssertion(Exception):
    """No assertion, or one that is forged, expired or made for another service."""


class Signer:
    """Makes assertions; only the gateway has one. ``private_key`` is PEM."""

    def __init__(self, private_key: str) -> None:
        key = load_pem_private_key(private_key.encode(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the assertion key must be an Ed25519 key")
        self._key = key

    def sign(self, actor: Actor, audience: Iterable[str], now: datetime) -> str:
        """Return the assertion that ``actor`` speaks to the services in ``audience``, good for `LIFETIME`."""
        claims = {
            "iss": _ISSUER,
            "aud": sorted(audience),
            "sub": actor.user_id,
            "party": actor.party,
            "company": actor.company,
            "sid": actor.session_id,
            "obo": actor.on_behalf_of,
            "approvals": sorted(actor.approvals),
            "own": sorted(actor.own_accounts),
            "grants": _grouped(actor.grants),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")


class Verifier:
    """Reads assertions made for one service. ``public_key`` is PEM."""

    def __init__(self, public_key: str, service: str) -> None:
        key = load_pem_public_key(public_key.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise TypeError("the assertion key must be an Ed25519 key")
        self._read = lru_cache(maxsize=4096)(lambda token: _read(token, key, service))

    def verify(self, token: str | None, at: datetime) -> Actor:
        """Return the actor of an assertion that was good at the instant ``at``; raises BadAssertion."""
        if not token:
            raise BadAssertion("there is no actor assertion")
        actor, issued, expires = self._read(token)
        if not issued - _SKEW <= at <= expires + _SKEW:
            raise BadAssertion("the actor assertion was not good at that time")
        return actor


def _read(token: str, key: Ed25519PublicKey, service: str) -> tuple[Actor, datetime, datetime]:
    # The time is checked by the caller: a command may lie in its queue far longer than an assertion lives.
    options: Any = {"require": ["iss", "aud", "sub", "iat", "exp"], "verify_exp": False, "verify_iat": False}
    try:
        claims = jwt.decode(
            token, key, algorithms=["EdDSA"], audience=service, issuer=_ISSUER, options=options
        )
        actor = Actor(
            user_id=claims["sub"],
            party=Party(claims["party"]),
            company=claims["company"],
            session_id=claims["sid"],
            on_behalf_of=claims["obo"],
            approvals=frozenset(claims["approvals"]),
            own_accounts=frozenset(claims["own"]),
            grants=_ungrouped(claims["grants"]),
        )
    except (jwt.InvalidTokenError, KeyError, ValueError) as error:
        raise BadAssertion(f"the actor assertion is not good: {error}") from error
    return actor, datetime.fromtimestamp(claims["iat"], UTC), datetime.fromtimestamp(claims["exp"], UTC)


def _grouped(grants: Mapping[str, frozenset[str]]) -> list[list[list[str]]]:
    """Return the grants as pairs of functions and control accounts: most functions share the same control accounts."""
    groups: dict[frozenset[str], list[str]] = {}
    for function, numbers in grants.items():
        groups.setdefault(numbers, []).append(function)
    return [[sorted(functions), sorted(numbers)] for numbers, functions in groups.items()]


def _ungrouped(groups: list[list[list[str]]]) -> dict[str, frozenset[str]]:
    return {function: frozenset(numbers) for functions, numbers in groups for function in functions}
