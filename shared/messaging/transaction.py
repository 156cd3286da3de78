"""What a handler sees of the world: one message, one transaction, and the aggregates that the message names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy import orm

from shared.actor import Actor, Party
from shared.contracts.base import Message, UnknownMessage, catalogue
from shared.contracts.outcomes import OUTCOMES, CommandCompleted, RequestStatus
from shared.contracts.types import CARD_ACCOUNT, Channel
from shared.database import insert_rows, update_rows
from shared.errors import NotFound, Stale
from shared.ids import new_message_id
from shared.messaging.bus import Reply
from shared.messaging.envelope import Envelope
from shared.settings import Settings

A = TypeVar("A", bound="Aggregated")
Gathered = Callable[[Mapping[str, "Transaction"]], None]
_TOGETHER = 4
_SYSTEM = Actor(user_id="system", party=Party.SYSTEM)


class Aggregated(Protocol):
    """A thing that commands change as a whole and that lies somewhere in a company's structure."""

    @property
    def control_path(self) -> tuple[str, ...]:
        """The numbers of the control accounts above it, the master first."""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """How a service loads one kind of aggregate, and how it records what a handler changed.

    ``load`` gets ids in order and returns the rows by id, locked in that order; ``record`` gets the state of an
    aggregate's columns before the message was handled.
    """

    model: type[Any]
    noun: str
    load: Callable[[orm.Session, Sequence[str]], Mapping[str, Any]]
    record: Callable[["Transaction", Any, Mapping[str, Any]], None] | None = None


@dataclass
class Batch:
    """What the messages of one transaction share: the session, the loaded aggregates, and what is to be sent.

    ``settle_item`` is told the outcomes that are those of one item of a bulk command.
    """

    session: orm.Session
    source: str
    now: datetime
    settings: Settings
    aggregates: Mapping[str, Aggregate]
    settle_item: "Callable[[Message, Transaction], None] | None" = None
    loaded: dict[type[Any], dict[str, Any]] = field(default_factory=dict)
    events: list[Envelope] = field(default_factory=list)
    inserts: dict[sa.Table, list[dict[str, Any]]] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    gathered: dict[Gathered, dict[str, "Transaction"]] = field(default_factory=dict)
    woken: set[str] = field(default_factory=set)

    def load(self, kind: str, ids: Iterable[str]) -> None:
        """Load the aggregates that are not loaded yet, locked in id order."""
        aggregate = self.aggregates[kind]
        known = self.loaded.setdefault(aggregate.model, {})
        missing = sorted(set(ids) - known.keys())
        if missing:
            known.update(aggregate.load(self.session, missing))

    def flush(self) -> None:
        """Write everything: changed aggregates, then other objects, then the appended rows, each kind by one statement."""
        self._update_changed()
        self.session.flush()
        for finish, subjects in self.gathered.items():
            finish(subjects)
        self.gathered.clear()
        for table, appended in self.inserts.items():
            names = tuple(appended[0])
            insert_rows(self.session, table, names, [tuple(row.values()) for row in appended])
        self.inserts.clear()

    def _update_changed(self) -> None:
        """Update the loaded aggregates that changed, those with the same changed columns together."""
        alike: dict[tuple[type[Any], tuple[str, ...]], list[Any]] = {}
        for model, known in self.loaded.items():
            for thing in known.values():
                changed = sa.inspect(thing).committed_state
                if thing in self.session and changed:
                    alike.setdefault((model, tuple(sorted(changed))), []).append(thing)
        updates: list[tuple[sa.Table, Sequence[str], list[list[Any]]]] = []
        written: list[Any] = []
        for (model, changed), things in alike.items():
            if len(things) < _TOGETHER:
                continue  # the session itself is quicker with a few
            names = (sa.inspect(model).primary_key[0].name, *changed)
            updates.append(
                (model.__table__, names, [[getattr(thing, name) for name in names] for thing in things])
            )
            written += things
        self._release(written)
        for update in updates:
            update_rows(self.session, *update)

    def _release(self, written: Sequence[Any]) -> None:
        """Take what is written by other means out of the session, or it would write it too."""
        if not written:
            return
        if len(written) == len(self.session.dirty) and not self.session.new and not self.session.deleted:
            self.session.expunge_all()  # much quicker than one by one
        else:
            for thing in written:
                self.session.expunge(thing)


@dataclass
class Transaction:
    """One message's share of a transaction; ``now`` is the instant at which the batch was taken up.

    A handler publishes by `publish`, never by itself, and raises Rejected before it changes anything. ``approved`` says
    that a second person has approved the command. ``own_accounts`` are the card accounts that it reaches as the actor's
    own, without the function. With ``is_item`` the work is one item of a bulk command, so that its
    outcome is not the command's: it stays within the service.
    """

    batch: Batch
    envelope: Envelope
    actor: Actor = _SYSTEM
    function: str | None = None
    own_accounts: frozenset[str] = frozenset()
    status: RequestStatus = RequestStatus.COMPLETED
    approved: bool = False
    approver_function: str | None = None
    is_item: bool = False
    _before: list[tuple[Aggregate, Any, dict[str, Any]]] = field(default_factory=list)

    @property
    def session(self) -> orm.Session:
        """The open session; it is committed by the dispatcher."""
        return self.batch.session

    @property
    def now(self) -> datetime:
        """The instant at which this is handled."""
        return self.batch.now

    @property
    def settings(self) -> Settings:
        """The settings of the process."""
        return self.batch.settings

    def one(self, model: type[A], id_: str, field_name: str | None = None) -> A:
        """Return an aggregate that the actor may act on; raises NotFound where it is absent or outside the scope.

        Raises Stale where it is what the command is about, and not at the version that its sender has seen.
        """
        kind, aggregate = next((k, a) for k, a in self.batch.aggregates.items() if a.model is model)
        self.batch.load(kind, [id_])
        found: A | None = self.batch.loaded[model].get(id_)
        own = kind == CARD_ACCOUNT.kind and id_ in self.own_accounts
        if found is None or not (own or self._covers(found.control_path)):
            raise NotFound(aggregate.noun, field_name)
        expected = self.envelope.expected_version
        if (
            expected is not None
            and id_ == self.envelope.subject
            and getattr(found, "version", None) != expected
        ):
            raise Stale
        self.watch(found)
        return found

    def _covers(self, path: Sequence[str]) -> bool:
        return not self.function or self.actor.covers(self.function, path)

    def add(self, thing: Any) -> None:
        """Add a new aggregate, whose every field is recorded as changed from nothing."""
        self.session.add(thing)
        self._before.append((self._kind_of(thing), thing, {}))

    def watch(self, thing: Any) -> None:
        """Remember the state of an aggregate, so that what changes is recorded when the message is done."""
        if not any(watched is thing for _, watched, _ in self._before):
            self._before.append((self._kind_of(thing), thing, state_of(thing)))

    def _kind_of(self, thing: Any) -> Aggregate:
        return next(
            aggregate for aggregate in self.batch.aggregates.values() if aggregate.model is type(thing)
        )

    def publish(self, event: Message, subject: str | None = None) -> None:
        """Send an event when the transaction commits."""
        if self.is_item and isinstance(event, OUTCOMES):
            if self.batch.settle_item:
                self.batch.settle_item(event, self)
            return
        caused = self.envelope.causes(event, source=self.batch.source, time=self.now, subject=subject)
        self.batch.events.append(caused)

    def insert(self, table: sa.Table, **values: Any) -> None:
        """Append a row that nobody changes afterwards; every row of a table names the same columns in the same order."""
        self.batch.inserts.setdefault(table, []).append(values)

    def gather(self, finish: Gathered, subject: str) -> None:
        """Have ``finish`` called once for the whole batch, before it commits, with every subject gathered for it.

        It gets each subject's transaction, and changes no aggregate; so what a handler leaves to it costs a statement for
        each batch, not for each message.
        """
        self.batch.gathered.setdefault(finish, {})[subject] = self

    def wake(self, job: str) -> None:
        """Have a job of this service run right after the commit, without waiting for its time."""
        self.batch.woken.add(job)

    def reply(self, to: str, command_id: str, content: Mapping[str, Any]) -> None:
        """Answer whoever waits, after the commit."""
        self.batch.replies.append(Reply(to=to, command_id=command_id, content=content))

    def finish_later(self, status: RequestStatus) -> None:
        """Leave the command unfinished at this status; a job or a reaction completes it by `complete`."""
        self.status = status

    def await_approval(self, function: str | None) -> None:
        """Have the command held, unchanged, until a second person with this function over its scope approves it.

        The handler returns at once; it is called again, with ``approved``, when somebody did (Part 2 no. 6).
        """
        self.status, self.approver_function = RequestStatus.AWAITING_APPROVAL, function

    def complete(self, result: Mapping[str, Any] | None = None) -> None:
        """Report the command that this transaction continues as carried out."""
        name = self.envelope.contract.name
        self.publish(CommandCompleted(command_id=self.envelope.correlation_id, command=name, result=result))

    def continuing(
        self,
        *,
        command_id: str,
        key: str,
        actor: str,
        on_behalf_of: str | None,
        channel: Channel,
        subject: str | None = None,
    ) -> "Transaction":
        """Return a transaction, in the same batch, for work that an earlier command left to the clock.

        ``subject`` is what the work is about, which tells the items of a bulk command apart.
        """
        envelope = replace(
            self.envelope,
            id=new_message_id(),
            key=key,
            correlation_id=command_id,
            actor=actor,
            on_behalf_of=on_behalf_of,
            channel=channel,
            subject=subject,
        )
        return Transaction(self.batch, envelope, is_item=_is_bulk(key))

    def is_untouched(self) -> bool:
        """Return whether no watched aggregate has changed: what a rejection promises."""
        return all(state_of(thing) == before for _, thing, before in self._before)

    def record(self) -> None:
        """Write down what changed in each watched aggregate."""
        for aggregate, thing, before in self._before:
            if aggregate.record and state_of(thing) != before:
                aggregate.record(self, thing, before)


def _is_bulk(key: str) -> bool:
    try:
        return catalogue[key].bulk
    except UnknownMessage:  # what the clock itself began
        return False


def state_of(thing: Any) -> dict[str, Any]:
    """Return the loaded columns of a mapped object."""
    state: dict[str, Any] = vars(thing).copy()
    state.pop("_sa_instance_state", None)
    return state


@dataclass(frozen=True, slots=True)
class Reader:
    """What a read sees: a session, who asks, and over which control accounts the read's function is granted.

    ``own_accounts`` are the card accounts that are seen as the caller's own, whatever is granted.
    """

    session: orm.Session
    actor: Actor
    function: str | None
    now: datetime
    settings: Settings
    own_accounts: frozenset[str] = frozenset()

    @property
    def control_accounts(self) -> frozenset[str] | None:
        """The control accounts below which everything may be seen; None stands for all."""
        if self.function is None or self.actor.everywhere(self.function):
            return None
        return self.actor.control_accounts(self.function)
