"""Whatever the order, the repetition and the batching of what tracking hears, a request ends in the same state."""

import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.keys import make_keys
from services.tracking.model import request, step
from services.tracking.queries.overview import get_overview
from services.tracking.rules import spoken
from services.tracking.service import service
from shared.actor import EVERYWHERE, Actor, Party, Verifier
from shared.clock import utc_now
from shared.contracts.accounts import CancelAccount, CancelReason
from shared.contracts.base import Message
from shared.contracts.outcomes import (
    CommandAccepted,
    CommandCompleted,
    CommandFailed,
    CommandRejected,
    CommandWithdrawn,
    RequestStatus,
    status_of,
)
from shared.contracts.tracking import GetRequestOverview
from shared.contracts.types import Channel
from shared.database import Database as ServiceDatabase
from shared.database import sqlite_url
from shared.ids import new_id
from shared.messaging.bus import Delivery
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, encode
from shared.messaging.transaction import Reader
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.settings import Settings
from shared.testing.databases import Database

_BEGUN = datetime(2025, 3, 1, 12, tzinfo=UTC)
_ROUNDS = 100
_VERIFIER = Verifier(make_keys()["assertion_public_key"], service.name)
_ISSUER = Actor(user_id="operator", party=Party.ISSUER, grants={"tracking.view": frozenset({EVERYWHERE})})
_SCOPE = ("100000000000000", "200000000000000", "300000000000000")

# The ways that a command may go, by the outcomes that its owner sends, in their order.
_WAYS = (
    (),
    ("completed",),
    ("rejected",),
    ("failed",),
    ("failed", "completed"),  # an operator drove the dead letter again
    ("failed", "rejected"),
    ("processing", "completed"),
    ("scheduled", "processing", "completed"),
    ("awaiting_approval", "scheduled", "rejected"),
    ("scheduled", "failed", "completed"),
    ("scheduled", "withdrawn"),
    ("awaiting_approval", "withdrawn"),
    ("awaiting_approval", "rejected"),
    ("awaiting_approval", "processing", "completed"),
    ("awaiting_approval",),
    ("processing",),
)


@dataclass(frozen=True)
class History:
    """What happened to one command: the messages that asked for it, and what its owner said of it.

    A client that repeats a command under its key makes a message of another time, under the same id.
    """

    commands: tuple[Envelope, ...]
    outcomes: tuple[Envelope, ...]

    @property
    def id(self) -> str:
        return self.commands[0].id

    @property
    def messages(self) -> tuple[Envelope, ...]:
        return (*self.commands, *self.outcomes)

    @property
    def end(self) -> Envelope:
        """The message that decides where the request stands."""
        return max(self.messages, key=lambda envelope: _status(envelope).rank)


def _status(envelope: Envelope) -> RequestStatus:
    assert isinstance(envelope.data, Message)
    return RequestStatus.RECEIVED if isinstance(envelope.data, CancelAccount) else status_of(envelope.data)


def _outcome(status: str, command: Envelope, place: int) -> Envelope:
    about = {"command_id": command.id, "command": "accounts.cancel-account"}
    message: Message
    match status:
        case "completed":
            message = CommandCompleted(**about, result={"place": place})
        case "rejected":
            message = CommandRejected(**about, code="account_cancelled", message="It is.", field="account_id")
        case "failed":
            message = CommandFailed(**about, code="internal_error", message="A fault.")
        case "withdrawn":
            message = CommandWithdrawn(**about)
        case _:
            approver = "accounts.approve" if status == "awaiting_approval" else None
            message = CommandAccepted(**about, status=RequestStatus(status), approver_function=approver)
    when = command.time + timedelta(seconds=place)
    return replace(command.causes(message, source="accounts", time=when), subject=None)


def _history(
    way: Sequence[str], *, asked: int = 1, actor: str = "pa.one", begun: datetime = _BEGUN
) -> History:
    id_ = str(uuid.uuid4())
    command = Envelope(
        id=id_,
        key=CancelAccount.contract.key,
        source="gateway",
        time=begun,
        data=CancelAccount(account_id=new_id("acc"), reason=CancelReason.FRAUD),
        correlation_id=id_,
        actor=actor,
        channel=Channel.API,
        scope=_SCOPE,
        fingerprint=id_.replace("-", "") * 2,
    )
    commands = tuple(replace(command, time=begun + timedelta(seconds=n)) for n in range(asked))
    return History(commands, tuple(_outcome(status, command, n) for n, status in enumerate(way, 1)))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """One command, asked for at least once, with its outcomes, never two alike."""
    return _history(
        draw(st.sampled_from(_WAYS)),
        asked=draw(st.integers(1, 3)),
        actor=draw(st.sampled_from(["pa.one", "pa.two"])),
        begun=_BEGUN + timedelta(seconds=draw(st.integers(0, 1000))),
    )


@dataclass(frozen=True)
class Arrival:
    """How the messages of a few histories come: in batches, in any order, each at least once.

    ``jobs`` says after which batches the clock starts the service's jobs. A message that was lost comes later.
    """

    histories: Sequence[History]
    batches: Sequence[Sequence[Envelope]]
    jobs: frozenset[int]


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    told = draw(st.lists(histories(), min_size=1, max_size=3))
    messages = [envelope for history in told for envelope in history.messages]
    again = draw(st.lists(st.sampled_from(messages), max_size=len(messages)))
    line = draw(st.permutations(messages + again))
    cuts = sorted(draw(st.sets(st.integers(1, len(line)), max_size=len(line))))
    batches = [line[start:end] for start, end in zip([0, *cuts], [*cuts, len(line)], strict=True)]
    batches = [batch for batch in batches if batch]
    jobs = draw(st.frozensets(st.integers(0, len(batches) - 1), max_size=2))
    return Arrival(told, batches, jobs)


class TrackingByItself:
    """The tracking service's dispatcher on a database, without a broker."""

    def __init__(self, url: str) -> None:
        upgrade(service, url)
        self.said: list[tuple[str, str]] = []
        self.database = ServiceDatabase(url)
        self._dispatcher = self._new_dispatcher()

    def _new_dispatcher(self) -> Dispatcher:
        return Dispatcher(
            service,
            self.database,
            settings=Settings(),
            verifier=_VERIFIER,
            clock=utc_now,
            metrics=Metrics(),
        )

    def run_jobs(self) -> None:
        """Do what the clock has made due since the service began, as for one that begins only now everything is."""
        self._new_dispatcher().run_jobs()

    def counts(self) -> Counter[RequestStatus]:
        """Return the overview's counts, which sum to the total."""
        with self.database.read() as session:
            reader = Reader(session, _ISSUER, "tracking.view", utc_now(), Settings())
            overview = get_overview(GetRequestOverview(), reader)
        assert overview.total == sum(each.count for each in overview.counts)
        return Counter({each.status: each.count for each in overview.counts if each.count})

    def hear(self, batch: Sequence[Envelope]) -> dict[str, str]:
        """Handle a batch and return the tracking numbers with which its commands were answered."""
        deliveries = [
            Delivery(
                queue="tracking.commands" if isinstance(envelope.data, CancelAccount) else "tracking.events",
                body=encode(envelope),
                tag=tag,
                message_id=envelope.id,
                reply_to="a-gateway",
            )
            for tag, envelope in enumerate(batch)
        ]
        processed = self._dispatcher.process(deliveries)
        assert not processed.publications, "a dead letter"
        self.said = [(str(reply.content["kind"]), reply.command_id) for reply in processed.replies]
        answered: dict[str, str] = {}
        for reply in processed.replies:
            number = reply.content["tracking_number"]
            assert answered.setdefault(reply.command_id, number) == number
        return answered

    def row(self, command_id: str) -> sa.Row[tuple[object, ...]]:
        with self.database.read() as session:
            return session.execute(sa.select(request).where(request.c.command_id == command_id)).one()

    def steps(self, command_id: str) -> list[tuple[str, str, datetime]]:
        mine = sa.select(step.c.message_id, step.c.status, step.c.at).where(step.c.command_id == command_id)
        with self.database.read() as session:
            return [(row.message_id, row.status, row.at) for row in session.execute(mine)]


def _check(tracking: TrackingByItself, arrival: Arrival) -> None:
    numbers: dict[str, str] = {}
    counted = tracking.counts()
    for place, batch in enumerate(arrival.batches):
        for command_id, number in tracking.hear(batch).items():
            assert numbers.setdefault(command_id, number) == number, "a request got two tracking numbers"
        if place in arrival.jobs:
            tracking.run_jobs()
    came = [envelope for batch in arrival.batches for envelope in batch]
    for history in arrival.histories:
        command = next(envelope for envelope in came if envelope in history.commands)
        _check_end(tracking, history, command, numbers[history.id])
    ends = Counter(_status(history.end) for history in arrival.histories)
    assert tracking.counts() == counted + ends


def _check_end(tracking: TrackingByItself, history: History, command: Envelope, number: str) -> None:
    """Fail unless the request stands where the furthest outcome took it, asked for by ``command``, the first to come."""
    end = history.end
    row = tracking.row(command.id)
    status, said = _status(end), end.data
    assert spoken(row.tracking_number) == number
    assert (row.status, row.rank) == (status, status.rank)
    assert (row.code, row.message) == (getattr(said, "code", None), getattr(said, "message", None))
    assert row.field == getattr(said, "field", None)
    awaited = any(_status(each) is RequestStatus.AWAITING_APPROVAL for each in history.outcomes)
    assert row.approver_function == ("accounts.approve" if awaited else None)
    assert row.exceptional == (None if status is RequestStatus.COMPLETED else status), (
        "old as it is, it lingers"
    )
    assert (row.result is not None) == (getattr(said, "result", None) is not None)
    assert row.finished_at == (end.time if status.is_settled else None)
    # All that only the command knows, whenever it came.
    assert (row.type, row.actor, row.asked_at) == ("accounts.cancel-account", command.actor, command.time)
    assert row.due_at == command.time + (CancelAccount.contract.service_time or timedelta())
    assert (row.master, row.intermediate, row.basic) == _SCOPE
    assert row.account_id in row.payload
    assert row.fingerprint == command.fingerprint
    expected = [(each.id, str(_status(each)), each.time) for each in (command, *history.outcomes)]
    assert sorted(tracking.steps(command.id)) == sorted(expected)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingByItself]:
    tracking = TrackingByItself(sqlite_url(tmp_path_factory.mktemp("any-order") / "tracking.sqlite"))
    yield tracking
    tracking.database.close()


@given(arrival=arrivals())
@settings(max_examples=150, deadline=None)
def test_any_order_ends_in_the_same_state_on_sqlite(on_sqlite: TrackingByItself, arrival: Arrival) -> None:
    _check(on_sqlite, arrival)


@given(arrival=arrivals())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_ends_in_the_same_state_on_postgresql(
    on_postgresql: TrackingByItself, arrival: Arrival
) -> None:
    _check(on_postgresql, arrival)


@pytest.fixture
def on_postgresql(database: Database) -> Iterator[TrackingByItself]:
    tracking = TrackingByItself(database.url)
    yield tracking
    tracking.database.close()


@pytest.mark.parametrize("repeats", [False, True], ids=["once", "repeated without waiting"])
@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one batch"])
def test_who_waits_is_told_the_end_once(
    on_sqlite: TrackingByItself, *, together: bool, repeats: bool
) -> None:
    """Whether command and outcome come in one batch or in two, and whatever else its sender asks meanwhile."""
    history = _history(["completed"])
    waits = replace(history.commands[0], waits=True)
    again = history.commands if repeats else ()
    said = []
    for batch in [[waits, *again, *history.outcomes]] if together else [[waits], [*again, *history.outcomes]]:
        on_sqlite.hear(batch)
        said += on_sqlite.said
    assert said.count(("settled", history.id)) == 1
    assert said.count(("tracked", history.id)) == 1 + len(again)


def test_workers_that_hear_each_others_commands_and_outcomes_do_not_wait_in_a_ring(
    database: Database,
) -> None:
    """One hears of the first command what the other hears of the second, at the same time."""
    first, second = TrackingByItself(database.url), TrackingByItself(database.url)
    together = threading.Barrier(2)

    def hear(tracking: TrackingByItself, batches: Sequence[Sequence[Envelope]]) -> None:
        for batch in batches:
            together.wait()
            tracking.hear(batch)

    told = [(_history(["completed"]), _history(["completed"])) for _ in range(_ROUNDS)]
    with structlog.testing.capture_logs() as logs, ThreadPoolExecutor() as pool:
        one = pool.submit(hear, first, [(*a.commands, *b.outcomes) for a, b in told])
        other = pool.submit(hear, second, [(*b.commands, *a.outcomes) for a, b in told])
        one.result()
        other.result()
    assert not [line for line in logs if line["event"] == "batch replayed one by one"]
    for history in (history for pair in told for history in pair):
        assert first.row(history.id).status == "completed"
    first.database.close()
    second.database.close()
