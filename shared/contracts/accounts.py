"""What the accounts service is asked to do, what happens there, and what can be read from it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.base import Message, command, event, read, view
from shared.contracts.cards import CardState
from shared.contracts.history import FieldChange
from shared.contracts.service_times import AT_ONCE, ONE_DAY
from shared.contracts.tracking import RequestRow
from shared.contracts.types import (
    AccountId,
    Address,
    CardNumber,
    Comment,
    CompanyNumber,
    ControlAccountNumber,
    CostCentre,
    Country,
    Cursor,
    Email,
    EmbossedName,
    EmployeeId,
    Items,
    Language,
    Limit,
    Money,
    Name,
    Note,
    Number,
    Phone,
    Postcode,
    Text,
    UniversalNumber,
)


class Product(StrEnum):
    """The kinds of card account (ACC-20)."""

    CORPORATE_GREEN = "corporate_green"
    CORPORATE_GOLD = "corporate_gold"
    CORPORATE_PLATINUM = "corporate_platinum"
    COBRANDED_CORPORATE = "cobranded_corporate"
    CORPORATE_PURCHASING = "corporate_purchasing"
    BUSINESS_TRAVEL_ACCOUNT = "business_travel_account"


class AccountStatus(StrEnum):
    """The state of a card account (API, *Values*)."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PaymentStatus(StrEnum):
    """Whether an account is paid up, or how long its oldest debt is overdue (ACC-21)."""

    CURRENT = "current"
    PAST_DUE_30 = "past_due_30"
    PAST_DUE_60 = "past_due_60"
    PAST_DUE_90 = "past_due_90"
    PAST_DUE_120 = "past_due_120"


class CancelReason(StrEnum):
    """Why an account is cancelled (ACC-10)."""

    NOT_NEEDED = "not_needed"
    EMPLOYMENT_ENDED = "employment_ended"
    DEATH = "death"
    FRAUD = "fraud"
    DORMANT = "dormant"
    OTHER = "other"


class HoldOrigin(StrEnum):
    """Who put a hold on an account, from the lowest to the highest authority (Part 2 no. 10)."""

    HOLDER = "holder"
    PROGRAMME_ADMINISTRATOR = "programme_administrator"
    ISSUER = "issuer"
    SYSTEM = "system"


class StatementDelivery(StrEnum):
    """How the statements of one card account come (STM-04)."""

    PAPER_AND_PDF = "paper_and_pdf"
    PDF_ONLY = "pdf_only"


class HolderField(StrEnum):
    """What of a holder's data may be empty (ACC-08)."""

    ADDRESS_LINE_1 = "address_line_1"
    ADDRESS_LINE_2 = "address_line_2"
    ADDRESS_LINE_3 = "address_line_3"
    CITY = "city"
    POSTCODE = "postcode"
    COUNTRY = "country"
    BUSINESS_PHONE = "business_phone"
    HOME_PHONE = "home_phone"
    OTHER_PHONE = "other_phone"
    EMAIL = "email"


class AccountingField(StrEnum):
    """The fields by which a company books what is spent (ACC-16)."""

    EMPLOYEE_ID = "employee_id"
    COST_CENTRE = "cost_centre"
    UNIVERSAL_NUMBER = "universal_number"


# Commands


@command("accounts", route="/accounts", function="accounts.open", service_time=ONE_DAY)
class OpenAccount(Message):
    """Open a card account under a basic control account; the issuer does this."""

    control_account: ControlAccountNumber
    product: Product
    first_name: Name
    last_name: Name
    embossed_name: Annotated[EmbossedName, Note("made from the names where it is left out")] | None = None
    address_line_1: Address | None = None
    address_line_2: Address | None = None
    address_line_3: Address | None = None
    city: Address | None = None
    postcode: Postcode | None = None
    country: Country | None = None
    business_phone: Phone | None = None
    home_phone: Phone | None = None
    other_phone: Phone | None = None
    email: Email | None = None
    employee_id: EmployeeId | None = None
    cost_centre: CostCentre | None = None
    universal_number: UniversalNumber | None = None


@command(
    "accounts",
    route="/accounts/{account_id}/cancel",
    function="accounts.cancel",
    service_time=AT_ONCE,
    lendable=True,
)
class CancelAccount(Message):
    """Cancel a card account, in real time or at an instant at most six months ahead (ACC-10, ACC-12)."""

    account_id: AccountId
    reason: CancelReason
    effective_at: Annotated[datetime, Note("at once where it is left out")] | None = None
    comment: Annotated[Comment, Note("required where the reason is other")] | None = None


@command(
    "accounts",
    route="/accounts/{account_id}/withdraw-cancellation",
    function="accounts.cancel",
    service_time=AT_ONCE,
    lendable=True,
)
class WithdrawCancellation(Message):
    """Take back the cancellation of a card account that is to come, whichever request scheduled it (ACC-12)."""

    account_id: AccountId
    comment: Comment | None = None


@command(
    "accounts", route="/accounts/{account_id}/suspend", function="accounts.suspend", service_time=AT_ONCE
)
class SuspendAccount(Message):
    """Put a hold on a card account, at once or from an instant on, for at most a year (ACC-14)."""

    account_id: AccountId
    effective_at: Annotated[datetime, Note("at once where it is left out")] | None = None
    ends_at: (
        Annotated[datetime, Note("until lifted, within the programme's cap, where it is left out")] | None
    ) = None
    comment: Comment | None = None


@command(
    "accounts", route="/accounts/{account_id}/unsuspend", function="accounts.suspend", service_time=AT_ONCE
)
class UnsuspendAccount(Message):
    """Lift the holds that the asker may lift: the own origin's and any lower one's (Part 2 no. 10)."""

    account_id: AccountId
    comment: Comment | None = None


@command(
    "accounts", route="/accounts/{account_id}/transfer", function="accounts.transfer", service_time=AT_ONCE
)
class TransferAccount(Message):
    """Hang a card account under another basic control account, whose every setting it inherits (ACC-15).

    Fields left out stay as they are, but for those that do not exist there: they are emptied.
    """

    account_id: AccountId
    control_account: ControlAccountNumber
    employee_id: EmployeeId | None = None
    cost_centre: CostCentre | None = None
    universal_number: UniversalNumber | None = None


@command("accounts", route="/accounts/{account_id}/holder", function="accounts.holder", service_time=AT_ONCE)
class ChangeHolder(Message):
    """Change a holder's address, phones and e-mail; the name too, where the issuer asks (ACC-08).

    What is left out or null stays as it is; ``clear`` names what is to be empty.
    """

    account_id: AccountId
    first_name: Annotated[Name, Note("for the issuer alone, as are the other names")] | None = None
    last_name: Name | None = None
    embossed_name: Annotated[EmbossedName, Note("made from the names where only these change")] | None = None
    address_line_1: Address | None = None
    address_line_2: Address | None = None
    address_line_3: Address | None = None
    city: Address | None = None
    postcode: Postcode | None = None
    country: Country | None = None
    business_phone: Phone | None = None
    home_phone: Phone | None = None
    other_phone: Phone | None = None
    email: Email | None = None
    clear: Annotated[list[HolderField], Items(0, len(HolderField))] | None = None


@command(
    "accounts",
    route="/accounts/{account_id}/accounting",
    function="accounts.accounting",
    service_time=AT_ONCE,
)
class ChangeAccounting(Message):
    """Change employee ID, cost centre and universal number, as the control account wants them (ACC-16).

    What is left out or null stays as it is; ``clear`` names what is to be empty.
    """

    account_id: AccountId
    employee_id: EmployeeId | None = None
    cost_centre: CostCentre | None = None
    universal_number: UniversalNumber | None = None
    clear: Annotated[list[AccountingField], Items(0, len(AccountingField))] | None = None


@command(
    "accounts",
    route="/accounts/{account_id}/statement-delivery",
    function="accounts.delivery",
    service_time=AT_ONCE,
    holder=True,
)
class ChooseStatementDelivery(Message):
    """Say how one's own statements come, at once, where the control account leaves that to its holders (STM-04).

    Nobody else does this for a holder: no role brings the function. The control account's own option overrides it.
    """

    account_id: AccountId
    delivery: StatementDelivery
    terms_accepted: Annotated[bool, Note("nothing is changed without")]
    language: (
        Annotated[Language, Note("in which the end of paper is confirmed; English where it is left out")]
        | None
    ) = None


# Events. ``version`` counts the changes of an account: of two events of one kind, the higher tells the later state.


@event("accounts")
class AccountOpened(Message):
    """A card account was opened."""

    account_id: AccountId
    control_account: ControlAccountNumber
    product: Product
    first_name: Name | None = None
    last_name: Name | None = None
    embossed_name: EmbossedName | None = None
    email: Email | None = None
    employee_id: EmployeeId | None = None
    cost_centre: CostCentre | None = None
    universal_number: UniversalNumber | None = None


@event("accounts")
class AccountCancelled(Message):
    """A card account was cancelled."""

    account_id: AccountId
    control_account: ControlAccountNumber
    reason: CancelReason


@event("accounts")
class AccountSuspended(Message):
    """A card account stopped being usable, as a first hold took effect."""

    account_id: AccountId
    control_account: ControlAccountNumber
    origin: HoldOrigin


@event("accounts")
class AccountUnsuspended(Message):
    """A card account became usable again, as its last hold ended."""

    account_id: AccountId
    control_account: ControlAccountNumber


@event("accounts")
class AccountTransferred(Message):
    """A card account hangs under another basic control account now (ACC-15)."""

    account_id: AccountId
    control_account: ControlAccountNumber
    former_control_account: ControlAccountNumber
    version: int


@event("accounts")
class AccountHolderChanged(Message):
    """The data of a card account's holder changed; names and e-mail are told, the rest is read (ACC-08)."""

    account_id: AccountId
    control_account: ControlAccountNumber
    first_name: Name
    last_name: Name
    embossed_name: EmbossedName
    version: int
    email: Email | None = None


@event("accounts")
class AccountDeliveryChanged(Message):
    """A holder wants the statements in another way, which holds while the control account leaves that to holders (STM-04)."""

    account_id: AccountId
    control_account: ControlAccountNumber
    delivery: StatementDelivery
    version: int
    language: Language | None = None


@event("accounts")
class AccountingChanged(Message):
    """The fields by which a company books what is spent on a card account are these now (ACC-16)."""

    account_id: AccountId
    control_account: ControlAccountNumber
    employee_id: EmployeeId | None
    cost_centre: CostCentre | None
    universal_number: UniversalNumber | None
    version: int


# Views and reads


@view
class AccountRow:
    """One line of a result list (ACC-05)."""

    account_id: str
    embossed_name: str
    first_name: str
    last_name: str
    card_number: str
    product: Product
    status: AccountStatus
    payment_status: PaymentStatus
    employee_id: str | None
    cost_centre: str | None
    universal_number: str | None
    control_account: str
    balance: Annotated[Money | None, Note("null where it is not available")]
    last_used_on: Annotated[date | None, Note("null where it was never used")]
    dormant: bool


@view
class HoldView:
    """A hold on an account: who put it there, from when, until when."""

    origin: HoldOrigin
    effective_at: datetime
    ends_at: datetime
    in_force: bool
    command_id: str
    comment: Annotated[str | None, Note("for a holder null, where somebody else put the hold there")]


@view
class AccountProfile:
    """Everything about one card account, from which every action starts (ACC-06)."""

    account_id: str
    full_name: str
    first_name: str
    last_name: str
    embossed_name: str
    address_line_1: str | None
    address_line_2: str | None
    address_line_3: str | None
    city: str | None
    postcode: str | None
    country: str | None
    business_phone: str | None
    home_phone: str | None
    other_phone: str | None
    email: str | None
    product: Product
    employee_id: str | None
    cost_centre: str | None
    universal_number: str | None
    card_number: str
    card_state: CardState
    issued_on: date
    expires_on: date
    status: AccountStatus
    payment_status: PaymentStatus
    cancel_reason: CancelReason | None
    cancelled_at: datetime | None
    holds: list[HoldView]
    statement_delivery: StatementDelivery
    delivery_is_holders: Annotated[bool, Note("whether its holder may choose that (STM-04)")]
    control_account: str
    control_account_name: str
    company_name: str
    company_number: str
    version: int
    last_requests: Annotated[
        list[RequestRow] | None, Note("the latest requests; null while tracking is away")
    ] = None


NamePart = Annotated[str, Text(3, 100), Note("any part of the first, last or embossed name")]
Months = Annotated[int, Number(1, 240)]


@read("accounts", route="/accounts", function="accounts.view", returns=AccountRow, listing=True, holder=True)
class FindAccounts(Message):
    """The card accounts that fit every given criterion, in order of last name (ACC-01, ACC-03, ACC-22).

    Accents and capitals do not matter in names. ``total`` counts up to a thousand; of more it is null. By card numbers they
    are found with ``POST /accounts/search``.
    """

    name: Annotated[Name, Note("the beginning of the last or of the embossed name")] | None = None
    first_name: Annotated[Name, Note("the beginning of it")] | None = None
    last_name: Annotated[Name, Note("the beginning of it")] | None = None
    embossed_name: Annotated[Name, Note("the beginning of it")] | None = None
    name_part: NamePart | None = None
    product: Product | None = None
    status: Annotated[list[AccountStatus], Items(1, 4), Note("any of these")] | None = None
    payment_status: Annotated[list[PaymentStatus], Items(1, 5), Note("any of these")] | None = None
    employee_id: EmployeeId | None = None
    cost_centre: CostCentre | None = None
    universal_number: UniversalNumber | None = None
    control_account: Annotated[ControlAccountNumber, Note("of any level")] | None = None
    company_number: CompanyNumber | None = None
    months_unused: Annotated[Months, Note("not used for so many months or more")] | None = None
    dormant: Annotated[bool, Note("whether the balance has been nil for the months of the policy")] | None = (
        None
    )
    cursor: Cursor | None = None
    limit: Limit = 50


@read(
    "accounts",
    route="/accounts/search",
    function="accounts.view",
    returns=AccountRow,
    listing=True,
    sends_body=True,
)
class FindAccountsByCard(Message):
    """The card accounts of these card numbers; they travel in the body, as no card number may stand in a URL (ACC-04)."""

    card_numbers: Annotated[list[CardNumber], Items(1, 100)]


@read(
    "accounts",
    route="/accounts/{account_id}",
    function="accounts.view",
    returns=AccountProfile,
    holder=True,
)
class GetAccount(Message):
    """The profile of one card account (ACC-06)."""

    account_id: AccountId


@read(
    "accounts",
    route="/accounts/{account_id}/history",
    function="accounts.view",
    returns=FieldChange,
    listing=True,
)
class GetAccountHistory(Message):
    """Every change of an account's fields, the newest first; never only ten lines (ACC-18)."""

    account_id: AccountId
    cursor: Cursor | None = None
    limit: Limit = 50
