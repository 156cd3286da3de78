"""Two companies with their structures, behind the queues and the reads of accounts, for tests of what happens in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from deploy.keys import make_keys
from services.accounts.model import CardAccount, change
from services.accounts.orders import CARRY_OUT
from services.accounts.service import service
from shared.actor import EVERYWHERE, Actor, Party, Signer, Verifier
from shared.contracts import load_all
from shared.contracts.accounts import OpenAccount, Product
from shared.contracts.base import Message
from shared.contracts.functions import functions
from shared.contracts.outcomes import CommandAccepted
from shared.contracts.structure import (
    ControlAccountNode,
    GetControlAccount,
    Level,
    ListControlAccounts,
    OpenControlAccount,
)
from shared.database import Database
from shared.ids import new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.messaging.transaction import Reader
from shared.observability import Metrics
from shared.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MASTER, NORTH, SOUTH, SALES, FIELD, LEGAL = (
    f"1000000000000{place}" for place in ("00", "10", "20", "11", "12", "21")
)
OTHER, EAST, RETAIL = (f"2000000000000{place}" for place in ("00", "10", "11"))
STRUCTURE = [
    (MASTER, Level.MASTER, None),
    (NORTH, Level.INTERMEDIATE, MASTER),
    (SALES, Level.BASIC, NORTH),
    (FIELD, Level.BASIC, NORTH),
    (SOUTH, Level.INTERMEDIATE, MASTER),
    (LEGAL, Level.BASIC, SOUTH),
    (OTHER, Level.MASTER, None),
    (EAST, Level.INTERMEDIATE, OTHER),
    (RETAIL, Level.BASIC, EAST),
]
_KEYS: dict[str, Any] = make_keys()
_SIGNER = Signer(_KEYS["assertion_private_key"])
E = TypeVar("E", bound=Message)


def user(*numbers: str, party: Party = Party.CLIENT) -> Actor:
    """Return a user who may do everything over these control accounts."""
    load_all()
    grants = dict.fromkeys(functions(), frozenset(numbers))
    return Actor(user_id=f"{party}", party=party, grants=grants)


@dataclass
class Companies:
    """The service as senders of commands and readers see it; ``events`` are all that it ever told."""

    database: Database
    events: list[Envelope] = field(default_factory=list)

    def dispatcher(self) -> Dispatcher:
        """Return a worker."""
        return Dispatcher(
            service, self.database, settings=Settings(**_KEYS),
            verifier=Verifier(_KEYS["assertion_public_key"], "accounts"), clock=lambda: NOW, metrics=Metrics(),
        )  # fmt: skip

    def build(self) -> None:
        """Open every control account of the two companies."""
        for number, level, parent in STRUCTURE:
            company: dict[str, Any] = (
                {} if parent else {"company_name": f"Company {number[0]}", "company_number": f"C-{number[0]}"}
            )
            self.done(
                OpenControlAccount(
                    number=number, name=f"Node {number[-2:]}", level=level, parent=parent, **company
                )
            )

    def delivery(self, message: Message, actor: Actor | None = None) -> Delivery:
        """Return a signed command as the broker would deliver it, by default an operator's of the issuer."""
        sender = actor or user(EVERYWHERE, party=Party.ISSUER)
        id_ = new_message_id()
        envelope = Envelope(
            id=id_, key=message.contract.key, source="gateway", time=NOW, data=message, correlation_id=id_,
            actor=sender.user_id, assertion=_SIGNER.sign(sender, ["accounts"], NOW),
        )  # fmt: skip
        return Delivery(queue="accounts.commands", body=encode(envelope), tag=1, message_id=id_)

    def outcomes(self, *deliveries: Delivery, by: Dispatcher | None = None) -> list[dict[str, Any]]:
        """Handle commands as one batch, and return what became of each: how it ended, and the data of the outcome."""
        worker = by or self.dispatcher()
        processed = worker.process(deliveries)
        if processed.urgent:  # the issuer's processor answers at once
            processed.add(worker._run(next(job for job in service.jobs if job.name == CARRY_OUT)))
        told = [decode(publication.body) for publication in processed.publications]
        self.events += [one for one in told if not one.key.startswith("outcomes.")]
        return [
            {
                **cast(Mapping[str, Any], one.data),
                "ended": one.key.removeprefix("outcomes.command-").removesuffix(".v1"),
            }
            for one in told
            if one.key.startswith("outcomes.") and one.key != CommandAccepted.contract.key
        ]

    def done(self, message: Message, actor: Actor | None = None) -> Any:
        """Have a command carried out, and return its result."""
        (outcome,) = self.outcomes(self.delivery(message, actor))
        assert outcome["ended"] == "completed", outcome
        return outcome["result"]

    def refused(self, message: Message, actor: Actor | None = None) -> tuple[str, str | None]:
        """Return the code with which a command is refused, and the field at fault."""
        (outcome,) = self.outcomes(self.delivery(message, actor))
        assert outcome["ended"] == "rejected", outcome
        return outcome["code"], outcome.get("field")

    def new_account(self, control_account: str = SALES, **facts: Any) -> str:
        """Open a card account and return its id."""
        return str(self.done(opening(control_account, **facts))["account_id"])

    def told(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, the oldest first."""
        return [message for message in map(Envelope.message, self.events) if isinstance(message, kind)]

    def read(self, query: Message, actor: Actor | None = None) -> Any:
        """Answer a read."""
        with self.database.read() as session:
            asker = actor or user(EVERYWHERE, party=Party.ISSUER)
            reader = Reader(session, asker, query.contract.function, NOW, Settings(**_KEYS))
            return service.queries[type(query)](query, reader)

    def node(self, number: str) -> Any:
        """Return a control account as a reader sees it."""
        return self.read(GetControlAccount(number=number))

    def tree(self, **criteria: Any) -> Sequence[ControlAccountNode]:
        """Return the control accounts that fit."""
        nodes: Sequence[ControlAccountNode] = self.read(ListControlAccounts(limit=500, **criteria)).data
        return nodes

    def account(self, account_id: str) -> CardAccount:
        """Return a card account as it is stored."""
        with self.database.read() as session:
            return session.get_one(CardAccount, account_id)

    def changes(self, subject: str) -> list[tuple[str, str | None, str | None]]:
        """Return the history of a thing, the newest first: field, old, new."""
        with self.database.read() as session:
            found = session.execute(
                sa.select(change).where(change.c.subject == subject).order_by(change.c.id.desc())
            )
            return [(row.field, row.old, row.new) for row in found]


def opening(control_account: str = SALES, **facts: Any) -> OpenAccount:
    """Return the command to open a card account."""
    given = {"product": Product.CORPORATE_GOLD, "first_name": "Ada", "last_name": "Lovelace", **facts}
    return OpenAccount(control_account=control_account, **given)
