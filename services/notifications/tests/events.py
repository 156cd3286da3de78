"""An event of each kind, as identity would publish it."""

from datetime import date, timedelta
from typing import Any

from services.notifications.tests.conftest import NOW, SEAL
from shared.contracts import identity
from shared.contracts.accounts import PaymentStatus
from shared.contracts.base import Message
from shared.contracts.identity import Entitlement, Recipient
from shared.contracts.statements import PaperStatementsEnded, PaymentReminderAsked, StatementAnnounced
from shared.contracts.types import Language

CODE = "7K3Q-X9M4-T2WV"
TOKEN = "tok_en-1234567890"
SOON = NOW + timedelta(minutes=30)
LATER = NOW + timedelta(days=14)
ACCOUNTS = ("100000000000001", "100000000000002")
GIVEN = [
    *(Entitlement(function="accounts.view", control_account=number) for number in ACCOUNTS),
    *(Entitlement(function="accounts.cancel", control_account=number) for number in ACCOUNTS),
    Entitlement(function="roles.view", control_account="*"),
]
TAKEN = [Entitlement(function="brand-new.function", control_account=ACCOUNTS[0])]


def recipient(
    name: str = "Anna Administrator", email: str = "anna@example.org", language: Language = Language.ENGLISH
) -> Recipient:
    return Recipient(name=name, email=email, language=language)


def invited(to: Recipient | None = None, *, code: str = CODE) -> identity.UserInvited:
    return identity.UserInvited(
        user="usr_1",
        company="C-1",
        company_name="Nordlicht Handel",
        recipient=to or recipient(),
        access_code=SEAL.close(code),
        expires_at=LATER,
    )


def reset_asked(to: Recipient | None = None) -> identity.PasswordResetAsked:
    return identity.PasswordResetAsked(
        user="usr_1", recipient=to or recipient(), token=SEAL.close(TOKEN), expires_at=SOON
    )


def password_changed(to: Recipient | None = None) -> identity.PasswordChanged:
    return identity.PasswordChanged(user="usr_1", recipient=to or recipient())


def lent(lender: Recipient, borrower: Recipient, *, until_return: bool = False) -> identity.FunctionsLent:
    return identity.FunctionsLent(
        delegation="dlg_1", company="C-1", functions=["accounts.cancel"], control_accounts=list(ACCOUNTS),
        starts_at=SOON, ends_at=LATER, until_return=until_return, lender=lender, borrower=borrower,
    )  # fmt: skip


def reminder(to: Recipient, comment: str | None = None) -> PaymentReminderAsked:
    first_name, _, last_name = to.name.partition(" ")
    return PaymentReminderAsked(
        account_id="acc_" + 26 * "0", control_account=ACCOUNTS[0], first_name=first_name, last_name=last_name, email=to.email,
        language=to.language, overdue=123_456, currency="EUR", due_since=date(2026, 2, 7),
        payment_status=PaymentStatus.PAST_DUE_30, comment=comment,
    )  # fmt: skip


def paper_off(to: Recipient, *, by_holder: bool = False) -> PaperStatementsEnded:
    first_name, _, last_name = to.name.partition(" ")
    return PaperStatementsEnded(
        account_id="acc_" + 26 * "0", control_account=ACCOUNTS[0], first_name=first_name, last_name=last_name, email=to.email,
        language=to.language, by_holder=by_holder,
    )  # fmt: skip


def ready(to: Recipient, balance: int) -> StatementAnnounced:
    first_name, _, last_name = to.name.partition(" ")
    return StatementAnnounced(
        statement_id="stm_" + 26 * "0", account_id="acc_" + 26 * "0", control_account=ACCOUNTS[0], first_name=first_name,
        last_name=last_name, email=to.email, language=to.language, closed_on=date(2026, 2, 10), due_on=date(2026, 3, 9),
        balance=balance, currency="EUR",
    )  # fmt: skip


def told(to: Recipient) -> dict[str, tuple[Message, list[str]]]:
    """Return an event of every kind with what each of its mails has to say; the variants of a mail are among them."""
    other = recipient("Bob Borrower", "bob@example.org", to.language)
    issuers = identity.UserInvited(
        user="usr_1",
        company=None,
        company_name=None,
        recipient=to,
        access_code=SEAL.close(CODE),
        expires_at=LATER,
    )
    user: dict[str, Any] = {"user": "usr_1", "recipient": to}
    return {
        "invited": (
            invited(to),
            [CODE, "https://cards.example.org/enrol\n", "Nordlicht Handel", "2026", "16"],
        ),
        "invited, issuer": (issuers, [CODE]),
        "enrolled": (
            identity.UserEnrolled(user_id="anna.a", company="C-1", company_name="Nordlicht", **user),
            ["anna.a", "Nordlicht"],
        ),
        "enrolled, issuer": (
            identity.UserEnrolled(user_id="anna.a", company=None, company_name=None, **user),
            ["anna.a"],
        ),
        "reset": (reset_asked(to), [f"https://cards.example.org/password-reset#{TOKEN}\n", "09:30 UTC"]),
        "password": (password_changed(to), ["09:00 UTC"]),
        "factor set up": (identity.SecondFactorChanged(present=True, **user), ["09:00 UTC"]),
        "factor removed": (identity.SecondFactorChanged(present=False, **user), ["09:00 UTC"]),
        "entitled": (
            identity.EntitlementsChanged(company="C-1", given=GIVEN, taken=TAKEN, **user),
            [", ".join(ACCOUNTS), "brand-new.function"],
        ),
        "entitled, given": (
            identity.EntitlementsChanged(company=None, given=GIVEN, taken=[], **user),
            [", ".join(ACCOUNTS)],
        ),
        "consent": (
            identity.ConsentWanted(
                user="usr_2",
                company="C-1",
                company_name="Nordlicht Handel",
                user_name="Nora New",
                given=GIVEN,
                recipients=[to],
            ),
            ["Nora New", "Nordlicht Handel", ", ".join(ACCOUNTS)],
        ),
        "contact": (identity.ContactChanged(user="usr_1", company="C-1", recipients=[to]), ["09:00 UTC"]),
        "lent": (lent(to, other), [", ".join(ACCOUNTS), "09:30 UTC"]),
        "reminder": (
            reminder(to, "Sorry for the trouble."),
            ["1", "234", "56", "EUR", "2026", "Sorry for the trouble."],
        ),
        "paper off": (paper_off(to), ["https://cards.example.org", "09:00 UTC"]),
        "paper off, by the holder": (
            paper_off(to, by_holder=True),
            ["https://cards.example.org", "09:00 UTC"],
        ),
        "statement, to be paid": (
            ready(to, 123_456),
            ["10", "2026", "234", "56", "EUR", "9", "https://cards.example.org/statements"],
        ),
        "statement, in credit": (ready(to, -5000), ["50", "EUR"]),
        "statement, nil": (ready(to, 0), ["https://cards.example.org/statements"]),
        "reminder without a word": (reminder(to), ["EUR"]),
        "lent until return": (lent(other, to, until_return=True), [", ".join(ACCOUNTS)]),
    }
