"""Who is asking, and may they: the session behind a token, and the control accounts above whatever a request names."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

from flask import g, request

from services.gateway.loader import Loader
from services.gateway.upstream import Upstream
from shared.actor import Actor, Party
from shared.contracts.base import Contract, Message
from shared.contracts.schema import placed_of, scopes_of
from shared.contracts.types import CARD_ACCOUNT, Scoped
from shared.errors import NotFound
from shared.rights import may_send, own_accounts
from shared.web.problems import Problem, function_not_granted, not_signed_in

_TOKEN_LENGTHS = range(20, 201)
Place = tuple[str, str, str]  # the service that knows of a thing, its kind and its id


@dataclass(frozen=True, slots=True)
class Named:
    """A thing that a field of a message names; the control accounts above it are being looked up."""

    field: str
    id: str
    mark: Scoped
    path: "Future[tuple[str, ...] | None]"


@dataclass(frozen=True, slots=True)
class Lent:
    """What somebody shares with a visitor for a time (IDN-07)."""

    delegation: str
    lender: str
    lender_name: str
    ends_at: datetime
    grants: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in user, as identity describes the session."""

    actor: Actor
    name: str
    role: str
    expires_at: datetime
    second_factor_needed: bool
    lent: Sequence[Lent]

    def acting_for(self, lender: str | None) -> Actor:
        """Return the visitor, or the visitor in the stead of a lender; raises a 403 problem where nothing is lent."""
        if lender is None:
            return self.actor
        grants: dict[str, frozenset[str]] = {}
        for lent in self.lent:
            if lent.lender == lender:
                for function, numbers in lent.grants.items():
                    grants[function] = grants.get(function, frozenset()) | numbers
        if not grants:
            raise Problem(
                status=403,
                code="nothing_lent",
                title="You cannot act for this user.",
                detail="Nothing is shared with you by a user of this ID just now; see GET /delegations.",
            )
        return replace(self.actor, on_behalf_of=lender, own_accounts=frozenset(), grants=grants)


class Entrance:
    """Lets nobody in without a session, and nobody to what lies outside the own control accounts."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._upstreams = upstreams
        self._sessions: Loader[str, dict[str, Any]] = Loader("sessions", self._check_sessions)
        self._glances: Loader[str, dict[str, Any]] = Loader("glances", self._glance_at_sessions)
        self._places: Loader[Place, tuple[str, ...]] = Loader("scopes", self._find_places)

    def session(self, *, used: bool = True) -> "Future[dict[str, Any] | None]":
        """Begin to look up the session of this request; raises a 401 problem where it bears no token.

        A session lives on by being used; what goes on by itself does not use it.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or len(token) not in _TOKEN_LENGTHS:
            raise not_signed_in()
        return (self._sessions if used else self._glances).load(token)

    def visitor(self, session: "Future[dict[str, Any] | None]") -> Visitor:
        """Return who is asking; raises a 401 problem where the session is over."""
        found = session.result()
        if found is None:
            raise not_signed_in("This session is over. Sign in again.")
        visitor = _visitor(found)
        g.actor = visitor.actor
        return visitor

    def look_up(self, contract: Contract, message: Message) -> list[Named]:
        """Begin to look up where everything lies that the message names."""
        return [
            Named(field, id_, mark, self._places.load((mark.owner, mark.kind, id_)))
            for field, id_, mark in _named(contract, message)
        ]

    def check_function(self, contract: Contract, actor: Actor) -> None:
        """Raise a 403 problem where the caller has the function over nothing at all, nor is it a holder's."""
        if not may_send(actor, contract):
            raise function_not_granted(contract.function or "")

    def check_places(self, contract: Contract, actor: Actor, named: Sequence[Named]) -> tuple[str, ...]:
        """Return the control accounts above what the message names, the master first: above all, where a field names many.

        Raises NotFound where something does not exist or lies outside the caller's control accounts: a caller cannot
        tell the two apart.
        """
        common: dict[str, tuple[str, ...]] = {}
        for one in named:
            path = one.path.result()
            if one.mark.owner_knows_holder and own_accounts(actor, contract):
                continue  # its owner says in the same words that it does not exist, or is not the holder's
            if path is None or not _admits(one, contract, actor, path):
                raise NotFound("thing")
            common[one.field] = _shared(common.get(one.field, path), path)
        return max(common.values(), key=len, default=())

    def places(self, contract: Contract, named: Sequence[Named]) -> Mapping[str, tuple[str, ...]]:
        """Return where those things lie whose place goes along with the message, once `check_places` has let it pass."""
        placed = placed_of(contract.cls)
        return {one.id: one.path.result() or () for one in named if one.field in placed}

    def _check_sessions(self, tokens: Sequence[str], *, used: bool = True) -> Mapping[str, dict[str, Any]]:
        asked = {"tokens": list(tokens), "used": used}
        found = self._upstreams["identity"].post("/sessions/check", asked)["sessions"]
        return {token: session for token, session in zip(tokens, found, strict=True) if session}

    def _glance_at_sessions(self, tokens: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        return self._check_sessions(tokens, used=False)

    def _find_places(self, places: Sequence[Place]) -> Mapping[Place, tuple[str, ...]]:
        asked: dict[str, dict[str, list[str]]] = {}
        for owner, kind, id_ in places:
            asked.setdefault(owner, {}).setdefault(kind, []).append(id_)
        return {
            (owner, kind, id_): tuple(path)
            for owner, kinds in asked.items()
            for kind, paths in self._upstreams[owner].post("/scopes", kinds).items()
            for id_, path in paths.items()
        }


def _admits(named: Named, contract: Contract, actor: Actor, path: tuple[str, ...]) -> bool:
    mark = named.mark
    if mark.owner_decides or not contract.function or actor.covers(contract.function, path):
        return True
    return mark == CARD_ACCOUNT and named.id in own_accounts(actor, contract)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return the control accounts above both, the master first."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return tuple(number for number, _ in same)


def _named(contract: Contract, message: Message) -> list[tuple[str, str, Scoped]]:
    found = []
    for name, mark in scopes_of(contract.cls).items():
        value = getattr(message, name)
        values = value if isinstance(value, list) else [value]
        found += [(name, id_, mark) for id_ in values if id_ is not None]
    return found


def _visitor(session: Mapping[str, Any]) -> Visitor:
    actor = Actor(
        user_id=session["user_id"],
        party=Party(session["party"]),
        company=session["company"],
        session_id=session["session_id"],
        approvals=frozenset(session["approvals"]),
        own_accounts=frozenset(session["own_accounts"]),
        grants=_ungrouped(session["grants"]),
    )
    lent = [
        Lent(
            one["delegation"],
            one["lender"],
            one["lender_name"],
            datetime.fromisoformat(one["ends_at"]),
            _ungrouped(one["grants"]),
        )
        for one in session["lent"]
    ]
    expires_at = datetime.fromisoformat(session["expires_at"])
    return Visitor(actor, session["name"], session["role"], expires_at, session["second_factor_needed"], lent)


def _ungrouped(groups: Sequence[Any]) -> dict[str, frozenset[str]]:
    return {function: frozenset(numbers) for functions, numbers in groups for function in functions}
