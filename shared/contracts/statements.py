"""Transactions, payments and statements: what the statements service is asked to do, what it tells, and what it shows."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from shared.contracts.accounts import PaymentStatus
from shared.contracts.base import Message, command, event, read, view
from shared.contracts.service_times import AT_ONCE, MINUTES_15, ONE_DAY
from shared.contracts.types import (
    AccountId,
    Comment,
    ControlAccountNumber,
    CostCentre,
    Country,
    Currency,
    Cursor,
    Email,
    EmployeeId,
    Items,
    Language,
    Limit,
    Money,
    Name,
    Note,
    Scoped,
    Text,
    identifier,
)

MOST_AT_ONCE = 200
"""How many transactions or payments one request may carry; files carry any number."""

MOST_TOLD_AT_ONCE = 1000


class TransactionKind(StrEnum):
    """What moved the balance of an account."""

    PURCHASE = "purchase"
    CASH_ADVANCE = "cash_advance"
    REFUND = "refund"
    PAYMENT = "payment"
    FEE = "fee"
    CORRECTION = "correction"
    CREDIT_REFUND = "credit_refund"


class PostedKind(StrEnum):
    """What the issuer posts by a request of its own; payments, corrections and credit refunds have theirs."""

    PURCHASE = "purchase"
    CASH_ADVANCE = "cash_advance"
    REFUND = "refund"
    FEE = "fee"


class TransactionView(StrEnum):
    """Which transactions of an account: those since the last cycle day, those of the last statement, the earlier ones (STM-01)."""

    UNBILLED = "unbilled"
    BILLED = "billed"
    PREVIOUS = "previous"
    ALL = "all"


class CreditOrigin(StrEnum):
    """Where a credit balance comes from (ACC-21)."""

    OVERPAYMENT = "overpayment"
    MISPOSTED_PAYMENT = "misposted_payment"
    MERCHANT_REFUND = "merchant_refund"


class RefundDestination(StrEnum):
    """Where a credit balance is paid to (STM-03)."""

    HOLDER = "holder"
    COMPANY = "company"


TransactionId = Annotated[str, identifier("txn"), Scoped("statements", "transaction")]
StatementId = Annotated[str, identifier("stm"), Scoped("statements", "statement", owner_knows_holder=True)]
NewTransactionId = Annotated[str, identifier("txn")]
NewStatementId = Annotated[str, identifier("stm")]
MerchantCategoryCode = Annotated[str, Text(4, 4, r"^[0-9]{4}$", "4 digits (ISO 18245)")]
MerchantName = Annotated[str, Text(1, 100)]
City = Annotated[str, Text(1, 60)]
Code = Annotated[str, Text(1, 40)]
Purpose = Annotated[str, Text(1, 250)]
Rate = Annotated[
    str,
    Text(1, 24, r"^[0-9]{1,12}(\.[0-9]{1,11})?$", "a decimal number"),
    Note("billing units for one original unit"),
]
SourceKey = Annotated[
    str,
    Text(1, 100),
    Note("what identifies it at its source; whatever bears a key that was seen before posts nothing"),
]
MinorUnits = Annotated[int, Note("in minor units of the currency (ISO 4217)")]


# Commands


@view
class NewTransaction:
    """A purchase, cash advance, refund or fee; the amount is what is owed for it, or given back for a refund: above zero."""

    account_id: AccountId
    kind: PostedKind
    amount: Money
    transacted_on: date
    source_key: SourceKey
    original: Annotated[Money, Note("where the merchant charged another currency")] | None = None
    rate: Rate | None = None
    merchant: MerchantName | None = None
    merchant_category: MerchantCategoryCode | None = None
    city: City | None = None
    country: Country | None = None
    cost_centre: Annotated[Code, Note("the account's own where it is left out")] | None = None
    ledger_code: Annotated[Code, Note("the company's own ledger account")] | None = None
    purpose: Purpose | None = None


@view
class NewPayment:
    """Money received for a card account, or for a centrally billed control account: one of the two is named."""

    amount: Money
    received_on: date
    source_key: SourceKey
    account_id: AccountId | None = None
    control_account: ControlAccountNumber | None = None


@command("statements", route="/transactions", function="transactions.post", service_time=MINUTES_15)
class PostTransactions(Message):
    """Post transactions, all or none; one that was seen before posts nothing. The issuer does this."""

    transactions: Annotated[list[NewTransaction], Items(1, MOST_AT_ONCE)]


@command("statements", route="/payments", function="payments.post", service_time=MINUTES_15)
class PostPayments(Message):
    """Post payments, all or none; one that was seen before posts nothing. The issuer does this."""

    payments: Annotated[list[NewPayment], Items(1, MOST_AT_ONCE)]


@command(
    "statements",
    route="/transactions/{transaction_id}/correct",
    function="transactions.correct",
    service_time=AT_ONCE,
)
class CorrectTransaction(Message):
    """Put a transaction right by a new entry; the wrong one stays, and says by what it was corrected. The issuer does this."""

    transaction_id: TransactionId
    comment: Comment
    amount: Annotated[Money, Note("what it should have been; nothing at all where it is left out")] | None = (
        None
    )


@command(
    "statements", route="/accounts/{account_id}/refund", function="accounts.refund", service_time=ONE_DAY
)
class RefundCreditBalance(Message):
    """Pay out a credit balance, once the holder's data and the credit's origin are verified (STM-03)."""

    account_id: AccountId
    amount: Money
    origin: CreditOrigin
    destination: RefundDestination
    last_name: Annotated[Name, Note("of the holder, to be sure that it is this account")]
    employee_id: Annotated[EmployeeId, Note("required where the account has one")] | None = None
    comment: Comment | None = None


@command(
    "statements",
    route="/accounts/{account_id}/payment-reminder",
    function="accounts.remind",
    service_time=AT_ONCE,
)
class SendPaymentReminder(Message):
    """Remind a holder who is late of what is overdue (ACC-19)."""

    account_id: AccountId
    comment: Annotated[Comment, Note("a word to the holder, in the mail")] | None = None
    language: Annotated[Language, Note("of the mail; English where it is left out")] | None = None


# Events


@event("statements")
class AccountStandingChanged(Message):
    """A posting, a payment or the passing of time changed how a card account stands; the latest one alone counts."""

    account_id: AccountId
    as_of: datetime
    balance: Annotated[int, Note("in minor units; what the holder or the company owes")]
    currency: Currency
    payment_status: PaymentStatus
    last_used_on: Annotated[date | None, Note("the day of the latest purchase or cash advance")] = None
    nil_since: Annotated[date | None, Note("since when the balance is nil; null while it is not")] = None


@event("statements")
class PaymentPosted(Message):
    """Money was received for a card account, or for a centrally billed control account."""

    transaction_id: NewTransactionId
    account_id: AccountId | None
    control_account: ControlAccountNumber
    amount: MinorUnits
    currency: Currency
    received_on: date


@event("statements")
class CreditBalanceRefunded(Message):
    """A credit balance was paid out (STM-03)."""

    transaction_id: NewTransactionId
    account_id: AccountId
    control_account: ControlAccountNumber
    amount: MinorUnits
    currency: Currency
    destination: RefundDestination


@view
class IssuedStatement:
    """One of the statements that a closing made; ``account_id`` is null on that of a centrally billed control account."""

    statement_id: NewStatementId
    account_id: AccountId | None
    balance: MinorUnits
    currency: Currency
    on_paper: Annotated[bool, Note("whether it goes out on paper too (STM-04)")] = True


@event("statements")
class StatementsIssued(Message):
    """A billing cycle of a control account was closed and these statements were made; there may be more of them (STM-08)."""

    control_account: ControlAccountNumber
    closed_on: date
    due_on: date
    statements: Annotated[list[IssuedStatement], Items(1, MOST_TOLD_AT_ONCE)]


@event("statements")
class PaymentReminderAsked(Message):
    """A holder who is late is to be reminded (ACC-19); ``email`` is null where none is known."""

    account_id: AccountId
    control_account: ControlAccountNumber
    first_name: Name
    last_name: Name
    email: Email | None
    overdue: MinorUnits
    currency: Currency
    due_since: date
    payment_status: PaymentStatus
    comment: Comment | None = None
    language: Language | None = None


@event("statements")
class PaperStatementsEnded(Message):
    """A holder gets statements online only from now on, and has to be told so in writing (STM-04); ``email`` may be null.

    ``by_holder`` says that this was the holder's own choice, not the company's.
    """

    account_id: AccountId
    control_account: ControlAccountNumber
    first_name: Name
    last_name: Name
    email: Email | None
    language: Language
    by_holder: bool = False


@event("statements")
class StatementAnnounced(Message):
    """A holder with an e-mail address has a new statement (NOT-05); below zero the balance is a credit."""

    statement_id: NewStatementId
    account_id: AccountId
    control_account: ControlAccountNumber
    first_name: Name
    last_name: Name
    email: Email
    language: Language
    closed_on: date
    due_on: date
    balance: MinorUnits
    currency: Currency


# Views and reads


@view
class Transaction:
    """A line of an account: what moved its balance, and which statement bears it; above zero it is owed (STM-01)."""

    transaction_id: str
    account_id: str | None
    kind: TransactionKind
    amount: Money
    original: Money | None
    rate: str | None
    merchant: str | None
    merchant_category: str | None
    city: str | None
    country: str | None
    transacted_on: date
    posted_on: date
    cost_centre: Annotated[str | None, Note("as it was coded, or else as it was posted")]
    ledger_code: Annotated[str | None, Note("as it was coded, or else as it was posted")]
    purpose: str | None
    statement_id: Annotated[str | None, Note("null while it is unbilled")]
    corrects: str | None
    corrected_by: str | None
    tax_code: str | None
    project: str | None
    note: str | None
    coded_by: Annotated[str | None, Note("null while nobody has coded it")]
    coded_at: datetime | None
    export_id: Annotated[str | None, Note("the export that it is in, which locks its coding (STM-06)")]
    exported_at: datetime | None


@view
class Ageing:
    """What is owed by how long it is overdue, in minor units (ACC-21, STM-08)."""

    current: int
    past_due_30: int
    past_due_60: int
    past_due_90: int
    past_due_120: int


@view
class StatementRow:
    """A statement, of a card account or of a centrally billed control account (STM-08)."""

    statement_id: str
    account_id: str | None
    control_account: str
    closed_on: date
    due_on: date
    currency: str
    previous_balance: int
    payments: int
    credits: int
    debits: int
    balance: int
    to_pay: int
    on_paper: Annotated[bool, Note("whether it went out on paper too (STM-04)")]


@view
class StatementDetail:
    """A statement with what is still owed of it, and of all that is owed how old it is."""

    statement_id: str
    account_id: str | None
    control_account: str
    opened_on: date
    closed_on: date
    due_on: date
    currency: str
    previous_balance: int
    payments: int
    credits: int
    debits: int
    balance: int
    to_pay: int
    on_paper: Annotated[bool, Note("whether it went out on paper too (STM-04)")]
    still_owed: int
    ageing: Ageing


@view
class AccountSummary:
    """How an account stands, in minor units; null is what is not available (ACC-07).

    A centrally billed account has no balance of its own: what its control account owes is shown there.
    """

    account_id: str
    central_billing: bool
    currency: str | None
    current_balance: int | None
    payment_due: Annotated[int | None, Note("still to be paid of the last statement and the earlier ones")]
    due_on: date | None
    overdue: int | None
    outstanding: Annotated[
        int | None, Note("all that is owed, billed or not; nothing where there is a credit")
    ]
    payment_status: PaymentStatus
    ageing: Ageing | None
    previous_statement_balance: int | None
    statement_balance: int | None
    statement_to_pay: int | None
    closed_on: date | None
    statement_payments: int | None
    statement_credits: int | None
    statement_debits: int | None
    recent_payments: Annotated[int | None, Note("since the closing, as are credits and debits")]
    recent_credits: int | None
    recent_debits: int | None
    last_used_on: date | None


@view
class SpendFigures:
    """What is owed, in one currency and in minor units."""

    currency: str
    balance: int
    credit: int
    due: int
    overdue: int


@view
class Dashboard:
    """The figures of the home page (RPT-05); ``payment_status`` counts the card accounts that `GET /accounts` lists for each."""

    accounts: int
    payment_status: Mapping[str, int]
    spend: list[SpendFigures]


_WINDOW = "six months ago where it is left out; everything is kept (STM-02)"


@read(
    "statements",
    route="/accounts/{account_id}/transactions",
    function="transactions.view",
    returns=Transaction,
    listing=True,
    holder=True,
)
class ListTransactions(Message):
    """The transactions of a card account, the latest first (STM-01)."""

    account_id: AccountId
    view: TransactionView = TransactionView.ALL
    merchant: Annotated[MerchantName, Note("any part of it")] | None = None
    least: Annotated[int, Note("the least amount, in minor units")] | None = None
    most: int | None = None
    since: Annotated[date, Note(f"the first day of posting; {_WINDOW}")] | None = None
    until: date | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read("statements", route="/transactions", function="transactions.view", returns=Transaction, listing=True)
class FindTransactions(Message):
    """The transactions below the caller's control accounts that fit every given criterion, the latest first."""

    control_account: Annotated[ControlAccountNumber, Note("of any level")] | None = None
    holder: Annotated[Name, Note("the beginning of the last or of the embossed name")] | None = None
    cost_centre: Annotated[CostCentre, Note("of the account")] | None = None
    employee_id: EmployeeId | None = None
    merchant: Annotated[MerchantName, Note("any part of it")] | None = None
    least: Annotated[int, Note("the least amount, in minor units")] | None = None
    most: int | None = None
    coded: Annotated[bool, Note("only what somebody has coded, or only the rest")] | None = None
    exported: Annotated[bool, Note("only what is in an export, or only the rest")] | None = None
    since: Annotated[date, Note(f"the first day of posting; {_WINDOW}")] | None = None
    until: date | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read(
    "statements",
    route="/accounts/{account_id}/summary",
    function="statements.view",
    returns=AccountSummary,
    holder=True,
)
class GetAccountSummary(Message):
    """How a card account stands (ACC-07)."""

    account_id: AccountId


@read(
    "statements",
    route="/accounts/{account_id}/statements",
    function="statements.view",
    returns=StatementRow,
    listing=True,
    holder=True,
)
class ListAccountStatements(Message):
    """The statements of a card account, the latest first; none where it is billed centrally (STM-02)."""

    account_id: AccountId
    cursor: Cursor | None = None
    limit: Limit = 50


@read(
    "statements",
    route="/control-accounts/{number}/statements",
    function="statements.view",
    returns=StatementRow,
    listing=True,
)
class ListControlAccountStatements(Message):
    """The statements at and below a control account, the latest closing first (STM-05)."""

    number: ControlAccountNumber
    closed_on: date | None = None
    central: (
        Annotated[bool, Note("only those of centrally billed control accounts, or only the others")] | None
    ) = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read(
    "statements",
    route="/statements/{statement_id}",
    function="statements.view",
    returns=StatementDetail,
    holder=True,
)
class GetStatement(Message):
    """One statement (STM-08)."""

    statement_id: StatementId


@read(
    "statements",
    route="/statements/{statement_id}/transactions",
    function="transactions.view",
    returns=Transaction,
    listing=True,
    holder=True,
)
class ListStatementTransactions(Message):
    """The transactions that a statement bears, the earliest first."""

    statement_id: StatementId
    cursor: Cursor | None = None
    limit: Limit = 50


@read("statements", route="/dashboard", function="statements.view", returns=Dashboard)
class GetDashboard(Message):
    """What the home page shows of all that lies below the caller's control accounts, or below one of them (RPT-05)."""

    control_account: ControlAccountNumber | None = None
