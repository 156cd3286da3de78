"""What an installation has done, read where it is kept: in the databases, in the queues and over the portal API."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import pika
import sqlalchemy as sa

from deploy.registry import find_services
from services.accounts.model import Base, CardAccount, Hold, change
from services.tracking.model import metadata as tracking_tables
from services.tracking.model import request, step
from services.tracking.rules import spoken
from shared.contracts import names
from shared.database import Database
from shared.messaging.topology import Topology, topology_of
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation, Portal
from tests.integration.faults.load import PA, Accepted, Load

_FINAL = {"completed", "rejected"}
_CODES = {"suspend": {"account_cancelled"}, "unsuspend": {"not_suspended"}, "cancel": {"account_cancelled"}}
_HOLD = "hold"
_CANCELLING = {"status", "cancel_reason", "cancelled_at"}
_SETTLE_SECONDS = 60


def topology() -> Topology:
    """Return the queues of the services as they are."""
    return topology_of(find_services().values())


@contextmanager
def database_of(installation: Installation, service: str) -> Iterator[sa.orm.Session]:
    """Open a service's own database for the block, to read."""
    database = Database(installation.database_url_of(service))
    try:
        with database.read() as session:
            yield session
    finally:
        database.close()


def queue_lengths(installation: Installation) -> dict[str, int]:
    """Return how many messages wait in each queue; one that a consumer holds is not counted on RabbitMQ."""
    if isinstance(installation, DistributedInstallation):
        return _rabbitmq_lengths(installation.environment["CARDWORK_BROKER_URL"])
    counted = Counter(dict.fromkeys(topology().queues, 0))
    with closing(sqlite3.connect(installation.folder / "data" / "bus.sqlite")) as bus:
        counted.update(dict(bus.execute("select queue, count(*) from message group by queue").fetchall()))
    return dict(counted)


def _rabbitmq_lengths(url: str) -> dict[str, int]:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        return {
            queue: channel.queue_declare(queue, passive=True).method.message_count
            for queue in topology().queues
        }


def dead_letters(installation: Installation) -> dict[str, int]:
    """Return how many dead letters lie in each dead queue."""
    lengths = queue_lengths(installation)
    return {queue: lengths[queue] for queue in topology().dead_queues}


def taken_in(installation: Installation, command_ids: Sequence[str]) -> int:
    """Return how many of these commands the accounts service has committed."""
    inbox = Base.metadata.tables["inbox"]
    with database_of(installation, "accounts") as session:
        found = session.scalars(sa.select(inbox.c.message_id))
        return len(set(found) & set(command_ids))


def outbox_size(installation: Installation, service: str) -> int:
    """Return how many rows a service owes the broker."""
    tables = {"accounts": Base.metadata, "tracking": tracking_tables}[service].tables
    with database_of(installation, service) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(tables["outbox"])) or 0


@dataclass(frozen=True)
class Tracked:
    """A request and its timeline, as tracking keeps them."""

    number: str
    status: str
    code: str | None
    finished: bool
    payload: str | None
    steps: tuple[str, ...]


def tracked(installation: Installation, command_ids: Sequence[str]) -> dict[str, Tracked]:
    """Return what tracking knows of these commands."""
    with database_of(installation, "tracking") as session:
        steps: dict[str, list[str]] = {}
        found = session.execute(
            sa.select(step.c.command_id, step.c.status)
            .where(step.c.command_id.in_(command_ids))
            .order_by(step.c.at, step.c.message_id)
        )
        for command_id, status in found:
            steps.setdefault(command_id, []).append(status)
        requests = session.execute(sa.select(request).where(request.c.command_id.in_(command_ids)))
        return {
            row.command_id: Tracked(
                number=spoken(row.tracking_number),
                status=row.status,
                code=row.code,
                finished=row.finished_at is not None,
                payload=row.payload,
                steps=tuple(steps.get(row.command_id, ())),
            )
            for row in requests
        }


def request_count(installation: Installation) -> int:
    """Return how many requests tracking knows."""
    with database_of(installation, "tracking") as session:
        return session.scalar(sa.select(sa.func.count()).select_from(request)) or 0


class Verdict:
    """Says of a load that is over whether every command in it was settled once and applied once.

    It is made before the load begins, so that what others left behind is not blamed on it.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._dead_before = dead_letters(installation)
        self._requests_before = request_count(installation)

    def find_nothing_lost_or_doubled(
        self, load: Load, *, dead: Mapping[str, int] | None = None, others: int = 0
    ) -> None:
        """Fail unless all is as it should be.

        ``dead`` counts, by queue, the dead letters that the test itself made, ``others`` the requests.
        """
        commands = {one.command_id: one for one in load.accepted}
        assert len(commands) == len(load.accepted), "two commands have one id"
        self._installation.wait_until_ready()
        self._wait_until_settled(list(commands))
        self._wait_until_nothing_is_owed()
        self._check_tracking(commands)
        self._check_accounts(commands, load.accounts)
        self._check_portal(commands, load.accounts[:3])
        expected = {queue: count + (dead or {}).get(queue, 0) for queue, count in self._dead_before.items()}
        assert dead_letters(self._installation) == expected
        assert request_count(self._installation) == self._requests_before + len(commands) + others

    def _wait_until_settled(self, ids: Sequence[str]) -> None:
        def unsettled() -> dict[str, str]:
            found = tracked(self._installation, ids)
            known = {id_: one.status for id_, one in found.items() if one.status not in _FINAL}
            return known | dict.fromkeys(set(ids) - found.keys(), "unknown to tracking")

        try:
            eventually(
                lambda: not unsettled(), timeout=_SETTLE_SECONDS, describe=f"{len(ids)} commands are settled"
            )
        except AssertionError as problem:
            left = unsettled()
            problem.add_note(f"{len(left)} are not: {dict(list(left.items())[:10])}")
            problem.add_note(f"queues: {queue_lengths(self._installation)}")
            problem.add_note(self._installation.last_words())
            raise

    def _wait_until_nothing_is_owed(self) -> None:
        """Every outbox is empty, and every queue but those of the dead and of what nobody wants."""

        def owed() -> dict[str, int]:
            lengths = queue_lengths(self._installation)
            waiting = {
                q: n for q, n in lengths.items() if n and q != names.UNROUTED and q not in self._dead_before
            }
            for service in ("accounts", "tracking"):
                if size := outbox_size(self._installation, service):
                    waiting[f"{service}'s outbox"] = size
            return waiting

        eventually(lambda: not owed(), timeout=_SETTLE_SECONDS, describe="queues and outboxes are empty")

    def _check_tracking(self, commands: Mapping[str, Accepted]) -> None:
        found = tracked(self._installation, list(commands))
        for id_, command in commands.items():
            one = found[id_]
            about = f"{command.verb} {id_}: {one}"
            assert one.steps == ("received", one.status), about
            assert one.finished, about
            assert one.payload is not None, about
            assert one.code in _CODES[command.verb] if one.status == "rejected" else one.code is None, about
            assert command.tracking_number in (None, one.number), about
        assert len({one.number for one in found.values()}) == len(commands)

    def _check_accounts(self, commands: Mapping[str, Accepted], accounts: Sequence[str]) -> None:
        outcome = {id_: one.status for id_, one in tracked(self._installation, list(commands)).items()}
        with database_of(self._installation, "accounts") as session:
            inbox = session.scalars(sa.select(Base.metadata.tables["inbox"].c.message_id))
            assert not commands.keys() - set(inbox), "handled, and not in the inbox"
            changes = session.execute(sa.select(change).where(change.c.subject.in_(accounts))).all()
            holds = Counter(session.scalars(sa.select(Hold.command_id).where(Hold.account_id.in_(accounts))))
            cards = session.execute(
                sa.select(CardAccount.id, CardAccount.status, CardAccount.version).where(
                    CardAccount.id.in_(accounts)
                )
            ).all()
        assert {row.command_id for row in changes} <= commands.keys(), "somebody else changed these accounts"
        fields: dict[str, list[str]] = {id_: [] for id_ in commands}
        for row in changes:
            fields[row.command_id].append(row.field)
        for id_, command in commands.items():
            about = f"{command.verb} {id_}: {outcome[id_]}, changed {fields[id_]}, {holds[id_]} holds"
            assert _was_applied_once(command.verb, outcome[id_], fields[id_], holds[id_]), about
        for account_id, status, version in cards:
            mine = [row for row in changes if row.subject == account_id]
            assert str(status) == "cancelled", account_id
            # Every account began active, at version 1; each request that changes more than its holds counts one further.
            assert version == 1 + len({row.command_id for row in mine if row.field != _HOLD}), account_id
            _check_chain(account_id, [(row.old, row.new) for row in mine if row.field == "status"])

    def _check_portal(self, commands: Mapping[str, Accepted], accounts: Sequence[str]) -> None:
        """What users see says the same."""
        portal = Portal(self._installation.url, self._installation.user(PA))
        for account in accounts:
            history = portal.get(f"/accounts/{account}/history", limit=500)["data"]
            cancelled = [
                entry for entry in history if entry["field"] == "status" and entry["new"] == "cancelled"
            ]
            assert len(cancelled) == 1, account
            by = cancelled[0]
            detail = portal.get(f"/tracking/{by['tracking_number']}")
            assert (detail["command_id"], detail["status"]) == (by["command_id"], "completed")
            assert commands[by["command_id"]].verb == "cancel"
            assert [entry["status"] for entry in detail["timeline"]] == ["received", "completed"]
        portal.http.close()


def _was_applied_once(verb: str, outcome: str, fields: Sequence[str], holds: int) -> bool:
    """Return whether rows were written as one handling of the command writes them."""
    if outcome == "rejected":
        return not fields and not holds
    if verb == "suspend":  # in place of another hold it changes nothing else
        return holds == 1 and sorted(fields) in ([_HOLD, _HOLD], [_HOLD, "status"])
    if verb == "unsuspend":
        return not holds and sorted(fields) == [_HOLD, "status"]
    return not holds and sorted(fields) == sorted(_CANCELLING)


def _check_chain(account_id: str, moves: Sequence[tuple[str | None, str | None]]) -> None:
    """Fail unless the changes of status, in some order, lead from active to cancelled without a gap or a repetition."""
    counted = Counter(moves)
    to_and_fro = {("active", "suspended"), ("suspended", "active")}
    ends = [move for move in moves if move not in to_and_fro]
    assert len(ends) == 1, (account_id, counted)
    (before, after) = ends[0]
    assert after == "cancelled", (account_id, counted)
    surplus = counted["active", "suspended"] - counted["suspended", "active"]
    assert surplus == (before == "suspended"), (account_id, counted)
