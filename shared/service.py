"""The declaration of a service: what it handles, reacts to, answers and does by the clock.

A folder under ``services/`` with a ``service.py`` that holds a `Service` named ``service`` is a service; nothing lists it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Blueprint
from sqlalchemy import orm

from shared.clock import Clock
from shared.contracts.base import Contract, Kind, Message
from shared.contracts.schema import scopes_of
from shared.database import Database
from shared.messaging.envelope import Envelope
from shared.messaging.held import TABLE
from shared.messaging.transaction import Aggregate, Reader, Transaction
from shared.settings import Settings

Handler = Callable[[Any, Transaction], Mapping[str, Any] | None]
Reaction = Callable[[Any, Transaction], None]
Query = Callable[[Any, Reader], Any]
Withdrawal = Callable[[str, Transaction], bool]
Settlement = Callable[[Message, Transaction], None]
Places = Callable[[orm.Session, Sequence[str]], Mapping[str, Sequence[str]]]
Transact = Callable[[], AbstractContextManager[Transaction]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A command or outcome as an observing service sees it."""

    envelope: Envelope
    reply_to: str | None


Observer = Callable[[Sequence[Observed], Transaction], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that the clock starts: ``run`` does what is due, in one transaction, and returns how many things it did."""

    name: str
    every: timedelta
    run: Callable[[Transaction], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Work that the clock starts and that speaks to the world outside, such as a mail server.

    ``run`` opens as many transactions as it needs and holds none open while it waits for an answer: what it is about
    to do is committed before, what became of it after. It returns how many things it did.
    """

    name: str
    every: timedelta
    run: Callable[[Transact], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a service's own HTTP endpoints need: its database, the settings and the clock."""

    database: Database
    settings: Settings
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class Service:
    """A bounded context. ``aggregates`` goes by the kind that a contract's scoped fields name.

    ``observe`` sees every command of every service and every outcome, before any handler; only tracking has one.
    ``endpoints`` makes the blueprint of what is no contract, such as sign-in; only the gateway calls it. ``withdraw``
    takes back the command of this id that waits for its time, and returns whether there was one (Part 2 no. 1).
    ``places`` goes by the kind that a contract's scoped fields name: ids in, the control accounts above each out.
    ``settle_item`` is told what became of an item of a bulk command that was accepted first and took effect later.
    ``check`` raises BadSettings where the service could not do its work with these settings; a worker asks it first.
    ``plans_once`` has PostgreSQL plan its reads as `Database` says.
    """

    name: str
    metadata: sa.MetaData
    migrations: Path
    handlers: Mapping[type[Message], Handler] = field(default_factory=dict)
    reactions: Mapping[type[Message], Reaction] = field(default_factory=dict)
    queries: Mapping[type[Message], Query] = field(default_factory=dict)
    aggregates: Mapping[str, Aggregate] = field(default_factory=dict)
    jobs: Sequence[Job | Errand] = ()
    observe: Observer | None = None
    endpoints: Callable[[Running], Blueprint] | None = None
    withdraw: Withdrawal | None = None
    places: Mapping[str, Places] = field(default_factory=dict)
    settle_item: Settlement | None = None
    check: Callable[[Settings], None] | None = None
    plans_once: bool = False

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts the contracts."""
        self._expect(self.handlers, Kind.COMMAND, own=True)
        self._expect(self.queries, Kind.READ, own=True)
        self._expect(self.reactions, Kind.EVENT, own=False)

    def _expect(self, declared: Mapping[type[Message], Any], kind: Kind, *, own: bool) -> None:
        for cls in declared:
            contract = cls.contract
            if contract.kind is not kind or (own and contract.owner != self.name):
                raise TypeError(f"{self.name}: {contract.name} is no {kind} of this service")

    @property
    def consumes(self) -> bool:
        """Whether the service has anything to do with the bus, and so needs a worker."""
        return bool(self.handlers or self.reactions or self.observe or self.jobs)

    @property
    def holds(self) -> bool:
        """Whether the service can hold commands until a second person approves them."""
        return TABLE in self.metadata.tables

    @property
    def answers(self) -> bool:
        """Whether the gateway asks the service anything, and so needs its web."""
        return bool(self.queries or self.endpoints or self.places)

    def named_by(self, contract: Contract) -> dict[str, str]:
        """Return the fields of a message that name an aggregate of this service, each with the aggregate's kind."""
        scopes = scopes_of(contract.cls)
        return {name: mark.kind for name, mark in scopes.items() if mark.kind in self.aggregates}
