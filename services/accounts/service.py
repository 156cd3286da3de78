"""The declaration of the accounts service."""

from datetime import timedelta
from pathlib import Path

from services.accounts import jobs
from services.accounts.aggregates import AGGREGATES
from services.accounts.bulk import handlers as bulk
from services.accounts.bulk import jobs as bulk_jobs
from services.accounts.bulk import queries as bulk_queries
from services.accounts.bulk.api import bulk_endpoints
from services.accounts.bulk.jobs import withdraw_bulk
from services.accounts.bulk.kinds import KINDS
from services.accounts.bulk.later import settle_item
from services.accounts.counts import fold_counts
from services.accounts.handlers import (
    cancellation,
    holder,
    opening,
    settings,
    structure,
    suspension,
    transfer,
)
from services.accounts.holds import withdraw_hold
from services.accounts.model import Base
from services.accounts.queries import card_accounts
from services.accounts.queries import structure as structure_queries
from shared.contracts import accounts as account_contracts
from shared.contracts import bulk as bulk_contracts
from shared.contracts import structure as structure_contracts
from shared.service import Errand, Job, Service

service = Service(
    name="accounts",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    handlers={
        structure_contracts.OpenControlAccount: structure.open_control_account,
        structure_contracts.ChangeControlAccountSettings: settings.change_settings,
        structure_contracts.MoveControlAccount: structure.move_control_account,
        account_contracts.OpenAccount: opening.open_account,
        account_contracts.CancelAccount: cancellation.cancel_account,
        account_contracts.SuspendAccount: suspension.suspend_account,
        account_contracts.UnsuspendAccount: suspension.unsuspend_account,
        bulk_contracts.CancelAccounts: bulk.cancel_accounts,
        bulk_contracts.ChangeAccountingOfAccounts: bulk.change_accounting_of_accounts,
        **{kind.submission: bulk.submit for kind in KINDS.values()},
        account_contracts.TransferAccount: transfer.transfer_account,
        account_contracts.ChangeHolder: holder.change_holder,
        account_contracts.ChangeAccounting: holder.change_accounting,
    },
    queries={
        structure_contracts.ListControlAccounts: structure_queries.list_control_accounts,
        structure_contracts.GetControlAccount: structure_queries.get_control_account,
        structure_contracts.GetControlAccountHistory: structure_queries.get_control_account_history,
        account_contracts.FindAccounts: card_accounts.find_accounts,
        account_contracts.FindAccountsByCard: card_accounts.find_accounts_by_card,
        account_contracts.GetAccount: card_accounts.get_account,
        account_contracts.GetAccountHistory: card_accounts.get_account_history,
        bulk_contracts.ListBulks: bulk_queries.list_bulks,
        bulk_contracts.GetBulk: bulk_queries.get_bulk,
        bulk_contracts.ListBulkItems: bulk_queries.list_bulk_items,
    },
    aggregates=AGGREGATES,
    jobs=[
        Job(name="apply-due-holds", every=timedelta(seconds=1), run=jobs.apply_due_holds),
        Errand(name="carry-out-bulks", every=timedelta(seconds=1), run=bulk_jobs.carry_out_bulks),
        Job(
            name="forget-unsubmitted-bulks",
            every=timedelta(minutes=10),
            run=bulk_jobs.forget_unsubmitted_bulks,
        ),
        Job(name="fold-counts", every=timedelta(seconds=5), run=fold_counts),
    ],
    endpoints=bulk_endpoints,
    withdraw=lambda command_id, tx: withdraw_hold(command_id, tx) or withdraw_bulk(command_id, tx),
    settle_item=settle_item,
    places={
        "account": card_accounts.account_paths,
        "control_account": structure_queries.control_account_paths,
        "bulk": bulk_queries.bulk_paths,
    },
)
