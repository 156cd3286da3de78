"""What RabbitMQ learns through its management interface or at its first start: limits, users, stray bindings."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

import httpx

from shared.contracts import names
from shared.messaging.permissions import OPERATOR, Permission, exactly, permissions, subscriber_permission
from shared.messaging.topology import Binding, Topology

DELIVERY_LIMIT = 20
OUT_OF_REACH = 1_000_000_000
UNROUTED_LENGTH = 10_000
UNROUTED_MILLISECONDS = 7 * 24 * 3600 * 1000


def policies(topology: Topology) -> list[dict[str, Any]]:
    """Return the limits as policies, in the form in which RabbitMQ's definitions hold them.

    A message that ends its worker `DELIVERY_LIMIT` times goes to the dead queue, at least once: RabbitMQ keeps it
    until that queue has it. Looking at a dead letter is a delivery too, so a dead queue's limit is out of reach; it
    has one because RabbitMQ moves what comes back to a queue without a limit to the queue's end.
    """
    found = [
        _policy("dead-letters", r"\.dead$", {"delivery-limit": OUT_OF_REACH}, priority=1),
        _policy(
            names.UNROUTED,
            exactly(names.UNROUTED),
            {"max-length": UNROUTED_LENGTH, "message-ttl": UNROUTED_MILLISECONDS},
        ),
    ]
    for queue in topology.queues:
        dead = names.dead_queue(queue)
        if dead in topology.queues:
            limits = {
                "delivery-limit": DELIVERY_LIMIT,
                "dead-letter-exchange": names.QUEUES,
                "dead-letter-routing-key": dead,
                "dead-letter-strategy": "at-least-once",
                "overflow": "reject-publish",  # the strategy asks for it; without a length limit it refuses nothing
            }
            found.append(_policy(queue, exactly(queue), limits))
    return found


def _policy(name: str, pattern: str, limits: Mapping[str, Any], priority: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "pattern": pattern,
        "apply-to": "queues",
        "definition": dict(limits),
        "priority": priority,
    }


def definitions(
    topology: Topology,
    password_hashes: Mapping[str, str],
    *,
    subscribers: Iterable[str] = (),
    vhost: str = "/",
) -> dict[str, Any]:
    """Return the whole as RabbitMQ's ``load_definitions`` reads it: users, permissions, policies, queues.

    ``password_hashes`` goes by user (`hash_password` makes them); raises ValueError naming the users that have none.
    """
    granted = [*permissions(topology), *map(subscriber_permission, subscribers)]
    missing = sorted({permission.user for permission in granted} - password_hashes.keys())
    if missing:
        raise ValueError(f"these users have no password: {', '.join(missing)}")
    return {
        "users": [_user(permission.user, password_hashes[permission.user]) for permission in granted],
        "vhosts": [{"name": vhost}],
        "permissions": [{"vhost": vhost, **_plain_permission(permission)} for permission in granted],
        "topic_permissions": [
            {"vhost": vhost, **topic} for permission in granted for topic in _topic_permissions(permission)
        ],
        "policies": [{"vhost": vhost, **policy} for policy in policies(topology)],
        "exchanges": [{"vhost": vhost, **_plain_exchange(each)} for each in topology.exchanges.values()],
        "queues": [{"vhost": vhost, **_plain_queue(each)} for each in topology.queues.values()],
        "bindings": [{"vhost": vhost, **_plain_binding(each)} for each in topology.bindings],
    }


def _user(name: str, password_hash: str) -> dict[str, Any]:
    return {
        "name": name,
        "password_hash": password_hash,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["administrator"] if name == OPERATOR else [],
    }


def _plain_permission(permission: Permission) -> dict[str, str]:
    return {
        "user": permission.user,
        "configure": permission.configure,
        "write": permission.write,
        "read": permission.read,
    }


def _topic_permissions(permission: Permission) -> Iterator[dict[str, str]]:
    for exchange, key in permission.keys.items():
        yield {"user": permission.user, "exchange": exchange, "write": key, "read": key}


def _plain_exchange(exchange: Any) -> dict[str, Any]:
    return {
        "name": exchange.name,
        "type": exchange.type,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": exchange.arguments or {},
    }


def _plain_queue(queue: Any) -> dict[str, Any]:
    return {"name": queue.name, "durable": True, "auto_delete": False, "arguments": queue.queue_arguments}


def _plain_binding(bound: Binding) -> dict[str, Any]:
    return {
        "source": bound.exchange,
        "destination": bound.queue,
        "destination_type": "queue",
        "routing_key": bound.key,
        "arguments": {},
    }


# Doing it


def management_client(url: str) -> httpx.Client:
    """Return a client for the management interface; the login in ``url`` goes apart, as errors quote their URL."""
    parts = urlsplit(url)
    login = httpx.BasicAuth(unquote(parts.username or ""), unquote(parts.password or ""))
    root = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    # It is a server of ours: no proxy stands before it.
    return httpx.Client(base_url=root, auth=login, timeout=60, trust_env=False)


class Management:
    """The few questions that only RabbitMQ's management interface answers."""

    def __init__(self, url: str, vhost: str) -> None:
        self._client = management_client(url)
        self._vhost = quote(vhost, safe="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def bindings(self) -> dict[Binding, str]:
        """Every binding of a queue, with the key under which it can be undone."""
        found = self._call("GET", f"/api/bindings/{self._vhost}").json()
        return {
            Binding(b["source"], b["routing_key"], b["destination"]): b["properties_key"]
            for b in found
            if b["destination_type"] == "queue"
        }

    def unbind(self, bound: Binding, properties: str) -> None:
        """Undo one binding."""
        path = [quote(part, safe="") for part in (bound.exchange, bound.queue, properties)]
        self._call("DELETE", f"/api/bindings/{self._vhost}/e/{path[0]}/q/{path[1]}/{path[2]}")

    def policies(self) -> dict[str, dict[str, Any]]:
        """Every policy by its name, without the virtual host."""
        found = self._call("GET", f"/api/policies/{self._vhost}").json()
        return {p["name"]: {key: value for key, value in p.items() if key != "vhost"} for p in found}

    def set_policy(self, policy: Mapping[str, Any]) -> None:
        """Create or change a policy."""
        content = {key: value for key, value in policy.items() if key != "name"}
        self._call("PUT", f"/api/policies/{self._vhost}/{quote(policy['name'], safe='')}", content)

    def _call(self, method: str, path: str, content: Any = None) -> httpx.Response:
        return self._client.request(method, path, json=content).raise_for_status()


def apply_policies(management_url: str, topology: Topology, vhost: str = "/") -> None:
    """Set every policy; ``management_url`` holds the credentials of a user who may."""
    with Management(management_url, vhost) as broker:
        for policy in policies(topology):
            broker.set_policy(policy)


def undo_surplus_bindings(management_url: str, topology: Topology, vhost: str = "/") -> list[str]:
    """Undo the bindings of our queues that no service asks for any more, and return them in words.

    A service that no longer reacts to an event would otherwise still get it, and could only bury it.
    """
    with Management(management_url, vhost) as broker:
        surplus = _surplus_bindings(broker, topology)
        for bound, properties in surplus.items():
            broker.unbind(bound, properties)
    return [_in_words(bound) for bound in surplus]


def check(management_url: str, topology: Topology, vhost: str = "/") -> list[str]:
    """Return in words which bindings and policies are missing, different or asked for by nothing.

    AMQP itself cannot tell; `shared.messaging.topology.check` sees the rest.
    """
    with Management(management_url, vhost) as broker:
        present, found = broker.bindings(), broker.policies()
        missing = [f"{_in_words(b)} is missing" for b in topology.bindings if b not in present]
        surplus = [f"{_in_words(b)} is asked for by nothing" for b in _surplus_bindings(broker, topology)]
    wrong = [
        f"the policy {policy['name']} is {'different' if policy['name'] in found else 'missing'}"
        for policy in policies(topology)
        if found.get(policy["name"]) != policy
    ]
    return missing + surplus + wrong


def vhost_of(url: str) -> str:
    """Return the virtual host that an AMQP URL names."""
    return unquote(urlsplit(url).path.removeprefix("/")) or "/"


def _in_words(bound: Binding) -> str:
    return f"the binding of {bound.queue} to {bound.exchange} by {bound.key!r}"


def _surplus_bindings(broker: Management, topology: Topology) -> dict[Binding, str]:
    wanted = set(topology.bindings)
    ours = {b: p for b, p in broker.bindings().items() if b.exchange and b.queue in topology.queues}
    return {b: properties for b, properties in ours.items() if b not in wanted}
