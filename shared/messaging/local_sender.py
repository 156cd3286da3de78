"""The gateway's way to the embedded broker."""

from shared.ids import new_message_id
from shared.messaging import replies
from shared.messaging.bus import BrokerAway, Publication, Reply, Sent, Unroutable
from shared.messaging.local_bus import LocalBus


class LocalSender:
    """The gateway's way to the services that share its process."""

    def __init__(self, bus: LocalBus) -> None:
        self._bus = bus
        self._name = new_message_id()
        self._listeners = replies.Listeners()
        self._closed = False
        bus.attach(self._name, self._hear)

    def send(self, publication: Publication) -> Sent:
        """Publish a command and listen for replies."""
        sent = self._listeners.add(publication.message_id)
        if self._closed:
            self._note(publication, sent, BrokerAway("the sender is closed"))
            return sent
        try:
            self._bus.publish_soon(
                publication, self._name, lambda error: self._note(publication, sent, error)
            )
        except (BrokerAway, Unroutable) as error:
            self._note(publication, sent, error)
        return sent

    def forget(self, command_id: str, sent: Sent) -> None:
        """Stop listening for replies to a command."""
        self._listeners.forget(command_id, sent)

    def is_ready(self) -> bool:
        """Return whether the queues can be used right now."""
        return not self._closed and self._bus.answers()

    def close(self) -> None:
        """Hear no more replies; those who wait are told so."""
        self._closed = True
        self._bus.detach(self._name)
        self._listeners.fail_all(BrokerAway("the bus is closed"))

    def _note(self, publication: Publication, sent: Sent, error: BrokerAway | Unroutable | None) -> None:
        if error:
            self._listeners.forget(publication.message_id, sent)
            replies.fail(sent, error)
        else:
            replies.resolve(sent.confirmed, None)

    def _hear(self, reply: Reply) -> None:
        self._listeners.hear(reply.command_id, reply.content)
