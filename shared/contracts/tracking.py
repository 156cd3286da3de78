"""What can be read about requests: every command that was ever submitted, and what became of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.base import Message, command, event, read, view
from shared.contracts.outcomes import RequestStatus
from shared.contracts.service_times import AT_ONCE
from shared.contracts.types import (
    AccountId,
    CardNumber,
    Channel,
    CommandId,
    Comment,
    ControlAccountNumber,
    Cursor,
    Items,
    Json,
    Limit,
    Note,
    Text,
    TrackingNumber,
    UserId,
)

RequestType = Annotated[
    str, Text(3, 100, r"^[a-z-]+\.[a-z0-9-]+$", "a command's name, such as accounts.cancel-account")
]

RequestNumber = Annotated[str, Text(10, 36, r"^[0-9A-Za-z-]+$", "a tracking number or a command id")]

HolderName = Annotated[str, Text(1, 100), Note("the beginning of the holder's last or of the embossed name")]
ProductName = Annotated[str, Text(3, 30, r"^[a-z_]+$", "a kind of card account, such as corporate_green")]
WorkOf = Annotated[UserId, Note("only what this user asked, or what was asked for this user")]
Overdue = Annotated[bool, Note("only those past, or only those within, their service time")]


class Decision(StrEnum):
    """What a person decides about a request that waits."""

    APPROVE = "approve"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


# Commands and the event that carries them to the owner of the request


@command(
    "tracking", route="/tracking/{tracking_number}/approve", function="tracking.approve", service_time=AT_ONCE
)
class ApproveRequest(Message):
    """Let a request be carried out that waits for a second person; its asker never can (Part 2 no. 6)."""

    tracking_number: RequestNumber
    comment: Comment | None = None


@command(
    "tracking", route="/tracking/{tracking_number}/refuse", function="tracking.approve", service_time=AT_ONCE
)
class RefuseRequest(Message):
    """Refuse a request that waits for a second person."""

    tracking_number: RequestNumber
    comment: Comment | None = None


@command(
    "tracking",
    route="/tracking/{tracking_number}/withdraw",
    function="tracking.withdraw",
    service_time=AT_ONCE,
)
class WithdrawRequest(Message):
    """Take back a request that waits for approval or for its time (Part 2 no. 1)."""

    tracking_number: RequestNumber
    comment: Comment | None = None


@event("tracking")
class RequestDecided(Message):
    """Somebody who may do so decided about a waiting request; the service that owns it carries the decision out."""

    request_id: CommandId
    request_type: RequestType
    decision: Decision
    comment: Comment | None = None


@view
class RequestRow:
    """One request in a list."""

    tracking_number: str
    command_id: str
    type: str
    status: RequestStatus
    code: str | None
    account_id: str | None
    control_account: str | None
    actor: str
    on_behalf_of: str | None
    channel: Channel
    received_at: datetime
    finished_at: datetime | None
    due_at: datetime
    overdue: bool


@view
class TimelineStep:
    """One thing that happened to a request, and when; a ``decision`` is told with who took it and its comment."""

    at: datetime
    status: RequestStatus
    by: str
    on_behalf_of: str | None = None
    decision: Decision | None = None
    code: str | None = None
    message: str | None = None


@view
class RequestDetail:
    """A request whole: what was asked (sensitive values masked), by whom, for whom, and each step (TRK-03)."""

    tracking_number: str
    command_id: str
    type: str
    status: RequestStatus
    code: str | None
    message: str | None
    field: str | None
    result: Json | None
    payload: Json
    approver_function: str | None
    account_id: str | None
    control_account: str | None
    actor: str
    on_behalf_of: str | None
    channel: Channel
    received_at: datetime
    finished_at: datetime | None
    due_at: datetime
    overdue: bool
    timeline: list[TimelineStep]


@view
class StatusCount:
    """How many requests stand at one status."""

    status: RequestStatus
    count: int


@view
class RequestOverview:
    """How many requests stand at each status; the counts sum to the total (TRK-04).

    ``awaiting_me`` is how many of those that await approval the caller may decide about.
    """

    total: int
    overdue: int
    awaiting_me: int
    counts: list[StatusCount]


@view
class ServiceTime:
    """How long a command may take before it is overdue, and how long it may by default; in seconds."""

    type: str
    seconds: int
    default_seconds: int


@read(
    "tracking",
    route="/tracking",
    function="tracking.view",
    returns=RequestRow,
    listing=True,
    holder=True,
)
class FindRequests(Message):
    """The requests that fit every given criterion, the newest first (TRK-02)."""

    tracking_number: TrackingNumber | None = None
    type: RequestType | None = None
    status: RequestStatus | None = None
    account_id: AccountId | None = None
    control_account: ControlAccountNumber | None = None
    name: HolderName | None = None
    product: ProductName | None = None
    work_of: WorkOf | None = None
    channel: Channel | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None
    overdue: Overdue | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read(
    "tracking",
    route="/tracking/search",
    function="tracking.view",
    returns=RequestRow,
    listing=True,
    sends_body=True,
)
class SearchRequests(Message):
    """The same search with its criteria in the body, where card numbers may stand: none ever travels in a URL (TRK-02).

    Tracking knows no card numbers; the gateway has accounts find theirs, and asks by ``account_ids``.
    """

    card_numbers: Annotated[list[CardNumber], Items(1, 100)] | None = None
    account_ids: Annotated[list[AccountId], Items(0, 500)] | None = None
    tracking_number: TrackingNumber | None = None
    type: RequestType | None = None
    status: RequestStatus | None = None
    account_id: AccountId | None = None
    control_account: ControlAccountNumber | None = None
    name: HolderName | None = None
    product: ProductName | None = None
    work_of: WorkOf | None = None
    channel: Channel | None = None
    received_from: datetime | None = None
    received_before: datetime | None = None
    overdue: Overdue | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read("tracking", route="/tracking/overview", function="tracking.view", returns=RequestOverview)
class GetRequestOverview(Message):
    """Counts of requests by status, of all that the caller may see or of one user's work (TRK-04, TRK-05)."""

    received_from: datetime | None = None
    received_before: datetime | None = None
    work_of: WorkOf | None = None


@read(
    "tracking",
    route="/tracking/{tracking_number}",
    function="tracking.view",
    returns=RequestDetail,
    holder=True,
)
class GetRequest(Message):
    """One request with its timeline, by its tracking number or its command id (TRK-03)."""

    tracking_number: RequestNumber


@read("tracking", route="/service-times", function="tracking.view", returns=ServiceTime, listing=True)
class ListServiceTimes(Message):
    """How long each command may take, as the issuer has configured it (TRK-06)."""
