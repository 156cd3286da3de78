"""Whose a card account is, given and taken after enrolment (IDN-06)."""

from services.identity.entitlements import user_to_change
from services.identity.own_accounts import (
    change_own_accounts,
    check_to_give,
    company_of,
    follow_own_accounts,
    own_accounts_of,
    placed_accounts,
)
from services.identity.rules import MOST_OWN_ACCOUNTS
from shared.contracts.identity import GiveCardAccount, TakeCardAccount
from shared.errors import Rejected
from shared.messaging.transaction import Transaction


def give_card_account(command: GiveCardAccount, tx: Transaction) -> None:
    """Let a user act on another card account as its holder, with the next request."""
    user = user_to_change(command.user, tx)
    accounts = placed_accounts([command.account_id], tx, "account_id")
    company = company_of(user, tx)
    own = own_accounts_of(tx.session, user.id)
    if command.account_id in own:
        raise Rejected("held_already", "This card account is the user's already.", "account_id")
    if len(own) >= MOST_OWN_ACCOUNTS:
        raise Rejected(
            "too_many_accounts", f"A user holds at most {MOST_OWN_ACCOUNTS} card accounts.", "account_id"
        )
    check_to_give(accounts, company, tx, "account_id")
    change_own_accounts(user, given=accounts, tx=tx)
    follow_own_accounts(user, tx)


def take_card_account(command: TakeCardAccount, tx: Transaction) -> None:
    """Let a user act on a card account no more, from the next request on."""
    user = user_to_change(command.user, tx)
    placed_accounts([command.account_id], tx, "account_id")
    if command.account_id not in own_accounts_of(tx.session, user.id):
        raise Rejected("not_held", "This card account is not the user's.", "account_id")
    change_own_accounts(user, taken=[command.account_id], tx=tx)
    follow_own_accounts(user, tx)
