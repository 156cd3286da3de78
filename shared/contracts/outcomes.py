"""What became of a command: the five answers that every service gives, and how they merge.

Tracking hears these of every command, so that it needs no change for a new one. An outcome travels under the command's
correlation id.
"""

from enum import StrEnum

from shared.contracts.base import Message, event
from shared.contracts.types import CommandId, Json


class RequestStatus(StrEnum):
    """How far a request has come (API, *Values*)."""

    RECEIVED = "received"
    AWAITING_APPROVAL = "awaiting_approval"
    SCHEDULED = "scheduled"
    PROCESSING = "processing"
    COMPLETED = "completed"
    REJECTED = "rejected"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"

    @property
    def rank(self) -> int:
        """How late in a request's life the status stands; of two that arrive in any order, the higher rank holds."""
        return _RANK[self]

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow. A failed request is not final: a re-driven dead letter may still complete it."""
        return self in FINAL

    @property
    def is_settled(self) -> bool:
        """Whether the request waits for nobody: final, or failed until an operator re-drives it."""
        return self in FINAL or self is RequestStatus.FAILED


_RANK = {
    RequestStatus.RECEIVED: 0,
    RequestStatus.AWAITING_APPROVAL: 1,
    RequestStatus.SCHEDULED: 2,
    RequestStatus.PROCESSING: 3,
    RequestStatus.FAILED: 4,
    RequestStatus.WITHDRAWN: 5,
    RequestStatus.REJECTED: 6,
    RequestStatus.COMPLETED: 7,
}
FINAL = frozenset({RequestStatus.COMPLETED, RequestStatus.REJECTED, RequestStatus.WITHDRAWN})


@event("outcomes")
class CommandAccepted(Message):
    """The owner has taken the command up and will finish it later.

    ``approver_function`` is what a second person needs to approve it, where the command waits for one.
    """

    command_id: CommandId
    command: str
    status: RequestStatus = RequestStatus.PROCESSING
    approver_function: str | None = None


@event("outcomes")
class CommandCompleted(Message):
    """The command is carried out; ``result`` names what it made, if anything."""

    command_id: CommandId
    command: str
    result: Json | None = None


@event("outcomes")
class CommandRejected(Message):
    """The domain says no, changed nothing and says why by a stable code (Part 2 no. 2)."""

    command_id: CommandId
    command: str
    code: str
    message: str
    field: str | None = None


@event("outcomes")
class CommandFailed(Message):
    """The command could not be handled by a fault of the system; it is kept as a dead letter to be driven again."""

    command_id: CommandId
    command: str
    code: str
    message: str


@event("outcomes")
class CommandWithdrawn(Message):
    """The command was taken back before it was carried out (Part 2 no. 1)."""

    command_id: CommandId
    command: str


OUTCOMES = (CommandAccepted, CommandCompleted, CommandRejected, CommandFailed, CommandWithdrawn)


def status_of(outcome: Message) -> RequestStatus:
    """Return the status that an outcome moves its request to."""
    if isinstance(outcome, CommandAccepted):
        return outcome.status
    return {
        CommandCompleted: RequestStatus.COMPLETED,
        CommandRejected: RequestStatus.REJECTED,
        CommandFailed: RequestStatus.FAILED,
        CommandWithdrawn: RequestStatus.WITHDRAWN,
    }[type(outcome)]
