"""What becomes of one message inside a batch's transaction: a command, an event, or a decision about a held command.

A command is handled at once, or held until a second person approves it: because the sender's company wants that for
this command, or because its handler does (Part 2 no. 6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.actor import Actor, BadAssertion, Verifier
from shared.contracts.base import Contract, Kind, Message, UnknownMessage, catalogue
from shared.contracts.outcomes import (
    CommandAccepted,
    CommandCompleted,
    CommandRejected,
    CommandWithdrawn,
    RequestStatus,
)
from shared.contracts.tracking import (
    ApproveRequest,
    Decision,
    RefuseRequest,
    RequestDecided,
    WithdrawRequest,
)
from shared.errors import Rejected
from shared.messaging.envelope import Envelope
from shared.messaging.held import TABLE, hold, release, release_expired
from shared.messaging.intake import Heard
from shared.messaging.transaction import Batch, Transaction
from shared.rights import may_send, own_accounts
from shared.service import Service
from shared.settings import Settings

Became = tuple[str, dict[str, Any]]  # what became of a message, in a word, and facts for the log
_DECIDED_BY = {
    Decision.APPROVE: ApproveRequest,
    Decision.REFUSE: RefuseRequest,
    Decision.WITHDRAW: WithdrawRequest,
}


class Defect(Exception):
    """A handler broke a promise, or a command came without a good assertion."""


@dataclass(frozen=True, slots=True)
class Handling:
    """Handles the messages of one service."""

    service: Service
    verifier: Verifier
    settings: Settings

    def handle(self, item: Heard, batch: Batch) -> Became:
        """Handle a message; raises Defect where its handler broke a promise."""
        if item.contract.kind is Kind.COMMAND:
            return self._command(item.envelope, item.contract, item.message, batch)
        if isinstance(item.message, RequestDecided):
            return self._decided(item.envelope, item.message, batch)
        tx = Transaction(batch, item.envelope)
        self.service.reactions[type(item.message)](item.message, tx)
        tx.record()
        return "handled", {}

    def expire(self, tx: Transaction) -> int:
        """Reject the held commands for which nobody decided in time, and return how many there were."""
        table = self.service.metadata.tables[TABLE]
        expired = release_expired(tx.session, table, tx.now)
        for envelope in expired:
            _reject(
                Transaction(tx.batch, envelope),
                "approval_expired",
                f"Nobody approved this within {self.settings.approval_days} days.",
            )
        return len(expired)

    def _command(
        self,
        envelope: Envelope,
        contract: Contract,
        message: Message,
        batch: Batch,
        *,
        approved: bool = False,
    ) -> Became:
        actor = self._actor(envelope)
        own = own_accounts(actor, contract)
        tx = Transaction(batch, envelope, actor, contract.function, own, approved=approved)
        sent = len(batch.events)
        try:
            if not may_send(actor, contract):
                raise Rejected(
                    "function_not_granted", f"You may not do this: {contract.function} is not granted to you."
                )
            if contract.name in actor.approvals and not approved:
                tx.await_approval(contract.function)
                result = None
            else:
                result = self.service.handlers[type(message)](message, tx)
        except Rejected as refusal:
            if len(batch.events) > sent or not tx.is_untouched():
                raise Defect(f"{contract.name} changed something before it was rejected") from refusal
            _reject(tx, refusal.code, refusal.message, refusal.field)
            return "rejected", {"code": refusal.code}
        tx.record()
        return self._finish(tx, result)

    def _actor(self, envelope: Envelope) -> Actor:
        """Return who sent a command, as the gateway signed it; the history goes by what the envelope says."""
        try:
            actor = self.verifier.verify(envelope.assertion, envelope.time)
        except BadAssertion as error:
            raise Defect(str(error)) from error
        if (actor.user_id, actor.on_behalf_of) != (envelope.actor, envelope.on_behalf_of):
            raise Defect(f"the command names {envelope.actor}, its assertion {actor.user_id}")
        return actor

    def _finish(self, tx: Transaction, result: Any) -> Became:
        about: dict[str, Any] = {"command_id": tx.envelope.id, "command": tx.envelope.contract.name}
        if tx.status is RequestStatus.COMPLETED:
            tx.publish(CommandCompleted(**about, result=result))
            return str(tx.status), {}
        if tx.status is RequestStatus.AWAITING_APPROVAL:
            if not self.service.holds:
                raise Defect(f"{self.service.name} cannot hold commands: its tables lack {TABLE!r}")
            patience = timedelta(days=self.settings.approval_days)
            hold(tx.session, self.service.metadata.tables[TABLE], tx.envelope, now=tx.now, patience=patience)
        tx.publish(CommandAccepted(**about, status=tx.status, approver_function=tx.approver_function))
        return str(tx.status), {}

    def _decided(self, envelope: Envelope, decided: RequestDecided, batch: Batch) -> Became:
        if not self._owns(decided.request_type):
            return "not ours", {}
        tx = Transaction(batch, envelope)
        waiting = release(tx.session, self.service.metadata.tables[TABLE], decided.request_id)
        if waiting is not None:
            self._carry_out(decided, waiting, tx)
        elif not self._withdrawn(decided, tx):
            _reject(
                tx,
                "nothing_waits",
                "This request waits for no decision any more.",
                command=_DECIDED_BY[decided.decision],
            )
            return "rejected", {"code": "nothing_waits"}
        tx.record()
        name = _DECIDED_BY[decided.decision].contract.name
        tx.publish(CommandCompleted(command_id=envelope.correlation_id, command=name))
        return str(decided.decision), {}

    def _owns(self, request_type: str) -> bool:
        try:
            return catalogue.named(request_type).owner == self.service.name
        except UnknownMessage:
            return False

    def _carry_out(self, decided: RequestDecided, waiting: Envelope, tx: Transaction) -> None:
        asked = Transaction(tx.batch, waiting)
        match decided.decision:
            case Decision.APPROVE:
                message = waiting.message()
                self._load(waiting.contract, message, tx.batch)
                self._command(waiting, waiting.contract, message, tx.batch, approved=True)
            case Decision.REFUSE:
                why = f": {decided.comment}" if decided.comment else "."
                _reject(asked, "approval_refused", f"{tx.envelope.actor} refused to approve this{why}")
            case Decision.WITHDRAW:
                asked.publish(CommandWithdrawn(command_id=waiting.id, command=waiting.contract.name))

    def _withdrawn(self, decided: RequestDecided, tx: Transaction) -> bool:
        """Have the service take back what waits for its time."""
        return bool(
            decided.decision is Decision.WITHDRAW
            and self.service.withdraw
            and self.service.withdraw(decided.request_id, tx)
        )

    def _load(self, contract: Contract, message: Message, batch: Batch) -> None:
        for kind, ids in named_in(self.service, [(contract, message)]).items():
            batch.load(kind, ids)


def named_in(service: Service, messages: Sequence[tuple[Contract, Message]]) -> dict[str, set[str]]:
    """Return the ids of the service's aggregates that messages name, by kind, the kinds in order."""
    wanted: dict[str, set[str]] = {}
    for contract, message in messages:
        for name, kind in service.named_by(contract).items():
            value = getattr(message, name)
            for id_ in value if isinstance(value, list) else [value]:
                if id_ is not None:
                    wanted.setdefault(kind, set()).add(id_)
    return dict(sorted(wanted.items()))


def _reject(
    tx: Transaction,
    code: str,
    message: str,
    field: str | None = None,
    *,
    command: type[Message] | None = None,
) -> None:
    contract = command.contract if command else tx.envelope.contract
    tx.publish(
        CommandRejected(
            command_id=tx.envelope.correlation_id,
            command=contract.name,
            code=code,
            message=message,
            field=field,
        )
    )
