"""From the bytes of a delivery to a typed message, or to the reason why there is none."""

from dataclasses import dataclass

from shared.contracts.base import Contract, Message, UnknownMessage
from shared.contracts.tracking import RequestDecided
from shared.messaging.bus import Delivery
from shared.messaging.envelope import Envelope, Undecodable, decode
from shared.service import Service


@dataclass(frozen=True, slots=True)
class Readable:
    """A delivery with its envelope and contract."""

    delivery: Delivery
    envelope: Envelope
    contract: Contract


@dataclass(frozen=True, slots=True)
class Heard(Readable):
    """A delivery that the service has a handler or a reaction for."""

    message: Message


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A delivery that nobody can read, or that this service has no business with."""

    delivery: Delivery
    why: Exception


class Intake:
    """Reads the deliveries of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        decided = (RequestDecided,) if service.holds else ()
        self._expected = {cls.contract.key for cls in (*service.handlers, *service.reactions, *decided)}

    def read(self, delivery: Delivery) -> Readable | Unreadable:
        """Return what a delivery holds; a service that observes everything need not have a handler for it."""
        try:
            envelope = decode(delivery.body)
            if envelope.key in self._expected:
                return Heard(delivery, envelope, envelope.contract, envelope.message())
            if self._service.observe:
                return Readable(delivery, envelope, envelope.contract)
            raise Undecodable(f"{self._service.name} does not handle {envelope.key}")
        except (Undecodable, UnknownMessage) as error:
            return Unreadable(delivery, error)
