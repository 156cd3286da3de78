"""What tracking takes note of besides requests: the card accounts by which requests are found (TRK-02)."""

from services.tracking.model import account
from shared.contracts.accounts import AccountOpened
from shared.database import insert, is_postgresql
from shared.folding import fold_name
from shared.messaging.transaction import Transaction


def note_account(opened: AccountOpened, tx: Transaction) -> None:
    """Note of a new account whose it is, of what kind, and where it lies."""
    master, intermediate, *_ = (*tx.envelope.scope, None, None)
    entry = insert(account, postgresql_=is_postgresql(tx.session)).values(
        account_id=opened.account_id,
        product=opened.product.value,
        name_key=fold_name(f"{opened.last_name or ''} {opened.first_name or ''}"),
        embossed_name=opened.embossed_name or "",
        master=master,
        intermediate=intermediate,
        basic=opened.control_account,
    )
    tx.session.execute(entry.on_conflict_do_nothing())
