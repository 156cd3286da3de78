"""A real RabbitMQ for tests, with a fresh virtual host for each.

Taken in this order: the one that CARDWORK_TEST_RABBITMQ_URL names (CARDWORK_TEST_RABBITMQ_MANAGEMENT_URL says where
its management interface is, if not on port 15672); a container; the rabbitmq-server of this machine.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import httpx

from shared.testing.servers import (
    LOOPBACK,
    Container,
    Elsewhere,
    Lifecycle,
    NoServerError,
    find_program,
    free_port,
    hand_over,
    image_at_hand,
    last_lines,
    remove_orphans,
    start_process,
    unprivileged_user,
    wait_for_answer,
)

IMAGE = "rabbitmq:4-management"
URL_VARIABLE = "CARDWORK_TEST_RABBITMQ_URL"
MANAGEMENT_URL_VARIABLE = "CARDWORK_TEST_RABBITMQ_MANAGEMENT_URL"

# Debian's /usr/sbin/rabbitmq-server runs for root and its own user only, so the real program comes first.
PROGRAM_FOLDERS = tuple(
    Path(folder) for folder in ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/sbin")
)

_USER = "cardwork"
_PASSWORD = "cardwork"
_AMQP_GREETING = b"AMQP\x00\x00\x09\x01"
_METHOD_FRAME = b"\x01"


class VirtualHost:
    """A virtual host of its own for one test; as a context manager it deletes itself."""

    def __init__(self, broker: "RabbitMQ", name: str) -> None:
        self.name = name
        self.url = _with_path(broker.url, name)
        self._broker = broker

    def delete(self) -> None:
        """Remove it with all its queues; connections to it are closed."""
        self._broker.call("DELETE", f"/api/vhosts/{quote(self.name, safe='')}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()


class RabbitMQ:
    """A running broker: ``url`` (amqp) and ``management_url`` (http), both with an administrator's credentials."""

    def __init__(self, life: Lifecycle, *, url: str, management_url: str) -> None:
        self.url = url
        self.management_url = management_url
        self._life = life

    def start(self) -> None:
        """Start it and wait until AMQP and management answer."""
        self._life.start()
        wait_for_answer(self._life, self._answers, server="RabbitMQ")

    def stop(self) -> None:
        """Stop it in good order; skips the test if the broker is not ours."""
        self._life.stop()

    def kill(self) -> None:
        """End it as a power cut would; skips the test if the broker is not ours.

        RabbitMQ notes a new quorum queue on disk up to a second after it confirmed the declaration. One declared just
        before this comes back unusable, though never one that existed for longer: `restart` first, to be sure.
        """
        self._life.kill()

    def restart(self) -> None:
        """Stop and start it: same port, same data, every connection lost; skips the test if it is not ours."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good and leave nothing behind."""
        self._life.discard()

    def new_vhost(self) -> VirtualHost:
        """A fresh virtual host in which the user of ``url`` may do everything."""
        name = f"test-{secrets.token_hex(6)}"
        user = urlsplit(self.url).username or _USER
        self.call("PUT", f"/api/vhosts/{name}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"/api/permissions/{name}/{quote(user, safe='')}", json=everything)
        return VirtualHost(self, name)

    def call(self, method: str, path: str, *, json: object = None) -> httpx.Response:
        """Ask the management API; raises `httpx.HTTPStatusError` if it refuses."""
        # Proxies are for the world outside; what the environment says of them must not reach the loopback address.
        with httpx.Client(base_url=self.management_url, trust_env=False, timeout=30) as client:
            return client.request(method, path, json=json).raise_for_status()

    def _answers(self) -> bool:
        self.call("GET", "/api/overview")
        parts = urlsplit(self.url)
        with socket.create_connection(
            (parts.hostname or LOOPBACK, parts.port or 5672), timeout=5
        ) as connection:
            connection.sendall(_AMQP_GREETING)
            return connection.recv(1) == _METHOD_FRAME


class _Node:
    """RabbitMQ as a process of this machine, with all its files in one folder."""

    def __init__(self, program: Path, *, port: int, management_port: int) -> None:
        self._program = program
        self._user = unprivileged_user("rabbitmq")
        self._folder = Path(tempfile.mkdtemp(prefix="cardwork-rabbitmq-"))
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._folder.joinpath("enabled_plugins").write_text("[rabbitmq_management].\n")
        self._folder.joinpath("rabbitmq.conf").write_text(
            f"default_user = {_USER}\ndefault_pass = {_PASSWORD}\n"
            f"management.tcp.ip = {LOOPBACK}\nmanagement.tcp.port = {management_port}\n"
        )
        hand_over(self._folder, self._user)

    def start(self) -> None:
        self._process = start_process(
            [self._program], folder=self._folder, user=self._user, environment=self._environment()
        )

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def discard(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def last_words(self) -> str:
        return last_lines(self._folder / "output.log")

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        # The program is a shell script: it hands SIGTERM on to the Erlang machine, but dies alone of SIGKILL.
        if how is signal.SIGTERM:
            self._process.send_signal(how)
        else:
            os.killpg(self._process.pid, how)
        self._process.wait(timeout=60)
        self._process = None

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": folder,  # the Erlang cookie
            "RABBITMQ_NODENAME": f"cardwork-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",  # nothing of this machine's own RabbitMQ
            "ERL_EPMD_ADDRESS": LOOPBACK,
        }


def start_rabbitmq(
    environ: Mapping[str, str] = os.environ, *, program_folders: Sequence[Path] = PROGRAM_FOLDERS
) -> RabbitMQ:
    """A broker that answers, from the first source that there is; the caller closes it.

    Raises `NoServerError` where there is none.
    """
    broker = _named(environ) or _contained() or _local(environ, program_folders)
    if broker is None:
        raise NoServerError(
            f"Tests need RabbitMQ 4: start Docker (image {IMAGE}), install rabbitmq-server, or set {URL_VARIABLE}."
        )
    try:
        broker.start()
    except BaseException:
        broker.close()
        raise
    return broker


def _named(environ: Mapping[str, str]) -> RabbitMQ | None:
    url = environ.get(URL_VARIABLE)
    if not url:
        return None
    management_url = environ.get(MANAGEMENT_URL_VARIABLE) or _management_beside(url)
    return RabbitMQ(Elsewhere(URL_VARIABLE), url=url, management_url=management_url)


def _management_beside(url: str) -> str:
    """Where RabbitMQ's management interface is unless somebody moved it, with the same credentials."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0] or "guest:guest"
    return f"http://{login}@{parts.hostname}:15672"


def _contained() -> RabbitMQ | None:
    if not image_at_hand(IMAGE):
        return None
    remove_orphans()
    port, management_port = free_port(), free_port()
    container = Container(
        IMAGE,
        environment={"RABBITMQ_DEFAULT_USER": _USER, "RABBITMQ_DEFAULT_PASS": _PASSWORD},
        ports={5672: port, 15672: management_port},
    )
    return _on_loopback(container, port, management_port)


def _local(environ: Mapping[str, str], folders: Sequence[Path]) -> RabbitMQ | None:
    program = find_program("rabbitmq-server", path=environ.get("PATH", ""), folders=folders)
    if program is None:
        return None
    port, management_port = free_port(), free_port()
    return _on_loopback(_Node(program, port=port, management_port=management_port), port, management_port)


def _on_loopback(life: Lifecycle, port: int, management_port: int) -> RabbitMQ:
    login = f"{_USER}:{_PASSWORD}@{LOOPBACK}"
    return RabbitMQ(life, url=f"amqp://{login}:{port}/", management_url=f"http://{login}:{management_port}")


def _with_path(url: str, vhost: str) -> str:
    return urlsplit(url)._replace(path=f"/{quote(vhost, safe='')}").geturl()
