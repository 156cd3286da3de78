"""Tracking by itself, on SQLite and on PostgreSQL, without a broker: messages in, what it says and what it answers out."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from deploy.keys import make_keys
from services.tracking.service import service
from shared.actor import EVERYWHERE, Actor, Party, Signer, Verifier
from shared.contracts.accounts import CancelAccount, CancelReason
from shared.contracts.base import Message
from shared.contracts.types import Channel
from shared.database import Database
from shared.ids import new_id
from shared.messaging.bus import Delivery
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.messaging.transaction import Reader
from shared.observability import Metrics
from shared.service import Service
from shared.settings import Settings

NOON = datetime(2026, 3, 16, 12, tzinfo=UTC)
MASTER, INTERMEDIATE, BASIC = PATH = ("100000000000000", "200000000000000", "300000000000000")
ELSEWHERE = ("100000000000009", "200000000000009", "300000000000009")
_KEYS = make_keys()


def user(
    user_id: str, *functions: str, over: Sequence[str] = (MASTER,), party: Party = Party.CLIENT
) -> Actor:
    """Return a user who has these functions over these control accounts."""
    return Actor(user_id=user_id, party=party, grants=dict.fromkeys(functions, frozenset(over)))


ISSUER = user("operator", "tracking.view", over=(EVERYWHERE,), party=Party.ISSUER)


@dataclass
class Tracking:
    """The service as messages and readers see it; ``now`` is the time that it thinks it is."""

    database: Database
    settings: Settings = field(default_factory=Settings)
    now: datetime = NOON
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def hear(self, *envelopes: Envelope) -> None:
        """Handle messages as one batch; what it publishes, by key, is in ``said``."""
        deliveries = [
            Delivery(
                queue="tracking.events" if one.key.startswith("outcomes.") else "tracking.commands",
                body=encode(one),
                tag=tag,
                message_id=one.id,
                reply_to=None,
            )
            for tag, one in enumerate(envelopes)
        ]
        processed = self.dispatcher().process(deliveries)
        heard = [decode(publication.body) for publication in processed.publications]
        self.said = [(one.key, dict(cast(Mapping[str, Any], one.data))) for one in heard]

    def dispatcher(self) -> Dispatcher:
        return Dispatcher(
            service, self.database, settings=self.settings,
            verifier=Verifier(_KEYS["assertion_public_key"], service.name), clock=lambda: self.now, metrics=Metrics(),
        )  # fmt: skip

    def run_jobs(self, times: int = 1) -> None:
        for _ in range(times):
            self.dispatcher().run_jobs()

    def ask(self, query: Message, actor: Actor = ISSUER) -> Any:
        """Answer a read as this user."""
        with self.database.read() as session:
            reader = Reader(session, actor, query.contract.function, self.now, self.settings)
            return service.queries[type(query)](query, reader)

    def counts(self, query: Message, actor: Actor = ISSUER) -> dict[str, int]:
        """Return the overview's counts that are not zero, having checked that they sum to the total."""
        overview = self.ask(query, actor)
        assert overview.total == sum(each.count for each in overview.counts)
        return {each.status.value: each.count for each in overview.counts if each.count}

    def ask_for(self, message: Message, actor: Actor, **changes: Any) -> Envelope:
        """Return a command as the gateway sends it."""
        id_ = str(uuid.uuid4())
        signed = replace(actor, on_behalf_of=changes.get("on_behalf_of"))
        envelope = Envelope(
            id=id_, key=message.contract.key, source="gateway", time=self.now, data=message, correlation_id=id_,
            actor=actor.user_id, channel=Channel.API,
            assertion=Signer(_KEYS["assertion_private_key"]).sign(signed, ["tracking", "accounts"], self.now),
        )  # fmt: skip
        return replace(envelope, **changes)

    def cancellation(self, actor: str = "pa", account_id: str | None = None, **changes: Any) -> Envelope:
        """Return a command that accounts is to carry out."""
        message = CancelAccount(account_id=account_id or new_id("acc"), reason=CancelReason.FRAUD)
        return self.ask_for(message, user(actor), **{"scope": PATH, **changes})

    def outcome(self, command: Envelope, outcome: Any, **fields: Any) -> Envelope:
        """Return what the owner of a command says of it a second later."""
        said = outcome(command_id=command.id, command=command.contract.name, **fields)
        return command.causes(said, source="accounts", time=command.time + timedelta(seconds=1))


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    return service


@pytest.fixture
def tracking(tables: str) -> Iterator[Tracking]:
    """The service without any request."""
    database = Database(tables, plans_once=service.plans_once)
    yield Tracking(database)
    database.close()


@pytest.fixture(params=["few", "some", "many"])
def accounts_that_fit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have searches take any number of accounts that fit for few, for some that are listed, or for too many to list."""
    if request.param != "few":
        for limit in ("", "_BELOW", "_OF_EXCEPTIONAL", "_OF_EXCEPTIONAL_BELOW", "_OF_WAITING_BELOW"):
            monkeypatch.setattr(f"services.tracking.queries.search.MOST{limit}", 0)
    if request.param == "many":
        monkeypatch.setattr("services.tracking.queries.search.SOME", -1)
