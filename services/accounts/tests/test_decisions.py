"""Commands that wait for a second person, in whatever order decisions come (Part 2 nos. 1 and 6)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.keys import make_keys
from services.accounts.model import Base, CardAccount, ControlAccount
from services.accounts.service import service
from shared.actor import Actor, Party, Signer, Verifier
from shared.contracts import load_all
from shared.contracts.accounts import AccountStatus, CancelAccount, CancelReason, SuspendAccount
from shared.contracts.base import Message
from shared.contracts.structure import Level
from shared.contracts.tracking import Decision, RequestDecided
from shared.database import Database, sqlite_url
from shared.ids import new_id, new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.settings import Settings

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASIC = "100000000000003"
KEYS: dict[str, Any] = make_keys()
SENT = "outcomes.command-{}.v1"


@dataclass
class Accounts:
    """The service behind its queues; ``now`` is the time that it thinks it is."""

    dispatcher: Dispatcher
    database: Database
    now: datetime = START
    outcomes: list[tuple[str, str, Any]] = field(default_factory=list)

    def new_account(self) -> str:
        id_ = new_id("acc")
        with self.database.write() as session:
            account = CardAccount(
                id=id_, control_account=BASIC, product="corporate_gold", opened_at=self.now, version=0,
                status=AccountStatus.ACTIVE, payment_status="current",
            )  # fmt: skip
            account.rename("Ada", "Lovelace", "ADA LOVELACE")
            session.add(account)
        return id_

    def status(self, account: str) -> AccountStatus:
        with self.database.read() as session:
            return session.get_one(CardAccount, account).status

    def waiting(self) -> int:
        with self.database.read() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(Base.metadata.tables["held"])) or 0

    def send(self, *deliveries: Delivery) -> None:
        """Deliver a batch and keep the outcomes: kind, command and what it says."""
        self.note(self.dispatcher.process(deliveries).publications)

    def note(self, publications: Sequence[Any]) -> None:
        for publication in publications:
            envelope = decode(publication.body)
            if envelope.key.startswith("outcomes."):
                data: Any = envelope.data
                self.outcomes.append((envelope.key, data["command_id"], data))

    def outcomes_of(self, delivery: Delivery) -> list[str]:
        id_ = decode(delivery.body).correlation_id
        return [
            key.removeprefix("outcomes.command-").removesuffix(".v1")
            for key, of, _ in self.outcomes
            if of == id_
        ]

    def command(self, message: Message, *, four_eyes: bool = True) -> Delivery:
        """Return a signed command of an administrator whose company wants a second person for it."""
        function = message.contract.function or ""
        actor = Actor(
            user_id="pa", party=Party.CLIENT, company="C-1", grants={function: frozenset({BASIC})},
            approvals=frozenset({message.contract.name} if four_eyes else ()),
        )  # fmt: skip
        id_ = new_message_id()
        assertion = Signer(KEYS["assertion_private_key"]).sign(actor, ["accounts"], self.now)
        return self._delivery("accounts.commands", id_, id_, message, actor="pa", assertion=assertion)

    def decision(self, about: Delivery, decision: Decision, comment: str | None = None) -> Delivery:
        """Return what tracking says when somebody who may do so has decided."""
        asked = decode(about.body)
        message = RequestDecided(
            request_id=asked.id, request_type=asked.contract.name, decision=decision, comment=comment
        )
        return self._delivery("accounts.events", new_message_id(), new_message_id(), message, actor="boss")

    def _delivery(self, queue: str, id_: str, correlation: str, message: Message, **more: Any) -> Delivery:
        envelope = Envelope(
            id=id_, key=message.contract.key, source="gateway", time=self.now, data=message,
            correlation_id=correlation, **more,
        )  # fmt: skip
        return Delivery(queue=queue, body=encode(envelope), tag=1, message_id=id_)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def accounts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """The service with one basic control account; every test has card accounts of its own."""
    load_all()
    folder: Path = tmp_path_factory.mktemp("decisions")
    if request.param == "sqlite":
        yield from _accounts(sqlite_url(folder / "accounts.sqlite"))
    else:
        with request.getfixturevalue("postgres").new_database() as fresh:
            yield from _accounts(fresh.url)


def _accounts(url: str) -> Iterator[Accounts]:
    upgrade(service, url)
    database = Database(url)
    with database.write() as session:
        node = {"name": "Basic", "company_name": "Company", "company_number": "C-1"}
        session.add(ControlAccount(number=BASIC, level=Level.BASIC, path=BASIC, **node))
    dispatcher = Dispatcher(
        service, database, settings=Settings(**KEYS), verifier=Verifier(KEYS["assertion_public_key"], "accounts"),
        clock=lambda: made.now, metrics=Metrics(),
    )  # fmt: skip
    made = Accounts(dispatcher, database)
    yield made
    database.close()


def cancelling(account: str) -> CancelAccount:
    return CancelAccount(account_id=account, reason=CancelReason.NOT_NEEDED)


def test_a_held_command_changes_nothing_until_it_is_approved(accounts: Accounts) -> None:
    account = accounts.new_account()
    asked = accounts.command(cancelling(account))
    accounts.send(asked)
    assert accounts.status(account) is AccountStatus.ACTIVE
    (key, _, said) = accounts.outcomes[-1]
    assert key == SENT.format("accepted")
    assert (said["status"], said["approver_function"]) == ("awaiting_approval", "accounts.cancel")

    approval = accounts.decision(asked, Decision.APPROVE)
    accounts.send(approval)

    assert accounts.status(account) is AccountStatus.CANCELLED
    assert accounts.outcomes_of(asked) == ["accepted", "completed"]
    assert accounts.outcomes_of(approval) == ["completed"]


def test_what_the_domain_refuses_after_the_approval_is_rejected(accounts: Accounts) -> None:
    account = accounts.new_account()
    asked = accounts.command(cancelling(account))
    accounts.send(asked, accounts.command(cancelling(account), four_eyes=False))
    accounts.send(accounts.decision(asked, Decision.APPROVE))
    assert accounts.outcomes_of(asked) == ["accepted", "rejected"]
    assert accounts.outcomes[-2][2]["code"] == "account_cancelled"


def test_nobody_decides_in_time(accounts: Accounts) -> None:
    account = accounts.new_account()
    asked = accounts.command(cancelling(account))
    accounts.send(asked)
    accounts.now += timedelta(days=7, seconds=1)
    try:
        accounts.note(accounts.dispatcher.run_jobs().publications)
    finally:
        accounts.now = START
    assert accounts.outcomes_of(asked) == ["accepted", "rejected"]
    assert accounts.outcomes[-1][2]["code"] == "approval_expired"
    late = accounts.decision(asked, Decision.APPROVE)
    accounts.send(late)
    assert accounts.outcomes_of(late) == ["rejected"]
    assert accounts.status(account) is AccountStatus.ACTIVE


def test_the_sender_without_the_function_is_not_even_held(accounts: Accounts) -> None:
    """Defence in depth: the owner checks what the gateway has checked."""
    asked = accounts.command(cancelling(accounts.new_account()))
    envelope = decode(asked.body)
    nobody = Actor(user_id="pa", party=Party.CLIENT, approvals=frozenset({"accounts.cancel-account"}))
    signed = Signer(KEYS["assertion_private_key"]).sign(nobody, ["accounts"], accounts.now)
    forged = accounts._delivery(
        "accounts.commands", envelope.id, envelope.id, envelope.message(), actor="pa", assertion=signed
    )
    waiting = accounts.waiting()
    accounts.send(forged)
    assert accounts.outcomes_of(forged) == ["rejected"]
    assert accounts.waiting() == waiting


@pytest.mark.parametrize("said", [{"actor": "boss"}, {"actor": "pa", "on_behalf_of": "boss"}])
def test_a_command_in_somebody_elses_name_is_not_carried_out(
    accounts: Accounts, said: dict[str, str]
) -> None:
    """What stands in the history has to be what the gateway signed."""
    account = accounts.new_account()
    asked = decode(accounts.command(cancelling(account), four_eyes=False).body)
    forged = accounts._delivery(
        "accounts.commands", asked.id, asked.id, asked.message(), assertion=asked.assertion, **said
    )
    accounts.send(forged)
    assert accounts.outcomes_of(forged) == ["failed"]
    assert accounts.status(account) is AccountStatus.ACTIVE


def test_a_decision_about_another_services_command_is_not_ours(accounts: Accounts) -> None:
    foreign = RequestDecided(
        request_id=new_message_id(), request_type="identity.enrol-user", decision=Decision.APPROVE
    )
    delivery = accounts._delivery("accounts.events", new_message_id(), new_message_id(), foreign)
    accounts.send(delivery)
    assert accounts.outcomes_of(delivery) == []


@given(
    decisions=st.lists(st.sampled_from(Decision), min_size=1, max_size=4),
    repeats=st.integers(0, 2),
    together=st.booleans(),
    suspends=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_any_decisions_the_first_counts_and_everyone_is_told_once(
    accounts: Accounts, decisions: list[Decision], repeats: int, together: bool, suspends: bool
) -> None:
    """However many decide, in one batch or in several, and however often each message comes."""
    account = accounts.new_account()
    asked = accounts.command(SuspendAccount(account_id=account) if suspends else cancelling(account))
    made = [accounts.decision(asked, decision) for decision in decisions]
    deliveries = [asked, *made, *(made * repeats)]
    waiting = accounts.waiting()
    if together:
        accounts.send(*deliveries)
    else:
        for delivery in deliveries:
            accounts.send(delivery)

    ended = {Decision.APPROVE: "completed", Decision.REFUSE: "rejected", Decision.WITHDRAW: "withdrawn"}
    assert accounts.outcomes_of(asked) == ["accepted", ended[decisions[0]]]
    answers = Counter(outcome for one in made for outcome in accounts.outcomes_of(one))
    assert answers == Counter({"completed": 1, "rejected": len(made) - 1}) + Counter()
    assert accounts.waiting() == waiting
    approved = decisions[0] is Decision.APPROVE
    changed = AccountStatus.SUSPENDED if suspends else AccountStatus.CANCELLED
    assert accounts.status(account) is (changed if approved else AccountStatus.ACTIVE)
