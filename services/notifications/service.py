"""The declaration of the notifications service."""

from datetime import timedelta
from pathlib import Path

from services.notifications import jobs, reactions
from services.notifications.model import Base
from services.notifications.outlets import check
from shared.contracts import identity as language
from shared.contracts.statements import PaperStatementsEnded, PaymentReminderAsked, StatementAnnounced
from shared.service import Errand, Job, Service

service = Service(
    name="notifications",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    reactions={
        language.UserInvited: reactions.mail_access_code,
        language.UserEnrolled: reactions.mail_welcome,
        language.PasswordResetAsked: reactions.mail_password_reset,
        language.PasswordChanged: reactions.mail_password_changed,
        language.SecondFactorChanged: reactions.mail_second_factor_changed,
        language.EntitlementsChanged: reactions.mail_entitlements_changed,
        language.ConsentWanted: reactions.mail_consent_wanted,
        language.ContactChanged: reactions.mail_contact_changed,
        language.FunctionsLent: reactions.mail_functions_lent,
        PaperStatementsEnded: reactions.mail_paper_off,
        PaymentReminderAsked: reactions.mail_payment_reminder,
        StatementAnnounced: reactions.mail_statement_ready,
    },
    jobs=[
        Errand(name="send-due-mails", every=timedelta(seconds=1), run=jobs.send_due_mails),
        Job(name="doubt-abandoned-mails", every=timedelta(seconds=30), run=jobs.doubt_abandoned_mails),
        Job(name="forget-old-mails", every=timedelta(hours=1), run=jobs.forget_old_mails),
    ],
    check=check,
)
