"""What identity hears of other services: where control accounts lie, to know what lies below what."""

from services.identity.model import ControlAccount
from shared.contracts.structure import ControlAccountOpened
from shared.errors import Unavailable
from shared.messaging.transaction import Transaction


def note_control_account(event: ControlAccountOpened, tx: Transaction) -> None:
    """Keep the path of a new control account; one that overtook its parent comes again."""
    if tx.session.get(ControlAccount, event.number):
        return
    path = event.number
    if event.parent:
        parent = tx.session.get(ControlAccount, event.parent)
        if parent is None:
            raise Unavailable(f"the control account {event.parent} is not known yet")
        path = f"{parent.path}/{event.number}"
    tx.session.add(ControlAccount(number=event.number, path=path))
    tx.session.flush()
