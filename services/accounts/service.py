"""The declaration of the accounts service."""

from datetime import timedelta
from pathlib import Path

from services.accounts import handlers, jobs, queries
from services.accounts.history import record_changes
from services.accounts.holds import withdraw_hold
from services.accounts.model import Base, CardAccount, ControlAccount
from shared.contracts import accounts as language
from shared.messaging.transaction import Aggregate
from shared.service import Job, Service

service = Service(
    name="accounts",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    handlers={
        language.OpenControlAccount: handlers.open_control_account,
        language.OpenAccount: handlers.open_account,
        language.CancelAccount: handlers.cancel_account,
        language.SuspendAccount: handlers.suspend_account,
        language.UnsuspendAccount: handlers.unsuspend_account,
    },
    queries={
        language.ListControlAccounts: queries.list_control_accounts,
        language.GetControlAccount: queries.get_control_account,
        language.FindAccounts: queries.find_accounts,
        language.FindAccountsByCard: queries.find_accounts_by_card,
        language.GetAccount: queries.get_account,
        language.GetAccountHistory: queries.get_account_history,
    },
    aggregates={
        "account": Aggregate(
            model=CardAccount, noun="card account", load=queries.load_accounts, record=record_changes
        ),
        "control_account": Aggregate(
            model=ControlAccount, noun="control account", load=queries.load_control_accounts
        ),
    },
    jobs=[Job(name="apply-due-holds", every=timedelta(seconds=1), run=jobs.apply_due_holds)],
    withdraw=withdraw_hold,
    places={"account": queries.account_paths, "control_account": queries.control_account_paths},
)
