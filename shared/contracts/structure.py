"""The structure of a company: its control accounts, what accounts is asked to do with them, and what can be read of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from shared.contracts.accounts import Product
from shared.contracts.base import Message, command, event, read, view
from shared.contracts.history import FieldChange
from shared.contracts.service_times import AT_ONCE
from shared.contracts.types import (
    CompanyNumber,
    ControlAccountNumber,
    Currency,
    Cursor,
    Items,
    Language,
    Limit,
    Name,
    NewControlAccountNumber,
    Note,
    Number,
    Text,
)


class Level(StrEnum):
    """Where a control account stands in a company's structure."""

    MASTER = "master"
    INTERMEDIATE = "intermediate"
    BASIC = "basic"


class Liability(StrEnum):
    """Who answers for what is spent on a card account."""

    CORPORATE = "corporate"
    INDIVIDUAL = "individual"
    JOINT = "joint"


class FieldUse(StrEnum):
    """Whether card accounts have a field, and whether each must have it (ACC-16)."""

    ABSENT = "absent"
    OPTIONAL = "optional"
    MANDATORY = "mandatory"


class StatementOption(StrEnum):
    """How holders get their statements (STM-04)."""

    PAPER_ON = "paper_on"
    PAPER_OFF = "paper_off"
    HOLDER_CHOICE = "holder_choice"


class BillingModel(StrEnum):
    """Who is billed, and on how many statements (STM-05)."""

    INDIVIDUAL = "individual"
    CENTRAL = "central"
    BUSINESS_TRAVEL = "business_travel"


class Setting(StrEnum):
    """What can be set on a control account, and is inherited by all below it (PRG-02)."""

    PRODUCTS = "products"
    LIABILITY = "liability"
    BILLING_CYCLE_DAY = "billing_cycle_day"
    RENEWAL_MONTHS = "renewal_months"
    EMPLOYEE_ID = "employee_id"
    COST_CENTRE = "cost_centre"
    UNIVERSAL_NUMBER = "universal_number"
    STATEMENT_OPTION = "statement_option"
    BILLING_MODEL = "billing_model"
    BILLING_CURRENCY = "billing_currency"
    SUSPENSION_CAP_DAYS = "suspension_cap_days"


Products = Annotated[list[Product], Items(1, len(Product))]
CycleDay = Annotated[int, Number(1, 28)]
Months = Annotated[int, Number(1, 120)]
BillingCurrency = Annotated[
    Currency, Note("in which accounts are billed from their first transaction on; it never changes for these")
]
CapDays = Annotated[int, Number(1, 365), Note("the longest suspension, in days (ACC-14)")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettings:
    """The settings that a control account has of its own; null stands for what it inherits (PRG-02)."""

    products: Products | None = None
    liability: Liability | None = None
    billing_cycle_day: CycleDay | None = None
    renewal_months: Months | None = None
    employee_id: FieldUse | None = None
    cost_centre: FieldUse | None = None
    universal_number: FieldUse | None = None
    statement_option: StatementOption | None = None
    billing_model: BillingModel | None = None
    billing_currency: BillingCurrency | None = None
    suspension_cap_days: CapDays | None = None


# Commands


@command("accounts", route="/control-accounts", function="control-accounts.open", service_time=AT_ONCE)
class OpenControlAccount(OwnSettings, Message):
    """Add a control account to a company's structure, with settings of its own where it has any (PRG-01).

    The issuer does this.
    """

    number: NewControlAccountNumber
    name: Name
    level: Level
    parent: ControlAccountNumber | None = None
    company_name: Name | None = None
    company_number: Annotated[CompanyNumber, Note("only on a master control account")] | None = None
    contact: Name | None = None


@command(
    "accounts",
    route="/control-accounts/{number}/settings",
    function="control-accounts.configure",
    service_time=AT_ONCE,
)
class ChangeControlAccountSettings(OwnSettings, Message):
    """Set what holds at a control account and below it, until set otherwise there (PRG-02).

    What is left out stays as it is. A company's administrator sets which fields there are and the longest suspension; the
    rest is the issuer's. How statements are delivered, administrators change by a command of its own, as it has terms.
    """

    number: ControlAccountNumber
    inherit: (
        Annotated[list[Setting], Items(0, len(Setting)), Note("what is no longer set here but inherited")]
        | None
    ) = None


@command(
    "accounts",
    route="/control-accounts/{number}/move",
    function="control-accounts.move",
    service_time=AT_ONCE,
)
class MoveControlAccount(Message):
    """Put a control account, with all that lies below it, under another parent of the same level (PRG-01)."""

    number: ControlAccountNumber
    parent: ControlAccountNumber


@command(
    "accounts",
    route="/control-accounts/{number}/statement-delivery",
    function="control-accounts.configure",
    service_time=AT_ONCE,
)
class ChangeStatementDelivery(Message):
    """Say how the holders of a basic control account get their statements, with effect at once and for all of them (STM-04)."""

    number: ControlAccountNumber
    option: StatementOption
    terms_accepted: Annotated[bool, Note("nothing is changed without")]
    language: Annotated[Language, Note("in which holders are told; English where it is left out")] | None = (
        None
    )


# Events. ``version`` counts the changes of a control account: of two events, the higher tells the later state.


@event("accounts")
class ControlAccountOpened(Message):
    """A control account was added to the structure."""

    number: ControlAccountNumber
    parent: ControlAccountNumber | None
    level: Level
    version: int = 1


@event("accounts")
class ControlAccountMoved(Message):
    """A control account, with all that lies below it, lies under another parent now."""

    number: ControlAccountNumber
    parent: ControlAccountNumber
    former_parent: ControlAccountNumber
    level: Level
    company_name: Name
    company_number: CompanyNumber
    version: int


@event("accounts")
class ControlAccountSettingsChanged(OwnSettings, Message):
    """A control account has these settings of its own now; null stands for what it inherits (PRG-02)."""

    number: ControlAccountNumber
    version: int


@event("accounts")
class StatementDeliveryChanged(Message):
    """The holders of a basic control account get their statements in another way from now on (STM-04)."""

    number: ControlAccountNumber
    option: StatementOption
    former: StatementOption
    version: int
    language: Language | None = None


# Views and reads


@view
class ControlAccountNode:
    """A node of a company's structure, with how many live card accounts lie under it (PRG-01)."""

    number: str
    name: str
    level: Level
    parent: str | None
    company_name: str
    company_number: str
    contact: str | None
    accounts: int


@view
class SettingsInForce:
    """The settings that hold at a control account, its own and those that it inherits (PRG-02)."""

    products: list[Product]
    liability: Liability
    billing_cycle_day: int
    renewal_months: int
    employee_id: FieldUse
    cost_centre: FieldUse
    universal_number: FieldUse
    statement_option: StatementOption
    billing_model: BillingModel
    suspension_cap_days: int
    billing_currency: str


DEFAULT_SETTINGS = SettingsInForce(
    products=list(Product), liability=Liability.CORPORATE, billing_cycle_day=1, renewal_months=36,
    employee_id=FieldUse.OPTIONAL, cost_centre=FieldUse.OPTIONAL, universal_number=FieldUse.OPTIONAL,
    statement_option=StatementOption.PAPER_ON, billing_model=BillingModel.INDIVIDUAL, suspension_cap_days=365,
    billing_currency="EUR",
)  # fmt: skip
"""What holds where no control account of a path sets anything else (PRG-02)."""


@view
class ControlAccountProfile:
    """A node of a company's structure, with the settings that hold there and where each was set (PRG-02)."""

    number: str
    name: str
    level: Level
    parent: str | None
    company_name: str
    company_number: str
    contact: str | None
    accounts: int
    path: Annotated[list[str], Note("the numbers from the master down to this one")]
    settings: SettingsInForce
    set_at: Annotated[
        Mapping[str, str | None],
        Note("of each setting, the control account that sets it; null where it is Cardwork's default"),
    ]
    version: int


@read(
    "accounts",
    route="/control-accounts",
    function="control-accounts.view",
    returns=ControlAccountNode,
    listing=True,
)
class ListControlAccounts(Message):
    """The nodes that the caller may see and that fit every given criterion, each parent before its children (PRG-01)."""

    level: Level | None = None
    parent: ControlAccountNumber | None = None
    number: Annotated[str, Text(1, 15, r"^[0-9]+$", "digits"), Note("how the number begins")] | None = None
    name: Annotated[Name, Note("a part of the name, of the company's or of the contact's")] | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read(
    "accounts",
    route="/control-accounts/{number}",
    function="control-accounts.view",
    returns=ControlAccountProfile,
)
class GetControlAccount(Message):
    """One node of the structure, with the settings that hold there (PRG-02)."""

    number: ControlAccountNumber


@read(
    "accounts",
    route="/control-accounts/{number}/history",
    function="control-accounts.view",
    returns=FieldChange,
    listing=True,
)
class GetControlAccountHistory(Message):
    """Every change of a control account's place and settings, the newest first (Part 2 no. 9)."""

    number: ControlAccountNumber
    cursor: Cursor | None = None
    limit: Limit = 50
