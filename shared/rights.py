"""What a caller may send, and as whom: by a function over control accounts, or as the holder of a card account.

A function is a grant; what is one's own is not. Who holds card accounts reaches these, and nothing but these, by the few
messages that declare ``holder``; all that checks rights asks here about holders (IDN-05, IDN-06).
"""

from shared.actor import Actor
from shared.contracts.base import Contract


def own_accounts(actor: Actor, contract: Contract) -> frozenset[str]:
    """Return the card accounts that this message reaches as the caller's own; none where it is no holder's."""
    return actor.own_accounts if contract.holder else frozenset()


def may_send(actor: Actor, contract: Contract) -> bool:
    """Return whether the message is the caller's to send: by its function over anything, or as a holder."""
    if contract.function is None or actor.may(contract.function):
        return True
    return bool(own_accounts(actor, contract))
