"""Two companies behind the queues and the web of the accounts service: what tests send, hear and see, and time that obeys them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from deploy.keys import make_keys
from services.accounts.model import Card, CardAccount, ControlAccount, change
from services.accounts.service import service
from shared.actor import EVERYWHERE, Actor, Party, Signer, Verifier
from shared.contracts import load_all
from shared.contracts.accounts import AccountProfile, AccountStatus, GetAccount, OpenAccount, Product
from shared.contracts.base import Message
from shared.contracts.cards import CardState, CardView, ListCards, ListPendingChanges, PendingChange
from shared.contracts.functions import functions
from shared.contracts.outcomes import OUTCOMES, CommandAccepted, CommandCompleted
from shared.contracts.structure import ControlAccountNode, GetControlAccount, Level, ListControlAccounts
from shared.contracts.tracking import Decision, RequestDecided
from shared.database import Database, sqlite_url
from shared.ids import new_id, new_message_id
from shared.messaging.bus import Delivery, Processed
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.messaging.transaction import Reader
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.rights import own_accounts
from shared.service import Running
from shared.settings import Settings
from shared.web.app import service_app

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MASTER, NORTH, SOUTH, SALES, FIELD, LEGAL = (
    f"1000000000000{place}" for place in ("00", "10", "20", "11", "12", "21")
)
OTHER, EAST, RETAIL = (f"2000000000000{place}" for place in ("00", "10", "11"))
_STRUCTURE = (
    (MASTER, Level.MASTER, None),
    (NORTH, Level.INTERMEDIATE, MASTER),
    (SALES, Level.BASIC, NORTH),
    (FIELD, Level.BASIC, NORTH),
    (SOUTH, Level.INTERMEDIATE, MASTER),
    (LEGAL, Level.BASIC, SOUTH),
    (OTHER, Level.MASTER, None),
    (EAST, Level.INTERMEDIATE, OTHER),
    (RETAIL, Level.BASIC, EAST),
)
KEYS: dict[str, Any] = make_keys()
_SIGNER, _VERIFIER = Signer(KEYS["assertion_private_key"]), Verifier(KEYS["assertion_public_key"], "accounts")
_OUTCOMES = {cls.contract.key: cls.contract.name.removeprefix("outcomes.command-") for cls in OUTCOMES}
E = TypeVar("E", bound=Message)


def user(
    *numbers: str,
    party: Party = Party.CLIENT,
    user_id: str | None = None,
    granted: Sequence[str] | None = None,
    approvals: Sequence[str] = (),
    on_behalf_of: str | None = None,
) -> Actor:
    """Return a user with these functions over these control accounts, with every one where none is named."""
    load_all()
    return Actor(
        user_id=user_id or f"a-{party}", party=party, company="C-1" if party is Party.CLIENT else None,
        approvals=frozenset(approvals), on_behalf_of=on_behalf_of,
        grants=dict.fromkeys(functions() if granted is None else granted, frozenset(numbers)),
    )  # fmt: skip


def holder(*accounts: str) -> Actor:
    """Return the holder of these card accounts, to whom nothing is granted."""
    return Actor(user_id="hal", party=Party.HOLDER, company="C-1", own_accounts=frozenset(accounts))


OPERATOR = user(EVERYWHERE, party=Party.ISSUER)


def opening(control_account: str = SALES, **facts: Any) -> OpenAccount:
    """Return the command to open a card account."""
    given = {"product": Product.CORPORATE_GOLD, "first_name": "Ada", "last_name": "Lovelace", **facts}
    return OpenAccount(control_account=control_account, **given)


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
            service, self.database, settings=self.settings, verifier=_VERIFIER, clock=lambda: self.now,
            metrics=Metrics(),
        )  # fmt: skip

    # The issuer's processor

    def close_the_issuer(self) -> None:
        self.away.touch()

    def open_the_issuer(self) -> None:
        self.away.unlink(missing_ok=True)

    # Sending

    def send(self, message: Message, actor: Actor = OPERATOR, *, work: bool = True) -> str:
        """Deliver a command, do at once what it has woken, and return its id."""
        delivery = self.delivery(message, actor)
        self.deliver(delivery, work=work)
        return str(delivery.message_id)

    def deliver(
        self, *deliveries: Delivery, by: Dispatcher | None = None, work: bool = True
    ) -> list[Envelope]:
        """Have a batch handled, with what it wakes, and return what was said."""
        worker = by or self.worker
        processed = worker.process(deliveries)
        said = self.hear(processed)
        if work and processed.urgent:
            said += self.hear(worker.run_jobs())
        return said

    def delivery(self, message: Message, actor: Actor = OPERATOR, /, **forged: Any) -> Delivery:
        """Return a signed command as the broker would deliver it; ``forged`` is what its envelope says otherwise."""
        signed = {
            "actor": actor.user_id,
            "on_behalf_of": actor.on_behalf_of,
            "assertion": _SIGNER.sign(actor, ["accounts"], self.now),
        }
        return self.message("accounts.commands", message, **{**signed, **forged})

    def message(self, queue: str, message: Message, **more: Any) -> Delivery:
        """Return a message as the broker would deliver it from a queue."""
        id_ = new_message_id()
        envelope = Envelope(
            id=id_, key=message.contract.key, source="gateway", time=self.now, data=message, correlation_id=id_, **more
        )  # fmt: skip
        return Delivery(queue=queue, body=encode(envelope), tag=1, message_id=id_)

    def decision(
        self, about: str | None, of: type[Message], decision: Decision, comment: str | None = None
    ) -> Delivery:
        """Return what tracking says when somebody who may do so has decided about a request."""
        decided = RequestDecided(
            request_id=str(about), request_type=of.contract.name, decision=decision, comment=comment
        )
        return self.message("accounts.events", decided, actor="boss")

    def decide(self, about: str, of: type[Message], decision: Decision) -> None:
        """Let tracking say what was decided about a request."""
        self.deliver(self.decision(about, of, decision), work=False)

    def ended(self, *deliveries: Delivery, by: Dispatcher | None = None) -> list[dict[str, Any]]:
        """Handle commands as one batch, and return what became of each: how it ended, and the data of the outcome."""
        return [
            {**_data(one), "ended": _OUTCOMES[one.key]}
            for one in self.deliver(*deliveries, by=by)
            if one.key in _OUTCOMES and one.key != CommandAccepted.contract.key
        ]

    def done(self, message: Message, actor: Actor = OPERATOR) -> Any:
        """Have a command carried out, and return its result."""
        (outcome,) = self.ended(self.delivery(message, actor))
        assert outcome["ended"] == "completed", outcome
        return outcome["result"]

    def refused(self, message: Message, actor: Actor = OPERATOR) -> tuple[str, str | None]:
        """Return the code with which a command is refused, and the field at fault."""
        (outcome,) = self.ended(self.delivery(message, actor))
        assert outcome["ended"] == "rejected", outcome
        return outcome["code"], outcome.get("field")

    # Time

    def pass_by(self, **time: float) -> None:
        """Let time pass, then do what has become due."""
        self.now += timedelta(**time)
        self.run_jobs()

    def tick(self) -> None:
        """Let a second pass, and the worker do what is due then."""
        self.now += timedelta(seconds=1)
        self.run_jobs(self.worker)

    def run_jobs(self, worker: Dispatcher | None = None) -> None:
        """Do what the clock has made due, as a worker that has just come up would."""
        self.hear((worker or self.new_worker()).run_jobs())

    # What was said

    def hear(self, processed: Processed) -> list[Envelope]:
        """Keep and return what was published."""
        said = [decode(publication.body) for publication in processed.publications]
        self.said += said
        return said

    def answers(self, command_id: str | None) -> list[tuple[str, dict[str, Any]]]:
        """Return what was said to a request, step by step: the kind of the outcome and its data."""
        return [
            (_OUTCOMES[one.key], _data(one))
            for one in self.said
            if one.key in _OUTCOMES and one.correlation_id == command_id
        ]

    def outcomes(self, command_id: str) -> list[str]:
        """Return how a request went on, step by step; what ends it is told with its code where it has one."""
        return [data.get("code") or data.get("status") or kind for kind, data in self.answers(command_id)]

    def rejection(self, command_id: str) -> dict[str, Any]:
        """Return what a rejected request was told."""
        (told,) = [data for kind, data in self.answers(command_id) if kind == "rejected"]
        return told

    def result(self, command_id: str) -> dict[str, Any]:
        """Return what a completed request made."""
        completed = _OUTCOMES[CommandCompleted.contract.key]
        (result,) = [data["result"] for kind, data in self.answers(command_id) if kind == completed]
        return dict(result)

    def told(self, cls: type[E]) -> list[E]:
        """Return the events of one kind, the oldest first."""
        return [message for message in map(Envelope.message, self.said) if isinstance(message, cls)]

    def events(self, cls: type[E], account: str) -> list[E]:
        """Return the events of one kind about an account, the oldest first."""
        about = [one.message() for one in self.said if one.subject == account]
        return [message for message in about if isinstance(message, cls)]

    # What can be read

    def read(self, query: Message, actor: Actor = OPERATOR) -> Any:
        """Answer a read."""
        with self.database.read() as session:
            own = own_accounts(actor, query.contract)
            reader = Reader(session, actor, query.contract.function, self.now, self.settings, own)
            return service.queries[type(query)](query, reader)

    def profile(self, account: str) -> AccountProfile:
        return self.read(GetAccount(account_id=account))  # type: ignore[no-any-return]

    def cards(self, account: str) -> list[CardView]:
        return list(self.read(ListCards(account_id=account)).data)

    def states(self, account: str) -> list[str]:
        """Return the states of an account's cards, the newest first."""
        return [str(card.state) for card in self.cards(account)]

    def pending(self, account: str) -> list[PendingChange]:
        return list(self.read(ListPendingChanges(account_id=account)).data)

    def kinds(self, account: str) -> list[str]:
        return [str(change.kind) for change in self.pending(account)]

    def node(self, number: str) -> Any:
        """Return a control account as a reader sees it."""
        return self.read(GetControlAccount(number=number))

    def tree(self, **criteria: Any) -> Sequence[ControlAccountNode]:
        """Return the control accounts that fit."""
        nodes: Sequence[ControlAccountNode] = self.read(ListControlAccounts(limit=500, **criteria)).data
        return nodes

    # What is stored

    def account(self, account_id: str) -> CardAccount:
        """Return a card account as it is stored."""
        with self.database.read() as session:
            return session.get_one(CardAccount, account_id)

    def status(self, account_id: str) -> AccountStatus:
        return self.account(account_id).status

    def changes(self, subject: str) -> list[sa.Row[Any]]:
        """Return the rows of the history of a thing, the newest first."""
        with self.database.read() as session:
            mine = sa.select(change).where(change.c.subject == subject)
            return list(session.execute(mine.order_by(change.c.id.desc())))

    def history(self, subject: str) -> list[tuple[str, str | None, str | None]]:
        """Return the history of a thing, the newest first: field, old, new."""
        return [(row.field, row.old, row.new) for row in self.changes(subject)]

    # Accounts to work with

    def open(self, control_account: str = SALES, **facts: Any) -> str:
        """Open an account and return its id; its card is shipped, not yet activated."""
        return str(self.done(opening(control_account, **facts))["account_id"])

    def insert_account(self, under: str = SALES, status: AccountStatus = AccountStatus.ACTIVE) -> str:
        """Put an account with its card into the tables, where nothing is asked of how it came there; return its id."""
        id_, today = new_id("acc"), self.now.date()
        account = CardAccount(
            id=id_, control_account=under, product=Product.CORPORATE_GOLD, opened_at=self.now, version=0, status=status,
            payment_status="current",
        )  # fmt: skip
        account.rename("Ada", "Lovelace", "ADA LOVELACE")
        card = Card(
            id=new_id("crd"), account_id=id_, number_encrypted=b"", number_hash=id_, sequence=1, last_four="0000",
            issued_on=today, expires_on=today + timedelta(days=999), state=CardState.ACTIVE, since=self.now, live=True,
        )  # fmt: skip
        with self.database.write() as session:
            session.add(account)
            session.flush()
            session.add(card)
        return id_

    # The web

    @cached_property
    def running(self) -> Running:
        return Running(database=self.database, settings=self.settings, clock=lambda: self.now)

    @cached_property
    def client(self) -> FlaskClient:
        app = service_app(service, self.running, verifier=_VERIFIER, metrics=Metrics(), checks={})
        return app.test_client()

    def headers(self, actor: Actor) -> dict[str, str]:
        """Return what an actor's requests bear."""
        return {"Authorization": f"Bearer {_SIGNER.sign(actor, ['accounts'], self.now)}"}

    def get(self, path: str, actor: Actor = OPERATOR, status: int = 200, **criteria: Any) -> Any:
        """Return what the web answers, which has to be of this status."""
        answer = self.client.get(path, query_string=criteria, headers=self.headers(actor))
        assert answer.status_code == status, answer.text
        return answer.get_json()


def _data(envelope: Envelope) -> dict[str, Any]:
    assert isinstance(envelope.data, Mapping)
    return dict(envelope.data)


def running(tables: str, folder: Path, **settings: Any) -> Iterator[Programme]:
    """Run a programme on a database with the service's tables; there are two companies, and no card account."""
    load_all()
    database, away = Database(tables, pool_size=10), folder / "issuer-is-away"
    away.unlink(missing_ok=True)
    paths: dict[str | None, str] = {}
    with database.write() as session:
        for number, level, parent in _STRUCTURE:
            paths[number] = f"{paths[parent]}/{number}" if parent else number
            node = ControlAccount(
                number=number, name=f"Node {number[-2:]}", level=level, parent=parent, path=paths[number],
                company_name=f"Company {number[0]}", company_number=f"C-{number[0]}",
            )  # fmt: skip
            session.add(node)
            session.flush()
    issuer = f"simulator://localhost{away}"
    yield Programme(database, Settings(**KEYS, issuer_url=issuer, **settings), away)
    database.close()


def lasting(request: pytest.FixtureRequest, folder: Path) -> Iterator[Programme]:
    """Run a programme for many tests, each with accounts of its own, on the kind of database that the parameter names."""
    known: dict[str, Any] = {"bulk_rows": 2_000, "retry_seconds": 1, "attempts": 3}
    if request.param == "sqlite":
        tables = sqlite_url(folder / "accounts.sqlite")
        upgrade(service, tables)
        yield from running(tables, folder, **known)
        return
    template = request.getfixturevalue("template_of")(service)
    with request.getfixturevalue("postgres").new_database(template) as copy:
        yield from running(copy.url, folder, **known)
