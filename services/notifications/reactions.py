"""Which event makes which mails. An event is told to each address once, however often it is delivered."""

from collections.abc import Sequence
from typing import Any

from services.notifications.letters import Letter
from services.notifications.model import Base
from services.notifications.rules import State
from shared.contracts import identity as language
from shared.contracts.statements import PaperStatementsEnded, PaymentReminderAsked, StatementAnnounced
from shared.contracts.types import Language
from shared.database import insert, is_postgresql
from shared.ids import new_id
from shared.messaging.transaction import Transaction
from shared.sealing import seal_of

_MAIL = Base.metadata.tables["mail"]


def mail_access_code(event: language.UserInvited, tx: Transaction) -> None:
    """Mail an access code to a new user (IDN-02)."""
    facts = {
        "company": event.company_name,
        "access_code": _opened(event.access_code, tx),
        "expires_at": event.expires_at,
    }
    _mail("access_code", [event.recipient], facts, tx)


def mail_welcome(event: language.UserEnrolled, tx: Transaction) -> None:
    """Tell a user the user ID that was chosen."""
    _mail("welcome", [event.recipient], {"user_id": event.user_id, "company": event.company_name}, tx)


def mail_password_reset(event: language.PasswordResetAsked, tx: Transaction) -> None:
    """Mail the link by which a user chooses a new password (IDN-03)."""
    facts = {"token": _opened(event.token, tx), "expires_at": event.expires_at}
    _mail("password_reset", [event.recipient], facts, tx)


def mail_password_changed(event: language.PasswordChanged, tx: Transaction) -> None:
    """Tell a user, who may not have done it, that the password was changed."""
    _mail("password_changed", [event.recipient], {}, tx)


def mail_second_factor_changed(event: language.SecondFactorChanged, tx: Transaction) -> None:
    """Tell a user, who may not have done it, that the second factor was set up or removed."""
    _mail("second_factor_changed", [event.recipient], {"present": event.present}, tx)


def mail_entitlements_changed(event: language.EntitlementsChanged, tx: Transaction) -> None:
    """Tell a user what else, and what no longer, may be done (IDN-05)."""
    _mail("entitlements_changed", [event.recipient], {"given": event.given, "taken": event.taken}, tx)


def mail_consent_wanted(event: language.ConsentWanted, tx: Transaction) -> None:
    """Ask the principals for their consent (IDN-05)."""
    facts = {"user_name": event.user_name, "company": event.company_name, "given": event.given}
    _mail("consent_wanted", event.recipients, facts, tx)


def mail_contact_changed(event: language.ContactChanged, tx: Transaction) -> None:
    """Tell the old and the new address that contact data were changed (IDN-09)."""
    _mail("contact_changed", event.recipients, {}, tx)


def mail_functions_lent(event: language.FunctionsLent, tx: Transaction) -> None:
    """Tell the borrower, and confirm to the lender, what is shared and until when (IDN-07)."""
    facts = {
        "functions": event.functions,
        "control_accounts": event.control_accounts,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "until_return": event.until_return,
    }
    _mail("functions_borrowed", [event.borrower], {**facts, "other": event.lender.name}, tx)
    _mail("functions_lent", [event.lender], {**facts, "other": event.borrower.name}, tx, first_place=1)


def mail_payment_reminder(event: PaymentReminderAsked, tx: Transaction) -> None:
    """Remind a holder of what is overdue (ACC-19, NOT-03)."""
    if event.email is None:
        return
    facts = {
        "overdue": event.overdue,
        "currency": event.currency,
        "due_since": event.due_since,
        "comment": event.comment,
    }
    _mail("payment_reminder", [_holder(event, event.email)], facts, tx)


def mail_paper_off(event: PaperStatementsEnded, tx: Transaction) -> None:
    """Tell a holder that statements come online only (STM-04, NOT-06); whoever has no e-mail is the issuer's to write to."""
    if event.email:
        _mail("paper_off", [_holder(event, event.email)], {"by_holder": event.by_holder}, tx)


def mail_statement_ready(event: StatementAnnounced, tx: Transaction) -> None:
    """Tell a holder that there is a new statement (NOT-05)."""
    facts = {
        "balance": event.balance,
        "currency": event.currency,
        "closed_on": event.closed_on,
        "due_on": event.due_on,
    }
    _mail("statement_ready", [_holder(event, event.email)], facts, tx)


def _holder(
    event: PaymentReminderAsked | PaperStatementsEnded | StatementAnnounced, email: str
) -> language.Recipient:
    name = f"{event.first_name} {event.last_name}"
    return language.Recipient(name=name, email=email, language=event.language or Language.ENGLISH)


def _mail(
    template: str,
    recipients: Sequence[language.Recipient],
    facts: dict[str, Any],
    tx: Transaction,
    *,
    first_place: int = 0,
) -> None:
    """Enter a mail for each address, unless this event has entered it before."""
    addresses = {recipient.email.lower(): recipient for recipient in recipients}
    seal = seal_of(tx.settings)
    for place, to in enumerate(addresses.values(), first_place):
        letter = Letter(name=to.name, email=to.email, happened_at=tx.envelope.time.isoformat(), facts=facts)
        row = {
            "id": new_id("mail"),
            "event_id": tx.envelope.id,
            "place": place,
            "template": template,
            "language": to.language.value,
            "letter": letter.seal(seal),
            "state": State.WAITING.value,
            "attempts": 0,
            "due_at": tx.now,
        }
        entry = insert(_MAIL, postgresql_=is_postgresql(tx.session)).values(row)
        tx.session.execute(entry.on_conflict_do_nothing())


def _opened(sealed: str, tx: Transaction) -> str:
    return seal_of(tx.settings).open(sealed)
