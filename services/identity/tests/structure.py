"""The control accounts of two companies, and what accounts tells of them."""

from services.identity.tests.conftest import ANNA, MASTER, Identity
from shared.contracts.base import Message
from shared.contracts.structure import ControlAccountMoved, ControlAccountOpened, Level
from shared.ids import new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.envelope import Envelope, encode

NORTH, SOUTH = ANNA["control_accounts"]
SALES, LEGAL, OTHER, FOREIGN = "100000000000011", "100000000000021", "200000000000000", "200000000000001"


def opened(number: str, parent: str | None, level: Level = Level.BASIC) -> ControlAccountOpened:
    return ControlAccountOpened(number=number, parent=parent, level=level)


def moved(number: str, to: str, version: int = 2) -> ControlAccountMoved:
    level = Level.BASIC if number == SALES else Level.INTERMEDIATE
    return ControlAccountMoved(
        number=number,
        parent=to,
        former_parent=MASTER,
        level=level,
        company_name="?",
        company_number="?",
        version=version,
    )


def hear(identity: Identity, *events: Message) -> None:
    """Hear events of accounts, one after the other."""
    for event in events:
        id_ = new_message_id()
        envelope = Envelope(
            id=id_,
            key=event.contract.key,
            source="accounts",
            time=identity.now,
            data=event,
            correlation_id=id_,
        )
        identity.worker().process(
            [Delivery(queue="identity.events", body=encode(envelope), tag=1, message_id=id_)]
        )


def hear_of_two_companies(identity: Identity) -> None:
    """Sales lies below North, Legal below South; another company has one intermediate control account."""
    hear(
        identity,
        opened(SALES, NORTH),
        opened(LEGAL, SOUTH),
        opened(OTHER, None, Level.MASTER),
        opened(FOREIGN, OTHER, Level.INTERMEDIATE),
    )
