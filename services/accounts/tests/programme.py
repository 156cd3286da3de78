"""The accounts service behind its queues and its reads: commands in, outcomes out, and time that passes when told to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.keys import make_keys
from services.accounts.model import ControlAccount
from services.accounts.service import service
from shared.actor import EVERYWHERE, Actor, Party, Signer, Verifier
from shared.contracts import load_all
from shared.contracts.accounts import AccountProfile, GetAccount, OpenAccount, Product
from shared.contracts.base import Message
from shared.contracts.cards import CardView, ListCards, ListPendingChanges, PendingChange
from shared.contracts.outcomes import OUTCOMES
from shared.contracts.structure import Level
from shared.contracts.tracking import Decision, RequestDecided
from shared.database import Database
from shared.ids import new_message_id
from shared.messaging.bus import Delivery, Processed
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.messaging.transaction import Reader
from shared.observability import Metrics
from shared.settings import Settings

BASIC = "100000000000003"
KEYS: dict[str, Any] = make_keys()
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_OUTCOMES = {cls.contract.key: cls.contract.name.removeprefix("outcomes.command-") for cls in OUTCOMES}


@dataclass
class Programme:
    """``now`` is the time that the service thinks it is; ``said`` is every message that it published."""

    database: Database
    settings: Settings
    away: Path
    now: datetime = START
    said: list[Envelope] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = self.new_worker()

    def new_worker(self) -> Dispatcher:
        """Return a worker that has just come up."""
        return Dispatcher(
            service, self.database, settings=self.settings, verifier=Verifier(KEYS["assertion_public_key"], "accounts"),
            clock=lambda: self.now, metrics=Metrics(),
        )  # fmt: skip

    # The issuer's processor

    def close_the_issuer(self) -> None:
        self.away.touch()

    def open_the_issuer(self) -> None:
        self.away.unlink(missing_ok=True)

    # What happens

    def send(self, message: Message, party: Party = Party.ISSUER, *, work: bool = True) -> str:
        """Deliver a command, do at once what it has woken, and return its id."""
        (id_,) = self.send_together([message], party, work=work)
        return id_

    def send_together(
        self, messages: Sequence[Message], party: Party = Party.ISSUER, *, work: bool = True
    ) -> list[str]:
        """Deliver commands in one batch and return their ids."""
        deliveries = [self._command(message, party) for message in messages]
        self._deliver(deliveries, work=work)
        return [str(delivery.message_id) for delivery in deliveries]

    def withdraw(self, command_id: str, message: type[Message]) -> None:
        """Let tracking say that a request is to be taken back."""
        decided = RequestDecided(
            request_id=command_id, request_type=message.contract.name, decision=Decision.WITHDRAW
        )
        id_ = new_message_id()
        self._deliver([self._delivery("accounts.events", id_, decided)], work=False)

    def pass_by(self, **time: float) -> None:
        """Let time pass, then do what has become due."""
        self.now += timedelta(**time)
        self.run_jobs()

    def run_jobs(self, worker: Dispatcher | None = None) -> None:
        """Do what the clock has made due, as a worker that has just come up would."""
        self.hear((worker or self.new_worker()).run_jobs())

    def hear(self, processed: Processed) -> None:
        self.said += [decode(publication.body) for publication in processed.publications]

    def _command(self, message: Message, party: Party) -> Delivery:
        user = f"a-{party}"
        grants = {message.contract.function or "": frozenset({EVERYWHERE})}
        actor = Actor(user_id=user, party=party, grants=grants)
        assertion = Signer(KEYS["assertion_private_key"]).sign(actor, ["accounts"], self.now)
        return self._delivery("accounts.commands", new_message_id(), message, actor=user, assertion=assertion)

    def _delivery(self, queue: str, id_: str, message: Message, **more: Any) -> Delivery:
        envelope = Envelope(
            id=id_, key=message.contract.key, source="gateway", time=self.now, data=message, correlation_id=id_, **more
        )  # fmt: skip
        return Delivery(queue=queue, body=encode(envelope), tag=1, message_id=id_)

    def _deliver(self, deliveries: Sequence[Delivery], *, work: bool) -> None:
        processed = self.worker.process(deliveries)
        self.hear(processed)
        if work and processed.urgent:
            self.hear(self.worker.run_jobs())

    # What became of it

    def outcomes(self, command_id: str) -> list[str]:
        """Return how a request went on, step by step; what ends it is told with its code where it has one."""
        steps = []
        for envelope in self.said:
            if envelope.key in _OUTCOMES and envelope.correlation_id == command_id:
                data: Any = envelope.data
                steps.append(data.get("code") or data.get("status") or _OUTCOMES[envelope.key])
        return steps

    def rejection(self, command_id: str) -> dict[str, Any]:
        """Return what a rejected request was told."""
        (said,) = [
            envelope.data
            for envelope in self.said
            if envelope.key == "outcomes.command-rejected.v1" and envelope.correlation_id == command_id
        ]
        return dict(said)  # type: ignore[arg-type]

    def result(self, command_id: str) -> dict[str, Any]:
        """Return what a completed request made."""
        (result,) = [
            envelope.data["result"]  # type: ignore[index]
            for envelope in self.said
            if envelope.key == "outcomes.command-completed.v1" and envelope.correlation_id == command_id
        ]
        return dict(result)

    def events(self, cls: type[Message], account: str) -> list[Any]:
        """Return the events of one kind about an account."""
        return [e.message() for e in self.said if e.key == cls.contract.key and e.subject == account]

    def ask(self, question: Message) -> Any:
        """Return what a read answers somebody who may see everything."""
        actor = Actor(user_id="op", party=Party.ISSUER, grants={"accounts.view": frozenset({EVERYWHERE})})
        with self.database.read() as session:
            reader = Reader(session, actor, "accounts.view", self.now, self.settings)
            return service.queries[type(question)](question, reader)

    def profile(self, account: str) -> AccountProfile:
        return self.ask(GetAccount(account_id=account))  # type: ignore[no-any-return]

    def cards(self, account: str) -> list[CardView]:
        return list(self.ask(ListCards(account_id=account)).data)

    def states(self, account: str) -> list[str]:
        """Return the states of an account's cards, the newest first."""
        return [str(card.state) for card in self.cards(account)]

    def pending(self, account: str) -> list[PendingChange]:
        return list(self.ask(ListPendingChanges(account_id=account)).data)

    def kinds(self, account: str) -> list[str]:
        return [str(change.kind) for change in self.pending(account)]

    def open(self, product: Product = Product.CORPORATE_GOLD) -> str:
        """Open an account and return its id; its card is shipped, not yet activated."""
        command = OpenAccount(control_account=BASIC, product=product, first_name="Ada", last_name="Lovelace")
        return str(self.result(self.send(command))["account_id"])


def running(tables: str, folder: Path, **settings: Any) -> Iterator[Programme]:
    """Run a programme on a database with the service's tables."""
    load_all()
    database, away = Database(tables, pool_size=10), folder / "issuer-is-away"
    away.unlink(missing_ok=True)
    node = {"name": "Basic", "company_name": "Company", "company_number": "C-1"}
    with database.write() as session:
        session.add(ControlAccount(number=BASIC, level=Level.BASIC, path=BASIC, **node))
    issuer = f"simulator://localhost{away}"
    yield Programme(database, Settings(**KEYS, issuer_url=issuer, **settings), away)
    database.close()
