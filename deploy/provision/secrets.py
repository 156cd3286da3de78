"""The secrets of an installation: made once, handed out so that no process holds another's.

A folder for each holder, which is a volume that nobody else mounts::

    vault/      all of them in one file; only `cardwork provision secrets` sees it
    <service>/  a service's own logins at the database and the broker, and the keys that it may know; likewise gateway/
    operator/   what makes databases, roles, users and queues
    rabbitmq/   its configuration; users with hashed passwords and what each may do, in the form that it loads
    postgres/   the password of its administrator

Handing out again changes nothing, but for what a new service or a new binding asks for.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from deploy.keys import make_keys
from shared.messaging.management import definitions
from shared.messaging.permissions import GATEWAY, OPERATOR, hash_password, permissions
from shared.messaging.topology import Topology

ADMINISTRATOR = "postgres"
OWNER = "cardwork"

_VAULT = Path("vault", "secrets.json")
_RABBITMQ_CONF = Path(__file__).with_name("rabbitmq.conf")

# Who may know which key, besides what verifies the gateway's assertions, which every service holds.
_KEYS = {
    "accounts": ("assertion_public_key", "card_encryption_key", "card_lookup_key"),
    "identity": ("assertion_public_key", "sealing_key"),
    "notifications": ("assertion_public_key", "sealing_key"),
    "statements": ("assertion_public_key", "card_lookup_key"),
    GATEWAY: ("assertion_private_key", "sealing_key"),
}
_EVERY_SERVICE = ("assertion_public_key",)

_OWNER_ALONE = 0o600
# The images of the servers differ in the number of the user that reads these; nobody else mounts the volume.
_EVERYONE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Where the servers are, each as host and port."""

    broker: str = "rabbitmq:5672"
    management: str = "rabbitmq:15672"
    database: str = "postgres:5432"


def hand_out_secrets(
    folder: Path,
    topology: Topology,
    services: Iterable[str],
    hosts: Hosts | None = None,
    *,
    renew_passwords: bool = False,
) -> None:
    """Make the secrets that are missing and write to each holder's folder what it may know.

    ``renew_passwords`` makes all passwords anew but the database administrator's, by which the others are changed; keys
    stay. A file is replaced whole or not at all, so that a crash leaves none half written.
    """
    names = sorted(services)
    known = _read(folder / _VAULT)
    vault = _complete(_without_passwords(known) if renew_passwords else known, topology, names)
    _replace(folder / _VAULT, json.dumps(vault, indent=1), _OWNER_ALONE)
    for file, content, mode in _handed_out(vault, topology, names, hosts or Hosts()):
        _replace(folder / file, content, mode)


def _complete(known: Mapping[str, Any], topology: Topology, services: Iterable[str]) -> dict[str, Any]:
    users = [permission.user for permission in permissions(topology)]
    roles = [ADMINISTRATOR, OWNER, *services]
    broker, database = known.get("broker", {}), known.get("database", {})
    return {
        "keys": {**make_keys(), **known.get("keys", {})},
        "broker": {**broker, **{user: _login() for user in users if user not in broker}},
        "database": {**database, **{role: token_urlsafe(32) for role in roles if role not in database}},
    }


def _without_passwords(known: Mapping[str, Any]) -> dict[str, Any]:
    kept = {role: password for role, password in known.get("database", {}).items() if role == ADMINISTRATOR}
    return {"keys": known.get("keys", {}), "database": kept}


def _login() -> dict[str, str]:
    # The hash is kept too: its salt is random, and definitions that change each time would be loaded each time.
    password = token_urlsafe(32)
    return {"password": password, "hash": hash_password(password)}


def _handed_out(
    vault: Mapping[str, Any], topology: Topology, services: Iterable[str], hosts: Hosts
) -> Iterator[tuple[Path, str, int]]:
    for holder in (*services, GATEWAY):
        for name in _KEYS.get(holder, _EVERY_SERVICE):
            yield Path(holder, name), vault["keys"][name], _OWNER_ALONE
        yield Path(holder, "broker_url"), _broker_url(vault, hosts, holder), _OWNER_ALONE
        yield Path(holder, "database_url"), _database_url(vault, hosts, holder, holder), _OWNER_ALONE
    hashes = {user: login["hash"] for user, login in vault["broker"].items()}
    broker = json.dumps(definitions(topology, hashes), indent=1)
    roles = {name: vault["database"][name] for name in (OWNER, *services)}
    operator = {
        "broker_url": _broker_url(vault, hosts, OPERATOR),
        "broker_management_url": f"http://{_credentials(vault, OPERATOR)}@{hosts.management}",
        "database_url": _database_url(vault, hosts, OWNER, "{service}"),
        "database_administrator_url": _database_url(vault, hosts, ADMINISTRATOR, "postgres"),
        "database_roles.json": json.dumps(roles, indent=1),
        "broker_definitions.json": broker,
    }
    for name, content in operator.items():
        yield Path("operator", name), content, _OWNER_ALONE
    yield Path("rabbitmq", "definitions.json"), broker, _EVERYONE
    yield Path("rabbitmq", "rabbitmq.conf"), _RABBITMQ_CONF.read_text(), _EVERYONE
    yield Path("postgres", "password"), vault["database"][ADMINISTRATOR], _EVERYONE


# The settings ask for both addresses. Whoever uses only one of the two servers gets the other's without a login.


def _broker_url(vault: Mapping[str, Any], hosts: Hosts, user: str) -> str:
    if user not in vault["broker"]:
        return f"amqp://{hosts.broker}/"
    return f"amqp://{_credentials(vault, user)}@{hosts.broker}/"


def _credentials(vault: Mapping[str, Any], user: str) -> str:
    return f"{user}:{vault['broker'][user]['password']}"


def _database_url(vault: Mapping[str, Any], hosts: Hosts, role: str, database: str) -> str:
    password = vault["database"].get(role)
    login = f"{role}:{password}@" if password else ""
    return f"postgresql+psycopg://{login}{hosts.database}/{database}"


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _replace(file: Path, content: str, mode: int) -> None:
    if file.exists() and file.read_text() == content:
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ALONE), "w") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(file)
