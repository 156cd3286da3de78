"""The aggregates of the accounts service: what commands change as a whole, by the kind that contracts name."""

from collections.abc import Mapping

from services.accounts.history import record_changes, record_node
from services.accounts.model import CardAccount, ControlAccount
from services.accounts.queries import card_accounts, structure
from shared.messaging.transaction import Aggregate

AGGREGATES: Mapping[str, Aggregate] = {
    "account": Aggregate(
        model=CardAccount, noun="card account", load=card_accounts.load_accounts, record=record_changes
    ),
    "control_account": Aggregate(
        model=ControlAccount,
        noun="control account",
        load=structure.load_control_accounts,
        record=record_node,
    ),
}
