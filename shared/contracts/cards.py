"""Cards as plastics: how they are replaced, shipped, activated and listed, and what else is about to change."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.base import Message, command, event, read, view
from shared.contracts.outcomes import RequestStatus
from shared.contracts.service_times import AT_ONCE, ONE_DAY
from shared.contracts.types import (
    AccountId,
    Address,
    CardId,
    Channel,
    Comment,
    ControlAccountNumber,
    Country,
    Email,
    LastFour,
    Name,
    Note,
    Phone,
    Postcode,
    Sensitive,
    Text,
)


class CardState(StrEnum):
    """How far a card has come in its life (Part 2 no. 12)."""

    ORDERED = "ordered"
    SHIPPED = "shipped"
    ACTIVE = "active"
    CLOSED = "closed"
    EXPIRED = "expired"


class ReplacementReason(StrEnum):
    """Why a card is replaced (ACC-09)."""

    NOT_RECEIVED = "not_received"
    LOST = "lost"
    STOLEN = "stolen"
    DAMAGED = "damaged"


class PendingKind(StrEnum):
    """What is about to happen to a card account."""

    SUSPENSION = "suspension"
    END_OF_SUSPENSION = "end_of_suspension"
    CANCELLATION = "cancellation"
    REPLACEMENT = "replacement"
    RENEWAL = "renewal"
    REINSTATEMENT = "reinstatement"
    SHIPMENT = "shipment"
    ACTIVATION = "activation"


Place = Annotated[str, Text(1, 200)]
Circumstances = Annotated[str, Text(1, 1000)]
PoliceReport = Annotated[str, Text(1, 100)]
NumberHash = Annotated[
    str,
    Text(64, 64, r"^[0-9a-f]{64}$", "a keyed hash in hexadecimal"),
    Sensitive(),
    Note("finds the account of a card number for whoever holds the key, and tells nobody else anything"),
]
_LOSS = "required where the card was lost or stolen"
_DELIVERY = "the holder's address where none is given"


# Commands


@command(
    "accounts", route="/accounts/{account_id}/replace", function="accounts.replace", service_time=ONE_DAY
)
class ReplaceCard(Message):
    """Have a card replaced: one lost, stolen or not received is closed at once, a damaged one works on (ACC-09)."""

    account_id: AccountId
    reason: ReplacementReason
    contact_name: Annotated[Name, Note("whom the issuer may ask about this")]
    contact_phone: Annotated[Phone, Note("one of phone and e-mail is required")] | None = None
    contact_email: Email | None = None
    last_seen_at: Annotated[datetime, Note(_LOSS)] | None = None
    last_seen_where: Annotated[Place, Note(_LOSS)] | None = None
    circumstances: Annotated[Circumstances, Note(_LOSS)] | None = None
    police_report: Annotated[PoliceReport, Note("its number, where there is one")] | None = None
    delivery_line_1: Annotated[Address, Note(_DELIVERY)] | None = None
    delivery_line_2: Address | None = None
    delivery_line_3: Address | None = None
    delivery_city: Address | None = None
    delivery_postcode: Postcode | None = None
    delivery_country: Country | None = None


@command(
    "accounts", route="/accounts/{account_id}/activate", function="accounts.activate", service_time=AT_ONCE
)
class ActivateCard(Message):
    """Make the card that was shipped usable; the one that it replaces is closed then (Part 2 no. 12)."""

    account_id: AccountId


@command(
    "accounts", route="/accounts/{account_id}/reinstate", function="accounts.reinstate", service_time=ONE_DAY
)
class ReinstateAccount(Message):
    """Bring back a wrongly cancelled account, always with a new card of a new number; the issuer does this (ACC-13)."""

    account_id: AccountId
    comment: Annotated[Comment, Note("why the cancellation was wrong")]


# Events


@event("accounts")
class CardIssued(Message):
    """The issuer made a card: the first one, a replacement, or a renewal with the same number."""

    account_id: AccountId
    control_account: ControlAccountNumber
    card_id: CardId
    expires_on: date
    last_four: LastFour | None = None
    number_hash: NumberHash | None = None


@event("accounts")
class CardShipped(Message):
    """A card is on its way to where it was wanted."""

    account_id: AccountId
    control_account: ControlAccountNumber
    card_id: CardId


@event("accounts")
class CardActivated(Message):
    """A card can be used from now on, as long as no hold stands against it."""

    account_id: AccountId
    control_account: ControlAccountNumber
    card_id: CardId


@event("accounts")
class CardClosed(Message):
    """A card can never be used again, though its account goes on."""

    account_id: AccountId
    control_account: ControlAccountNumber
    card_id: CardId


@event("accounts")
class AccountReinstated(Message):
    """A wrongly cancelled card account came back, with a new card."""

    account_id: AccountId
    control_account: ControlAccountNumber


@event("accounts")
class AccountExpired(Message):
    """A card account's last card expired, and no other was made."""

    account_id: AccountId
    control_account: ControlAccountNumber


# Views and reads


@view
class CardView:
    """A plastic of a card account; ``since`` is when it came into its state."""

    card_id: str
    card_number: str
    state: CardState
    since: datetime
    issued_on: date
    expires_on: date
    usable: Annotated[bool, Note("whether it is active, and its account too")]


@view
class PendingChange:
    """Something that will happen to a card account, and which request asked for it."""

    kind: PendingKind
    status: RequestStatus
    due_at: Annotated[
        datetime | None, Note("null where it happens as soon as the issuer's processor answers")
    ]
    withdrawable: Annotated[
        bool,
        Note(
            "whether the request can be withdrawn; what a row of a file asked for is taken back by the account"
        ),
    ]
    actor: str
    on_behalf_of: str | None
    channel: Channel
    command_id: str
    tracking_number: Annotated[str | None, Note("null while tracking is away")] = None


@read(
    "accounts",
    route="/accounts/{account_id}/cards",
    function="accounts.view",
    returns=CardView,
    listing=True,
    holder=True,
)
class ListCards(Message):
    """Every card that an account ever had, the newest first."""

    account_id: AccountId


@read(
    "accounts",
    route="/accounts/{account_id}/pending",
    function="accounts.view",
    returns=PendingChange,
    listing=True,
)
class ListPendingChanges(Message):
    """What is about to change on a card account: what is due first comes first (Part 2 no. 1)."""

    account_id: AccountId
