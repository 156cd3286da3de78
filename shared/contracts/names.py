"""The only place that builds the name of an exchange, a queue, a routing key or an event type."""

import re
from functools import lru_cache

COMMANDS = "cardwork.commands"
EVENTS = "cardwork.events"
QUEUES = "cardwork.queues"
UNROUTED = "cardwork.unrouted"

_TYPE_PREFIX = "io.cardwork."
_KEY = re.compile(
    r"^(?P<owner>[a-z]+(?:-[a-z]+)*)\.(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)\.v(?P<version>[1-9]\d*)$"
)


def kebab(class_name: str) -> str:
    """Return ``CancelAccount`` as ``cancel-account``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", class_name).lower()


def routing_key(owner: str, class_name: str, version: int) -> str:
    """Return the routing key of a message class, such as ``accounts.cancel-account.v1``."""
    return f"{owner}.{kebab(class_name)}.v{version}"


def event_type(key: str) -> str:
    """Return the CloudEvents type of a routing key: the same name behind a reverse-DNS prefix."""
    return _TYPE_PREFIX + key


# It is asked of each message; what others send may hold anything, so not all is kept.
@lru_cache(maxsize=1000)
def key_of_type(type_: str) -> str:
    """Return the routing key of a CloudEvents type.

    Raises ValueError where the type is none of Cardwork's.
    """
    key = type_.removeprefix(_TYPE_PREFIX)
    if key == type_ or not _KEY.match(key):
        raise ValueError(f"{type_!r} is not a type of Cardwork's: {_TYPE_PREFIX}<owner>.<name>.v<number>")
    return key


def commands_queue(service: str) -> str:
    """Return the queue in which a service finds its commands."""
    return f"{service}.commands"


def events_queue(service: str) -> str:
    """Return the queue in which a service finds the events that it reacts to."""
    return f"{service}.events"


def dead_queue(queue: str) -> str:
    """Return the queue that keeps what could not be handled from ``queue``."""
    return f"{queue}.dead"


def everything_of(owner: str) -> str:
    """Return the binding key that matches every message of an owner."""
    return f"{owner}.#"
