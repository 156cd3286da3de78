"""Who may do what on RabbitMQ: a user for each service, holding the least that it needs.

A service cannot create, change or read anything but its own two queues, and cannot publish in another's name, so that
one that is broken into can harm nobody else's messages.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.contracts import names
from shared.messaging.topology import Topology

GATEWAY = "gateway"
OPERATOR = "operator"

_NOTHING = "^$"
_EVERYTHING = ".*"
_REPLY_QUEUE = r"^amq\.rabbitmq\.reply-to"
_DEFAULT_EXCHANGE = "amq.default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What one user of the broker may do, each as a regular expression over names of exchanges and queues.

    ``keys`` narrows writing further, by routing key, for each exchange that it names.
    """

    user: str
    configure: str = _NOTHING
    write: str = _NOTHING
    read: str = _NOTHING
    keys: Mapping[str, str] = field(default_factory=dict)


def permissions(topology: Topology) -> list[Permission]:
    """Return the least that each user needs: a user for each service that consumes, the gateway's, and the operator's.

    A service publishes events in its own name and outcomes, and puts messages back into its own queues only. Whoever
    observes also answers the gateway, through the default exchange.
    """
    found = [_service_permission(name, answers=name in topology.observers) for name in topology.consumers]
    gateway = Permission(user=GATEWAY, write=exactly(names.COMMANDS), read=_REPLY_QUEUE)
    operator = Permission(user=OPERATOR, configure=_EVERYTHING, write=_EVERYTHING, read=_EVERYTHING)
    return [*found, gateway, operator]


def _service_permission(name: str, *, answers: bool) -> Permission:
    written = [names.EVENTS, names.QUEUES, *([_DEFAULT_EXCHANGE] if answers else [])]
    return Permission(
        user=name,
        write=exactly(*written),
        read=exactly(names.commands_queue(name), names.events_queue(name)),
        keys={names.EVENTS: rf"^({_escaped(name)}|outcomes)\.", names.QUEUES: rf"^{_escaped(name)}\."},
    )


def subscriber_permission(name: str) -> Permission:
    """Return what a subscriber of this name needs: its own two queues, the events, and nothing else."""
    queue = names.events_queue(name)
    own = [queue, names.dead_queue(queue)]
    return Permission(
        user=name,
        configure=exactly(*own),
        write=exactly(*own, names.QUEUES),
        read=exactly(*own, names.EVENTS, names.QUEUES),
        keys={names.QUEUES: rf"^{_escaped(name)}\."},
    )


def exactly(*allowed: str) -> str:
    """Return the regular expression that takes these names and no other."""
    each = [_escaped(name) for name in allowed]
    return f"^{each[0]}$" if len(each) == 1 else f"^({'|'.join(each)})$"


def _escaped(name: str) -> str:
    return name.replace(".", r"\.")


def hash_password(password: str) -> str:
    """Return the form in which RabbitMQ keeps a password: a salt of 4 bytes, then SHA-256 of both, in base 64."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
