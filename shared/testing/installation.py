"""A whole Cardwork under test, in either shape, met only through the portal API and its real processes."""

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx

from shared.database import sqlite_url
from shared.testing.brokers import RabbitMQ, VirtualHost
from shared.testing.databases import Postgres
from shared.testing.eventually import NeverHappenedError, eventually
from shared.testing.processes import Process, cardwork
from shared.testing.servers import free_port

START_SECONDS = 60
SETTLE_SECONDS = 60
_GENEROUS = {"CARDWORK_RATE_LIMIT": "100000 per second", "CARDWORK_SIGN_IN_RATE_LIMIT": "100000 per second"}
_SETTLED = ("completed", "rejected", "failed", "withdrawn")


class Portal:
    """A signed-in user of the portal API, with the few calls that scenarios are made of."""

    def __init__(self, url: str, user: dict[str, str]) -> None:
        self.user_id = user["user_id"]
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=30, trust_env=False)
        credentials = {"user_id": user["user_id"], "password": user["password"]}
        answer = self.http.post("/sessions", json=credentials).raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def get(self, path: str, **criteria: Any) -> Any:
        """Return what a read answers; raises where it is refused."""
        return self.http.get(path, params=criteria).raise_for_status().json()

    def send(
        self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None, wait: int = 0
    ) -> httpx.Response:
        """Send a command and return the answer, whatever it is."""
        headers = {"Idempotency-Key": key} if key else {}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        return self.http.post(path, json=body or {}, headers=headers)

    def outcome(self, answer: httpx.Response) -> dict[str, Any]:
        """Follow an accepted command to its end and return the request."""
        assert answer.status_code == 202, answer.text
        return self.settled(answer.json()["command_id"])

    def settled(self, command_id: str) -> dict[str, Any]:
        """Wait until a command is settled and return the request."""

        def look() -> dict[str, Any] | None:
            detail: dict[str, Any] = self.get(f"/tracking/{command_id}")
            return detail if detail["status"] in _SETTLED else None

        return eventually(look, timeout=SETTLE_SECONDS, describe=f"{command_id} is settled") or {}


class Installation(ABC):
    """Processes of one Cardwork; ``processes`` goes by name, and each may be killed and started again."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mail_folder = folder / "mail"
        self.issuer_away = folder / "issuer-is-away"  # while there is such a file
        self.environment = {
            **_GENEROUS,
            "CARDWORK_MAIL_URL": self.mail_folder.as_uri(),
            "CARDWORK_ISSUER_URL": f"simulator://localhost{self.issuer_away}",
            **settings,
        }
        self.processes: dict[str, Process] = {}
        self._accounts: Iterator[str] | None = None
        self._users: list[dict[str, str]] = []
        self._portals: dict[str, Portal] = {}

    @abstractmethod
    def database_url_of(self, service: str) -> str:
        """Return SQLAlchemy's URL of a service's own database."""

    @abstractmethod
    def prepare(self, accounts: int) -> None:
        """Make tables and topology, and load a demonstration programme of this size."""

    def start(self) -> None:
        """Start every process and wait until the portal API answers."""
        for process in self.processes.values():
            process.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the gateway and what is behind it answer."""
        try:
            eventually(self._is_ready, timeout=START_SECONDS, describe="the portal API answers")
        except NeverHappenedError as problem:
            problem.add_note(self.last_words())
            raise

    def stop(self) -> None:
        """Stop every process that still runs."""
        for process in reversed(self.processes.values()):
            if process.is_running():
                process.stop()

    def last_words(self) -> str:
        """Return what each process printed last."""
        return "\n".join(process.last_words() for process in self.processes.values())

    def portal(self, role: str) -> Portal:
        """Return a signed-in demonstration user of this role."""
        if role not in self._portals:
            self._portals[role] = Portal(self.url, self.user(role))
        return self._portals[role]

    def user(self, role: str, number: int = 0) -> dict[str, str]:
        """Return a demonstration user of this role, with password."""
        if not self._users:
            self._users = json.loads(cardwork("demo", "--list-users", environment=self.environment))
        return [user for user in self._users if user["role"] == role][number]

    def mails(self, to: str | None = None) -> list[EmailMessage]:
        """Return the mails that went out, the oldest first: all of them, or those to one address."""
        files = sorted(self.mail_folder.glob("*.eml"))
        sent = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return [mail for mail in sent if to in (None, mail["To"].addresses[0].addr_spec)]

    def new_account(self) -> str:
        """Return the id of an active card account of the demonstration that no test has had or opened."""
        if self._accounts is None:
            self._accounts = self._active_accounts()
        return next(self._accounts)

    def _active_accounts(self) -> Iterator[str]:
        portal, cursor = self.portal("principal_programme_administrator"), None
        while True:
            criteria = {"status": "active", "limit": 200, **({"cursor": cursor} if cursor else {})}
            page = portal.get("/accounts", **criteria)
            for row in page["data"]:
                if not portal.get(f"/accounts/{row['account_id']}/history")["data"]:
                    yield row["account_id"]
            cursor = page["next_cursor"]
            if not cursor:
                raise AssertionError("the demonstration programme has no account left for this test")

    def _is_ready(self) -> bool:
        dead = [p.last_words() for p in self.processes.values() if not p.is_running()]
        if dead:
            raise AssertionError("\n".join(dead))
        return all(
            httpx.get(url, trust_env=False, timeout=5).status_code == 200 for url in self._health_urls()
        )

    def _health_urls(self) -> list[str]:
        return [f"{self.url}/readyz"]


class EmbeddedInstallation(Installation):
    """The one-process shape on files in ``folder``."""

    def __init__(self, folder: Path, settings: dict[str, str] | None = None) -> None:
        super().__init__(folder, settings or {})
        self.environment |= {"CARDWORK_DATA_DIRECTORY": str(folder / "data"), "CARDWORK_PORT": str(self.port)}
        self.processes["run"] = Process(["run"], self.environment, folder / "run.log")

    def database_url_of(self, service: str) -> str:
        """Return the URL of a service's file."""
        return sqlite_url(self.folder / "data" / f"{service}.sqlite")

    def prepare(self, accounts: int) -> None:
        """Migrate and load; `cardwork run` would do the same with a programme of the usual size."""
        cardwork("migrate", environment=self.environment)
        cardwork("demo", "--accounts", str(accounts), environment=self.environment)


class DistributedInstallation(Installation):
    """The many-processes shape on RabbitMQ and PostgreSQL: a virtual host and databases of its own."""

    def __init__(
        self,
        folder: Path,
        keys: dict[str, str],
        vhost: VirtualHost,
        broker: RabbitMQ,
        server: Postgres,
        settings: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, settings or {})
        self._server = server
        self._prefix = f"test_{secrets.token_hex(4)}_"
        self.environment |= keys | {
            "CARDWORK_DATABASE_URL": self.database_url_of("{service}"),
            "CARDWORK_BROKER_URL": vhost.url,
            "CARDWORK_BROKER_MANAGEMENT_URL": broker.management_url,
        }
        self._ports = {name: free_port() for name in ("identity", "accounts", "statements", "tracking")}
        self.environment |= {
            f"CARDWORK_{n.upper()}_URL": f"http://127.0.0.1:{p}" for n, p in self._ports.items()
        }
        self._workers: dict[str, int] = {}
        for name, port in self._ports.items():
            self._add(name, ["serve", name], CARDWORK_PORT=port)
        for name in ("tracking", "accounts", "identity", "notifications", "statements"):
            self.add_worker(name)
        self._services = (*self._ports, "notifications")
        self._add("gateway", ["serve", "gateway"], CARDWORK_PORT=self.port)

    def add_worker(self, service: str, name: str | None = None) -> Process:
        """Add a worker, not yet started; a second one of a service needs a name of its own."""
        name = name or f"{service}-worker"
        self._workers[name] = free_port()
        return self._add(name, ["work", service], CARDWORK_HEALTH_PORT=self._workers[name])

    def database_name(self, service: str) -> str:
        """Return the name of a service's database."""
        return f"{self._prefix}{service}"

    def database_url_of(self, service: str) -> str:
        """Return the URL of a service's database."""
        return f"{self._server.url.rsplit('/', 1)[0]}/{self._prefix}{service}"

    def prepare(self, accounts: int) -> None:
        """Create and migrate the databases, declare the topology and load the programme."""
        for service in self._services:
            self._server.execute("create database {} template template0", self.database_name(service))
        cardwork("migrate", environment=self.environment)
        cardwork("demo", "--accounts", str(accounts), environment=self.environment)
        self.declare()

    def prepare_like(self, other: "DistributedInstallation") -> None:
        """Copy the databases of an installation whose processes do not run, and declare the topology."""
        for service in self._services:
            self._server.execute(
                "create database {} template {}", self.database_name(service), other.database_name(service)
            )
        self.declare()

    def declare(self) -> None:
        """Declare exchanges, queues, bindings and policies."""
        cardwork("topology", "apply", environment=self.environment)

    def discard(self) -> None:
        """Remove the databases."""
        for service in self._services:
            self._server.execute("drop database if exists {} with (force)", self.database_name(service))

    def _add(self, name: str, words: list[str], **ports: int) -> Process:
        environment = {**self.environment, **{variable: str(port) for variable, port in ports.items()}}
        self.processes[name] = Process(words, environment, self.folder / f"{name}.log")
        return self.processes[name]

    def _health_urls(self) -> list[str]:
        ports = [*self._ports.values(), *self._workers.values()]
        return [*super()._health_urls(), *(f"http://127.0.0.1:{port}/readyz" for port in ports)]


@contextmanager
def running(installation: Installation) -> Iterator[Installation]:
    """Start an installation for the block and stop it afterwards."""
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


def all_settled(portal: Portal, command_ids: list[str]) -> Callable[[], bool]:
    """Return a condition for `eventually`: every one of these commands is settled."""
    waiting = set(command_ids)

    def look() -> bool:
        for command_id in sorted(waiting):
            if portal.get(f"/tracking/{command_id}")["status"] not in _SETTLED:
                return False
            waiting.discard(command_id)
        return True

    return look
