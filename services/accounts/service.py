"""The declaration of the accounts service."""

from datetime import timedelta
from pathlib import Path

from services.accounts import issuer, reactions
from services.accounts.aggregates import AGGREGATES
from services.accounts.bulk import handlers as bulk
from services.accounts.bulk import jobs as bulk_jobs
from services.accounts.bulk import queries as bulk_queries
from services.accounts.bulk.api import bulk_endpoints
from services.accounts.bulk.kinds import KINDS
from services.accounts.bulk.later import settle_item
from services.accounts.bulk.submission import withdraw_bulk
from services.accounts.cancellations import withdraw_cancellation
from services.accounts.counts import fold_counts
from services.accounts.handlers import (
    cancellation,
    cards,
    delivery,
    holder,
    opening,
    settings,
    structure,
    suspension,
    transfer,
)
from services.accounts.holds import withdraw_hold
from services.accounts.jobs.cancellations import carry_out_due_cancellations
from services.accounts.jobs.cards import renew_and_expire_cards
from services.accounts.jobs.holds import apply_due_holds
from services.accounts.jobs.orders import carry_out_orders
from services.accounts.model import Base
from services.accounts.orders import CARRY_OUT
from services.accounts.queries import card_accounts, search
from services.accounts.queries import cards as card_queries
from services.accounts.queries import structure as structure_queries
from shared.contracts import accounts as account_contracts
from shared.contracts import bulk as bulk_contracts
from shared.contracts import cards as card_contracts
from shared.contracts import structure as structure_contracts
from shared.contracts.statements import AccountStandingChanged
from shared.messaging.transaction import Transaction
from shared.service import Errand, Job, Service


def withdraw(command_id: str, tx: Transaction) -> bool:
    """Take back what this command has scheduled, whatever it is."""
    return any(
        take_back(command_id, tx) for take_back in (withdraw_hold, withdraw_cancellation, withdraw_bulk)
    )


service = Service(
    name="accounts",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    handlers={
        structure_contracts.OpenControlAccount: structure.open_control_account,
        structure_contracts.ChangeControlAccountSettings: settings.change_settings,
        structure_contracts.ChangeStatementDelivery: settings.change_statement_delivery,
        structure_contracts.MoveControlAccount: structure.move_control_account,
        account_contracts.OpenAccount: opening.open_account,
        account_contracts.CancelAccount: cancellation.cancel_account,
        account_contracts.WithdrawCancellation: cancellation.withdraw_cancellation,
        account_contracts.SuspendAccount: suspension.suspend_account,
        account_contracts.UnsuspendAccount: suspension.unsuspend_account,
        card_contracts.ReplaceCard: cards.replace_card,
        card_contracts.ActivateCard: cards.activate_card,
        card_contracts.ReinstateAccount: cards.reinstate_account,
        bulk_contracts.CancelAccounts: bulk.cancel_accounts,
        bulk_contracts.ChangeAccountingOfAccounts: bulk.change_accounting_of_accounts,
        **{kind.submission: bulk.submit for kind in KINDS.values()},
        account_contracts.TransferAccount: transfer.transfer_account,
        account_contracts.ChooseStatementDelivery: delivery.choose_statement_delivery,
        account_contracts.ChangeHolder: holder.change_holder,
        account_contracts.ChangeAccounting: holder.change_accounting,
    },
    queries={
        structure_contracts.ListControlAccounts: structure_queries.list_control_accounts,
        structure_contracts.GetControlAccount: structure_queries.get_control_account,
        structure_contracts.GetControlAccountHistory: structure_queries.get_control_account_history,
        account_contracts.FindAccounts: search.find_accounts,
        account_contracts.FindAccountsByCard: search.find_accounts_by_card,
        account_contracts.GetAccount: card_accounts.get_account,
        account_contracts.GetAccountHistory: card_accounts.get_account_history,
        card_contracts.ListCards: card_queries.list_cards,
        card_contracts.ListPendingChanges: card_queries.list_pending_changes,
        bulk_contracts.ListBulks: bulk_queries.list_bulks,
        bulk_contracts.GetBulk: bulk_queries.get_bulk,
        bulk_contracts.ListBulkItems: bulk_queries.list_bulk_items,
    },
    reactions={AccountStandingChanged: reactions.note_standing},
    aggregates=AGGREGATES,
    jobs=[
        Job(name="apply-due-holds", every=timedelta(seconds=1), run=apply_due_holds),
        Job(name="carry-out-due-cancellations", every=timedelta(seconds=1), run=carry_out_due_cancellations),
        Job(name="renew-and-expire-cards", every=timedelta(minutes=1), run=renew_and_expire_cards),
        Errand(name=CARRY_OUT, every=timedelta(seconds=1), run=carry_out_orders),
        Errand(name="carry-out-bulks", every=timedelta(seconds=1), run=bulk_jobs.carry_out_bulks),
        Job(
            name="forget-unsubmitted-bulks",
            every=timedelta(minutes=10),
            run=bulk_jobs.forget_unsubmitted_bulks,
        ),
        Job(name="fold-counts", every=timedelta(seconds=5), run=fold_counts),
    ],
    endpoints=bulk_endpoints,
    withdraw=withdraw,
    settle_item=settle_item,
    check=issuer.check,
    places={
        "account": card_accounts.account_paths,
        "control_account": structure_queries.control_account_paths,
        "bulk": bulk_queries.bulk_paths,
    },
)
