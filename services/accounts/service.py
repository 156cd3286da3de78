"""The declaration of the accounts service."""

from datetime import timedelta
from pathlib import Path

from services.accounts import jobs, reactions
from services.accounts.handlers import cancellation, opening, structure, suspension
from services.accounts.history import record_changes
from services.accounts.holds import withdraw_hold
from services.accounts.model import Base, CardAccount, ControlAccount
from services.accounts.queries import card_accounts, search
from services.accounts.queries import structure as structure_queries
from shared.contracts import accounts as account_contracts
from shared.contracts import structure as structure_contracts
from shared.contracts.statements import AccountStandingChanged
from shared.messaging.transaction import Aggregate
from shared.service import Job, Service

service = Service(
    name="accounts",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    handlers={
        structure_contracts.OpenControlAccount: structure.open_control_account,
        account_contracts.OpenAccount: opening.open_account,
        account_contracts.CancelAccount: cancellation.cancel_account,
        account_contracts.SuspendAccount: suspension.suspend_account,
        account_contracts.UnsuspendAccount: suspension.unsuspend_account,
    },
    queries={
        structure_contracts.ListControlAccounts: structure_queries.list_control_accounts,
        structure_contracts.GetControlAccount: structure_queries.get_control_account,
        account_contracts.FindAccounts: search.find_accounts,
        account_contracts.FindAccountsByCard: search.find_accounts_by_card,
        account_contracts.GetAccount: card_accounts.get_account,
        account_contracts.GetAccountHistory: card_accounts.get_account_history,
    },
    reactions={AccountStandingChanged: reactions.note_standing},
    aggregates={
        "account": Aggregate(
            model=CardAccount, noun="card account", load=card_accounts.load_accounts, record=record_changes
        ),
        "control_account": Aggregate(
            model=ControlAccount, noun="control account", load=structure_queries.load_control_accounts
        ),
    },
    jobs=[Job(name="apply-due-holds", every=timedelta(seconds=1), run=jobs.apply_due_holds)],
    withdraw=withdraw_hold,
    places={
        "account": card_accounts.account_paths,
        "control_account": structure_queries.control_account_paths,
    },
)
