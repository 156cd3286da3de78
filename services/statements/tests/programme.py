"""The statements service behind its queues and its reads: events and commands in, outcomes out, and time that passes when told to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from deploy.keys import make_keys
from services.statements.model import card_account, entry, ledger_account, posting, statement
from services.statements.service import service
from shared.actor import EVERYWHERE, Actor, Party, Signer, Verifier
from shared.contracts.accounts import AccountOpened, Product
from shared.contracts.base import Message
from shared.contracts.outcomes import CommandCompleted, CommandRejected
from shared.contracts.statements import (
    AccountSummary,
    GetAccountSummary,
    ListAccountStatements,
    ListControlAccountStatements,
    ListTransactions,
    NewPayment,
    NewTransaction,
    PostedKind,
    PostPayments,
    PostTransactions,
    StatementRow,
    Transaction,
    TransactionView,
)
from shared.contracts.structure import (
    BillingModel,
    ControlAccountOpened,
    ControlAccountSettingsChanged,
    Level,
)
from shared.contracts.types import Money
from shared.database import Database
from shared.ids import new_id, new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.messaging.transaction import Reader
from shared.observability import Metrics
from shared.rights import own_accounts
from shared.settings import Settings

KEYS: dict[str, Any] = make_keys()
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MASTER, ABOVE, SALES, TRAVEL, KYOTO, KUWAIT = (f"1000000000000{n:02}" for n in range(6))
BASICS = {SALES: "EUR", TRAVEL: "EUR", KYOTO: "JPY", KUWAIT: "KWD"}
"""The basic control accounts by currency; each closes on the 10th, and TRAVEL is billed centrally."""


@dataclass
class Programme:
    """``now`` is the time that the service thinks it is; ``said`` is every message that it published."""

    database: Database
    settings: Settings
    now: datetime = START
    said: list[Envelope] = field(default_factory=list)
    keys: Any = field(default_factory=count)

    def new_worker(self) -> Dispatcher:
        """Return a worker that has just come up."""
        return Dispatcher(
            service, self.database, settings=self.settings, verifier=Verifier(KEYS["assertion_public_key"], "statements"),
            clock=lambda: self.now, metrics=Metrics(),
        )  # fmt: skip

    def build(self) -> None:
        """Let accounts tell of the structure."""
        self.hear(
            ControlAccountOpened(number=MASTER, parent=None, level=Level.MASTER),
            ControlAccountSettingsChanged(number=MASTER, version=1, billing_cycle_day=10),
            ControlAccountOpened(number=ABOVE, parent=MASTER, level=Level.INTERMEDIATE),
        )
        for number, currency in BASICS.items():
            model = BillingModel.CENTRAL if number == TRAVEL else None
            self.hear(
                ControlAccountOpened(number=number, parent=ABOVE, level=Level.BASIC),
                ControlAccountSettingsChanged(
                    number=number, version=1, billing_currency=currency, billing_model=model
                ),
            )

    # What happens

    def hear(self, *events: Message) -> None:
        """Deliver events of accounts in one batch."""
        self._process([self._delivery("statements.events", new_message_id(), event) for event in events])

    def open(self, number: str = SALES, **facts: Any) -> str:
        """Let accounts tell of a new card account, and return its id."""
        id_ = new_id("acc")
        given = {"first_name": "Ada", "last_name": "Lovelace", "embossed_name": "ADA LOVELACE", **facts}
        self.hear(
            AccountOpened(account_id=id_, control_account=number, product=Product.CORPORATE_GOLD, **given)
        )
        return id_

    def send(self, message: Message, actor: Actor | None = None) -> dict[str, Any]:
        """Deliver a command, do what it has woken, and return what became of it: its result, or the code of its refusal."""
        delivery = self.command(message, actor)
        self._process([delivery])
        for envelope in self.said:
            data: Any = envelope.data
            if envelope.correlation_id == delivery.message_id:
                if envelope.key == CommandCompleted.contract.key:
                    return dict(data["result"] or {})
                if envelope.key == CommandRejected.contract.key:
                    return {"code": data["code"], "field": data.get("field")}
        raise AssertionError("nothing became of the command")

    def command(self, message: Message, actor: Actor | None = None) -> Delivery:
        """Return a signed command as the broker would deliver it, by default an operator's of the issuer."""
        function = message.contract.function or ""
        sender = actor or Actor(user_id="op", party=Party.ISSUER, grants={function: frozenset({EVERYWHERE})})
        assertion = Signer(KEYS["assertion_private_key"]).sign(sender, ["statements"], self.now)
        return self._delivery(
            "statements.commands", new_message_id(), message, actor=sender.user_id, assertion=assertion
        )

    def spend(self, account: str, amount: int, kind: str = "purchase", **facts: Any) -> dict[str, Any]:
        """Post one transaction, by default of today."""
        return self.send(PostTransactions(transactions=[self.transaction(account, amount, kind, **facts)]))

    def transaction(self, account: str, amount: int, kind: str = "purchase", **facts: Any) -> NewTransaction:
        given = {"source_key": f"t{next(self.keys)}", "transacted_on": self.today, **facts}
        currency = given.pop("currency", "EUR")
        return NewTransaction(
            account_id=account, kind=PostedKind(kind), amount=Money(amount=amount, currency=currency), **given
        )

    def pay(self, account: str, amount: int, **facts: Any) -> dict[str, Any]:
        """Post one payment, of a card account or of a control account."""
        given = {"source_key": f"p{next(self.keys)}", "received_on": self.today, **facts}
        currency = given.pop("currency", "EUR")
        payer: dict[str, Any] = {"control_account" if account.isdigit() else "account_id": account}
        payment = NewPayment(amount=Money(amount=amount, currency=currency), **payer, **given)
        return self.send(PostPayments(payments=[payment]))

    def go_to(self, day: date) -> None:
        """Let it become noon of a day, and do what is due."""
        self.now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        self.work()

    def pass_by(self, **time: float) -> None:
        """Let time pass, then do what is due."""
        self.now += timedelta(**time)
        self.work()

    def work(self, worker: Dispatcher | None = None) -> None:
        """Do what the clock has made due, as often as that wakes something else."""
        doing = worker or self.new_worker()
        while True:
            done = doing.run_jobs()
            self.said += [decode(publication.body) for publication in done.publications]
            if not done.urgent:
                return

    def _process(self, deliveries: Sequence[Delivery]) -> None:
        worker = self.new_worker()
        processed = worker.process(deliveries)
        self.said += [decode(publication.body) for publication in processed.publications]
        if processed.urgent:
            self.work(worker)

    def _delivery(self, queue: str, id_: str, message: Message, **more: Any) -> Delivery:
        envelope = Envelope(
            id=id_, key=message.contract.key, source="gateway", time=self.now, data=message, correlation_id=id_, **more
        )  # fmt: skip
        return Delivery(queue=queue, body=encode(envelope), tag=1, message_id=id_)

    # What is there then

    @property
    def today(self) -> date:
        return self.now.date()

    def ask(self, question: Message, actor: Actor | None = None) -> Any:
        """Return what a read answers, by default somebody who may see everything."""
        function = question.contract.function or ""
        asking = actor or Actor(user_id="op", party=Party.ISSUER, grants={function: frozenset({EVERYWHERE})})
        with self.database.read() as session:
            own = own_accounts(asking, question.contract)
            reader = Reader(session, asking, function, self.now, self.settings, own)
            return service.queries[type(question)](question, reader)

    def summary(self, account: str) -> AccountSummary:
        return self.ask(GetAccountSummary(account_id=account))  # type: ignore[no-any-return]

    def transactions(self, account: str, view: str = "all", **criteria: Any) -> list[Transaction]:
        question = ListTransactions(account_id=account, view=TransactionView(view), **criteria)
        return list(self.ask(question).data)

    def statements(self, number: str) -> list[StatementRow]:
        """Return the statements of a card account, or those below a control account, the latest first."""
        question: Message = (
            ListControlAccountStatements(number=number)
            if number.isdigit()
            else ListAccountStatements(account_id=number)
        )
        return list(self.ask(question).data)

    def events(self, cls: type[Message], subject: str | None = None) -> list[Any]:
        """Return the events of one kind, or those about one thing."""
        found = [e for e in self.said if e.key == cls.contract.key]
        return [e.message() for e in found if subject in (None, e.subject)]

    def rows(self, table: sa.Table) -> list[Any]:
        with self.database.read() as session:
            return list(session.execute(sa.select(table)))

    def check_the_books(self) -> None:
        """Every currency sums to zero, every balance is the sum of its entries, every sum that of its postings."""
        accounts = {row.id: row for row in self.rows(ledger_account)}
        balances = dict.fromkeys(accounts, 0)
        for row in self.rows(entry):
            assert accounts[row.debit].currency == accounts[row.credit].currency == row.currency
            balances[row.debit] += row.amount
            balances[row.credit] -= row.amount
        assert {id_: row.balance for id_, row in accounts.items()} == balances
        totals: dict[str, int] = {}
        for row in accounts.values():
            totals[row.currency] = totals.get(row.currency, 0) + row.balance
        assert set(totals.values()) <= {0}
        postings, made = self.rows(posting), self.rows(statement)
        for row in accounts.values():
            if row.control_account:
                assert row.balance == row.debits - row.credits - row.payments
                assert row.balance == sum(p.amount for p in postings if p.ledger_account == row.id)
                unpaid = (
                    one.due_on
                    for one in made
                    if one.ledger_account == row.id and one.debits_to_date > row.credits + row.payments
                )
                assert row.due_since == min(unpaid, default=None)
        for one in made:
            billed = [p for p in postings if (p.ledger_account, p.cycle) == (one.ledger_account, one.cycle)]
            assert one.balance - one.previous_balance == sum(p.amount for p in billed)
            assert one.balance == one.previous_balance + one.debits - one.credits - one.payments

    def holder(self, account: str) -> Any:
        with self.database.read() as session:
            return session.execute(sa.select(card_account).where(card_account.c.id == account)).one()
