"""How one holder gets the statements, where the control account leaves that to its holders (STM-04)."""

from services.accounts.model import CardAccount
from services.accounts.rules import chooses_delivery, delivery_of
from services.accounts.settings import settings_at
from shared.contracts.accounts import AccountDeliveryChanged, ChooseStatementDelivery
from shared.errors import Rejected
from shared.messaging.transaction import Transaction


def choose_statement_delivery(command: ChooseStatementDelivery, tx: Transaction) -> None:
    """Set how the holder gets statements from now on, whose terms the holder has accepted."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    settings = settings_at(account.structure, tx)
    if not chooses_delivery(settings):
        raise Rejected(
            "not_holders_choice",
            "Your company has decided how the statements of this card account come; ask your programme administrator.",
            "delivery",
        )
    if not command.terms_accepted:
        raise Rejected("terms_not_accepted", "The terms have to be accepted.", "terms_accepted")
    if command.delivery is delivery_of(settings.statement_option, account.chosen_delivery):
        raise Rejected("delivered_so_already", "Statements are delivered in this way already.", "delivery")
    account.chosen_delivery, account.delivery_terms_at = command.delivery, tx.now
    changed = AccountDeliveryChanged(
        account_id=account.id, control_account=account.control_account, delivery=command.delivery,
        version=account.version + 1, language=command.language,
    )  # fmt: skip
    tx.publish(changed, subject=account.id)
