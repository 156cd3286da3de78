"""Puts bytes straight into queues, past the gateway and every check that it makes."""

from collections.abc import Sequence
from contextlib import closing

import pika

from shared.contracts import names
from shared.ids import new_message_id
from shared.messaging.bus import Publication
from shared.messaging.local_bus import LocalBus
from shared.testing.installation import DistributedInstallation, Installation
from tests.integration.faults.evidence import topology


def put(installation: Installation, queue: str, bodies: Sequence[bytes]) -> list[str]:
    """Put messages into a queue, confirmed, and return their ids."""
    messages = {new_message_id(): body for body in bodies}
    if isinstance(installation, DistributedInstallation):
        _put_on_rabbitmq(installation.environment["CARDWORK_BROKER_URL"], queue, messages)
    else:
        with closing(LocalBus(installation.folder / "data" / "bus.sqlite", topology())) as bus:
            for message_id, body in messages.items():
                bus.publish(Publication(exchange=names.QUEUES, key=queue, body=body, message_id=message_id))
    return list(messages)


def _put_on_rabbitmq(url: str, queue: str, messages: dict[str, bytes]) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for message_id, body in messages.items():
            properties = pika.BasicProperties(delivery_mode=2, message_id=message_id)
            channel.basic_publish(names.QUEUES, queue, body, properties, mandatory=True)
