"""What identity is asked to do, what happens there, and what can be read from it: who there is and what each may do."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.base import Message, command, event, read, view
from shared.contracts.history import FieldChange
from shared.contracts.service_times import AT_ONCE
from shared.contracts.types import (
    AccountId,
    CommandName,
    Comment,
    CompanyNumber,
    ControlAccountNumber,
    Cursor,
    DelegationId,
    Email,
    Function,
    Items,
    KnownCompanyNumber,
    Language,
    Limit,
    Name,
    Note,
    Phone,
    Placed,
    Sealed,
    Sensitive,
    Text,
    UserId,
    UserKey,
)

RoleName = Annotated[
    str, Text(3, 50, r"^[a-z]+(_[a-z]+)*$", "a role, such as programme_administrator"), Note("see GET /roles")
]
SecretPhrase = Annotated[
    str,
    Text(8, 2000),
    Sensitive(),
    Sealed(longest=200),
    Note("agreed with the user beforehand, told to nobody else"),
]
SealedText = Annotated[str, Text(1, 2000), Sensitive(), Note("only the notifications service can read it")]


class UserStatus(StrEnum):
    """Whether a user may sign in."""

    INVITED = "invited"
    ACTIVE = "active"
    INACTIVE = "inactive"


class DelegationStatus(StrEnum):
    """Where a delegation stands today."""

    UPCOMING = "upcoming"
    ACTIVE = "active"
    ENDED = "ended"


@view
class Entitlement:
    """A function over a control account and all that lies below it (IDN-05)."""

    function: Function
    control_account: Annotated[
        str, Text(1, 15, r"^([0-9]{15}|\*)$", "15 digits, or * for the whole programme")
    ]


# Companies and users


@command("identity", route="/companies", function="companies.enrol", service_time=AT_ONCE)
class EnrolCompany(Message):
    """Enrol a client company, the first of two stages (IDN-01); the issuer does this."""

    number: CompanyNumber
    name: Name
    control_account: Annotated[ControlAccountNumber, Note("the company's master control account")]
    language: Language = Language.ENGLISH


@command(
    "identity",
    route="/companies/{company}/settings",
    function="companies.configure",
    service_time=AT_ONCE,
)
class ConfigureCompany(Message):
    """Set how a company's users work; what is left out stays as it is (Part 2 no. 6)."""

    company: KnownCompanyNumber
    second_factor_required: (
        Annotated[bool, Note("whoever has no second factor yet can do nothing but set one up")] | None
    ) = None
    vouching_required: (
        Annotated[bool, Note("an identity voucher confirms each new user before the access code is mailed")]
        | None
    ) = None
    approvals: (
        Annotated[list[CommandName], Items(0, 100), Note("the commands that a second person has to approve")]
        | None
    ) = None


@command("identity", route="/users", function="users.enrol", service_time=AT_ONCE)
class EnrolUser(Message):
    """Enrol a user with a role over control accounts, the second stage, and mail an access code (IDN-01, IDN-02)."""

    name: Name
    email: Email
    role: RoleName
    company: Annotated[KnownCompanyNumber, Note("left out for the issuer's own people")] | None = None
    control_accounts: (
        Annotated[
            list[ControlAccountNumber],
            Items(1, 100),
            Note("left out for the issuer's own people, and for a cardholder"),
        ]
        | None
    ) = None
    account_ids: (
        Annotated[
            list[AccountId], Items(1, 100), Placed(), Note("the card accounts that are the cardholder's own")
        ]
        | None
    ) = None
    secret_phrase: SecretPhrase
    phone: Phone | None = None
    language: Annotated[Language, Note("the company's where it is left out")] | None = None


@command("identity", route="/users/{user}/access-code", function="users.enrol", service_time=AT_ONCE)
class ReissueAccessCode(Message):
    """Mail a new access code to a user who has not signed in yet; the one before is worth nothing then (IDN-02)."""

    user: UserKey
    secret_phrase: SecretPhrase | None = None


@command("identity", route="/users/{user}/vouch", function="users.vouch", service_time=AT_ONCE)
class VouchForUser(Message):
    """Confirm that a new user is who they say, where the company demands that (IDN-06)."""

    user: UserKey
    comment: Comment | None = None


@command(
    "identity",
    route="/users/{user}/entitlements",
    function="users.entitle",
    service_time=AT_ONCE,
    consent="users.consent",
)
class ChangeEntitlements(Message):
    """Give and take functions over control accounts; more rights wait for the principal's consent (IDN-05).

    A role, where one is given, first replaces all that the user may do by its functions over ``control_accounts``.
    """

    user: UserKey
    give: Annotated[list[Entitlement], Items(0, 500)] | None = None
    take: Annotated[list[Entitlement], Items(0, 500)] | None = None
    role: RoleName | None = None
    control_accounts: (
        Annotated[list[ControlAccountNumber], Items(1, 100), Note("with a role only")] | None
    ) = None
    comment: Comment | None = None


@command("identity", route="/users/{user}/accounts", function="users.enrol", service_time=AT_ONCE)
class GiveCardAccount(Message):
    """Make another card account of the company a cardholder's own (IDN-06)."""

    user: UserKey
    account_id: Annotated[AccountId, Placed()]
    comment: Comment | None = None


@command("identity", route="/users/{user}/accounts/take", function="users.enrol", service_time=AT_ONCE)
class TakeCardAccount(Message):
    """Take a card account from the cardholder whose own it is; it stays as it is (IDN-06)."""

    user: UserKey
    account_id: Annotated[AccountId, Placed()]
    comment: Comment | None = None


@command("identity", route="/users/{user}/deactivate", function="users.deactivate", service_time=AT_ONCE)
class DeactivateUser(Message):
    """Keep a user from signing in, and end every session, until the help desk reactivates (IDN-04)."""

    user: UserKey
    comment: Comment | None = None


@command("identity", route="/users/{user}/reactivate", function="users.reactivate", service_time=AT_ONCE)
class ReactivateUser(Message):
    """Let a user sign in again who has become inactive (IDN-04)."""

    user: UserKey
    comment: Comment | None = None


@command(
    "identity",
    route="/users/{user}/second-factor/remove",
    function="users.second-factor",
    service_time=AT_ONCE,
)
class RemoveSecondFactor(Message):
    """Take the second factor from a user who has lost it and the recovery codes; every session ends."""

    user: UserKey
    comment: Comment | None = None


@command("identity", route="/users/{user}/contact", function="users.contact", service_time=AT_ONCE)
class ChangeContact(Message):
    """Change a user's contact data; what is left out stays as it is (IDN-09)."""

    user: UserKey
    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    language: Language | None = None


@command("identity", route="/me/contact", function="me.contact", service_time=AT_ONCE)
class ChangeOwnContact(Message):
    """Change one's own contact data; what is left out stays as it is (IDN-09)."""

    email: Email | None = None
    phone: Phone | None = None
    language: Language | None = None


# Delegations


@command("identity", route="/delegations", function="delegations.lend", service_time=AT_ONCE)
class LendFunctions(Message):
    """Share functions with another administrator of the company who has the same control accounts (IDN-07).

    It ends by itself: at ``ends_at``, or with ``until_return`` when the lender next signs in after it began.
    """

    borrower: UserId
    functions: Annotated[
        list[Function], Items(1, 20), Note("only those that may be shared: see GET /functions")
    ]
    control_accounts: (
        Annotated[list[ControlAccountNumber], Items(1, 100), Note("all of the lender's where it is left out")]
        | None
    ) = None
    starts_at: Annotated[datetime, Note("now where it is left out")] | None = None
    ends_at: Annotated[datetime, Note("may be left out with until_return")] | None = None
    until_return: Annotated[bool, Note("for an absence: it ends when the lender next signs in")] = False
    comment: Comment | None = None


@command(
    "identity",
    route="/delegations/{delegation}/revoke",
    function="delegations.lend",
    service_time=AT_ONCE,
)
class RevokeDelegation(Message):
    """End a delegation before its time; lender or borrower, or whoever administers the company's users, may do it."""

    delegation: DelegationId


# What happened


@view
class Recipient:
    """Whom a mail goes to, and in which language."""

    name: Name
    email: Email
    language: Language


@event("identity")
class CompanyEnrolled(Message):
    """A client company was enrolled."""

    company: str
    name: str
    control_account: str


@event("identity")
class CompanyConfigured(Message):
    """A company's settings were changed."""

    company: str
    second_factor_required: bool
    vouching_required: bool
    approvals: list[str]


@event("identity")
class UserInvited(Message):
    """A user was enrolled and may now choose a user ID and a password, with the access code (IDN-02)."""

    user: str
    company: str | None
    company_name: str | None
    recipient: Recipient
    access_code: SealedText
    expires_at: datetime


@event("identity")
class UserEnrolled(Message):
    """A user chose a user ID and a password and may sign in from now on."""

    user: str
    user_id: str
    company: str | None
    company_name: str | None
    recipient: Recipient


@event("identity")
class EntitlementsChanged(Message):
    """What a user may do has changed, with effect at once."""

    user: str
    company: str | None
    given: list[Entitlement]
    taken: list[Entitlement]
    recipient: Recipient


@event("identity")
class OwnAccountsChanged(Message):
    """A user holds other card accounts than before, with effect at once (IDN-06)."""

    user: str
    company: str | None
    given: list[str]
    taken: list[str]


@event("identity")
class ConsentWanted(Message):
    """More rights for a user wait for the consent of one of these principals (IDN-05)."""

    user: str
    company: str
    company_name: str
    user_name: str
    given: list[Entitlement]
    recipients: list[Recipient]


@event("identity")
class UserDeactivated(Message):
    """A user can no longer sign in: ``reason`` is ``asked`` or ``unused``."""

    user: str
    company: str | None
    reason: str


@event("identity")
class UserReactivated(Message):
    """A user may sign in again."""

    user: str
    company: str | None


@event("identity")
class ContactChanged(Message):
    """A user's contact data changed; both addresses are told, so that a thief cannot change it unseen."""

    user: str
    company: str | None
    recipients: list[Recipient]


@event("identity")
class PasswordResetAsked(Message):
    """Somebody asked for a new password for this user (IDN-03)."""

    user: str
    recipient: Recipient
    token: SealedText
    expires_at: datetime


@event("identity")
class PasswordChanged(Message):
    """A user's password was changed."""

    user: str
    recipient: Recipient


@event("identity")
class SecondFactorChanged(Message):
    """A user's second factor was set up or removed."""

    user: str
    present: bool
    recipient: Recipient


@event("identity")
class FunctionsLent(Message):
    """An administrator shares functions with another one (IDN-07)."""

    delegation: str
    company: str
    functions: list[str]
    control_accounts: list[str]
    starts_at: datetime
    ends_at: datetime
    until_return: bool
    lender: Recipient
    borrower: Recipient


@event("identity")
class DelegationEnded(Message):
    """A delegation came to its end: ``reason`` is ``revoked``, ``returned``, ``expired`` or ``moved``."""

    delegation: str
    company: str
    reason: str


# Views and reads


@view
class CompanyView:
    """A client company and how its users work."""

    number: str
    name: str
    control_account: str
    language: Language
    second_factor_required: bool
    vouching_required: bool
    approvals: list[str]
    users: Annotated[int, Note("how many of them may sign in")]


@view
class UserRow:
    """One user in a list."""

    user: Annotated[str, Note("names the user in routes; the user ID is chosen later, by the user")]
    user_id: Annotated[str | None, Note("null until the user has signed in for the first time")]
    name: str
    company: str | None
    role: str
    status: UserStatus
    control_accounts: list[str]
    last_signed_in_at: datetime | None


@view
class UserDetail:
    """A user with contact data and every entitlement (IDN-05, IDN-09)."""

    user: str
    user_id: str | None
    name: str
    company: str | None
    role: str
    status: UserStatus
    vouched_for: bool
    email: str
    phone: str | None
    language: Language
    second_factor: bool
    enrolled_at: datetime
    last_signed_in_at: datetime | None
    entitlements: list[Entitlement]
    own_accounts: Annotated[list[str], Note("the card accounts that the user holds (IDN-06)")]


@view
class DelegationRow:
    """Who shares what with whom, and until when (IDN-07)."""

    delegation: str
    company: str
    lender: str
    lender_name: str
    borrower: str
    borrower_name: str
    functions: list[str]
    control_accounts: list[str]
    starts_at: datetime
    ends_at: Annotated[datetime, Note("with until_return: at the latest")]
    until_return: bool
    status: DelegationStatus
    ended_at: datetime | None
    comment: str | None


@view
class Borrower:
    """Somebody to whom the caller could lend functions."""

    user_id: str
    name: str
    role: str


@view
class RoleView:
    """A named set of functions (IDN-06)."""

    role: str
    party: str
    functions: list[str]


@view
class FunctionView:
    """A function, and what it lets one do."""

    function: str
    lendable: Annotated[bool, Note("whether it may be shared by a delegation (IDN-07)")]
    messages: Annotated[list[str], Note("the commands and reads that ask for it")]


@read("identity", route="/companies", function="companies.view", returns=CompanyView, listing=True)
class ListCompanies(Message):
    """The companies that the caller may see, in order of their number."""

    cursor: Cursor | None = None
    limit: Limit = 50


@read("identity", route="/companies/{company}", function="companies.view", returns=CompanyView)
class GetCompany(Message):
    """One company, with what it demands of its users."""

    company: KnownCompanyNumber


@read(
    "identity",
    route="/companies/{company}/history",
    function="companies.view",
    returns=FieldChange,
    listing=True,
)
class GetCompanyHistory(Message):
    """Every change of a company's settings, the newest first (Part 2 no. 9)."""

    company: KnownCompanyNumber
    cursor: Cursor | None = None
    limit: Limit = 50


@read("identity", route="/users", function="users.view", returns=UserRow, listing=True)
class FindUsers(Message):
    """The users who lie within the caller's control accounts and fit every criterion, in order of name."""

    name: Annotated[Name, Note("part of the name or of the user ID")] | None = None
    company: KnownCompanyNumber | None = None
    status: UserStatus | None = None
    role: RoleName | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read("identity", route="/users/{user}", function="users.view", returns=UserDetail)
class GetUser(Message):
    """One user with every entitlement."""

    user: UserKey


@read("identity", route="/users/{user}/history", function="users.view", returns=FieldChange, listing=True)
class GetUserHistory(Message):
    """Every change of a user's rights and data, the newest first (Part 2 no. 9)."""

    user: UserKey
    cursor: Cursor | None = None
    limit: Limit = 50


@read("identity", route="/delegations", function="delegations.view", returns=DelegationRow, listing=True)
class ListDelegations(Message):
    """Who shares with whom: the caller's own, and those within the caller's control accounts, the newest first."""

    status: DelegationStatus | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read("identity", route="/delegations/borrowers", function="delegations.lend", returns=Borrower, listing=True)
class ListBorrowers(Message):
    """The administrators to whom the caller could lend: of the same company, with the same control accounts."""


@read("identity", route="/roles", function="roles.view", returns=RoleView, listing=True)
class ListRoles(Message):
    """The roles, each with its functions."""


@read("identity", route="/functions", function="roles.view", returns=FunctionView, listing=True)
class ListFunctions(Message):
    """Every function, and what it lets one do."""
