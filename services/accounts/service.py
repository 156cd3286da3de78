"""The declaration of the accounts service."""

from datetime import timedelta
from pathlib import Path

from services.accounts import issuer
from services.accounts.cancellations import withdraw_cancellation
from services.accounts.handlers import cancellation, cards, opening, structure, suspension
from services.accounts.history import record_changes
from services.accounts.holds import withdraw_hold
from services.accounts.jobs.cancellations import carry_out_due_cancellations
from services.accounts.jobs.cards import renew_and_expire_cards
from services.accounts.jobs.holds import apply_due_holds
from services.accounts.jobs.orders import carry_out_orders
from services.accounts.model import Base, CardAccount, ControlAccount
from services.accounts.orders import CARRY_OUT
from services.accounts.queries import card_accounts
from services.accounts.queries import cards as card_queries
from services.accounts.queries import structure as structure_queries
from shared.contracts import accounts as account_contracts
from shared.contracts import cards as card_contracts
from shared.contracts import structure as structure_contracts
from shared.messaging.transaction import Aggregate, Transaction
from shared.service import Errand, Job, Service


def withdraw(command_id: str, tx: Transaction) -> bool:
    """Take back what this command has scheduled, whatever it is."""
    return withdraw_hold(command_id, tx) or withdraw_cancellation(command_id, tx)


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
        card_contracts.ReplaceCard: cards.replace_card,
        card_contracts.ActivateCard: cards.activate_card,
        card_contracts.ReinstateAccount: cards.reinstate_account,
    },
    queries={
        structure_contracts.ListControlAccounts: structure_queries.list_control_accounts,
        structure_contracts.GetControlAccount: structure_queries.get_control_account,
        account_contracts.FindAccounts: card_accounts.find_accounts,
        account_contracts.FindAccountsByCard: card_accounts.find_accounts_by_card,
        account_contracts.GetAccount: card_accounts.get_account,
        account_contracts.GetAccountHistory: card_accounts.get_account_history,
        card_contracts.ListCards: card_queries.list_cards,
        card_contracts.ListPendingChanges: card_queries.list_pending_changes,
    },
    aggregates={
        "account": Aggregate(
            model=CardAccount, noun="card account", load=card_accounts.load_accounts, record=record_changes
        ),
        "control_account": Aggregate(
            model=ControlAccount, noun="control account", load=structure_queries.load_control_accounts
        ),
    },
    jobs=[
        Job(name="apply-due-holds", every=timedelta(seconds=1), run=apply_due_holds),
        Job(name="carry-out-due-cancellations", every=timedelta(seconds=1), run=carry_out_due_cancellations),
        Job(name="renew-and-expire-cards", every=timedelta(minutes=1), run=renew_and_expire_cards),
        Errand(name=CARRY_OUT, every=timedelta(seconds=1), run=carry_out_orders),
    ],
    withdraw=withdraw,
    check=issuer.check,
    places={
        "account": card_accounts.account_paths,
        "control_account": structure_queries.control_account_paths,
    },
)
