"""Bringing a server up for tests: in a container, as a process of this machine, or somebody else's.

RabbitMQ and PostgreSQL differ in how they are asked things, and not in how they live: tests start, stop, kill and
start them again on the same port with the same data. That life is here; `shared.testing.brokers` and
`shared.testing.databases` say what is alive.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn, Protocol

import docker
import psutil
import pytest
from docker.errors import APIError, DockerException, ImageNotFound
from docker.models.containers import Container as EngineContainer
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from shared.testing.eventually import NeverHappenedError, eventually

LOOPBACK = "127.0.0.1"

# Below the range that Linux and macOS give to outgoing connections. From within it, a client that keeps trying to
# reach a stopped server could be given that very port, connect to itself, and keep the server from coming back.
_PORTS = range(20_000, 32_000)

_PATIENCE = 90.0  # seconds for a server to come up on a busy machine

_CLOCK_ADJUSTED = 5.0  # seconds
OWNER_LABEL = "io.cardwork.test.owner"


class NoServerError(Exception):
    """Nothing on this machine can run the server; the message is one line that says what to install or set."""


class Lifecycle(Protocol):
    """How a server comes and goes; port and data outlive all but `discard`."""

    def start(self) -> None:
        """Let it come up; it may not answer yet."""

    def stop(self) -> None:
        """Let it finish in good order, and wait for that."""

    def kill(self) -> None:
        """End it at once, as a power cut would."""

    def discard(self) -> None:
        """End it and leave nothing behind."""

    def last_words(self) -> str:
        """The end of what it printed, for a failure report."""


class Elsewhere:
    """A server that the environment named: it is used, never started or stopped."""

    def __init__(self, variable: str) -> None:
        self._variable = variable

    def start(self) -> None:
        """Nothing to do: it runs."""

    def stop(self) -> None:
        """Skip the test that asks for it."""
        self._refuse()

    def kill(self) -> None:
        """Skip the test that asks for it."""
        self._refuse()

    def discard(self) -> None:
        """Nothing to do: it is not ours."""

    def last_words(self) -> str:
        """Nothing: its log is elsewhere too."""
        return ""

    def _refuse(self) -> NoReturn:
        pytest.skip(f"the server that {self._variable} names is not ours to stop; unset it to run this test")


class Container:
    """A server in a container whose ports are published on fixed ports of the loopback address."""

    def __init__(
        self,
        image: str,
        *,
        environment: Mapping[str, str],
        ports: Mapping[int, int],
        command: Sequence[str] = (),
    ) -> None:
        """``ports`` maps the container's ports to this machine's."""
        # We remove what a killed run left behind ourselves (`remove_orphans`); the reaper is one more image to fetch.
        testcontainers_config.ryuk_disabled = True
        self._container = DockerContainer(image, env=dict(environment)).with_kwargs(
            labels={OWNER_LABEL: this_process()}
        )
        if command:
            self._container.with_command(list(command))
        for inside, outside in ports.items():
            # testcontainers would publish on every interface; Docker itself takes an address as well.
            self._container.ports[str(inside)] = (LOOPBACK, outside)  # type: ignore[assignment]
        self._exists = False

    def start(self) -> None:
        """Create the container the first time, start the same one again later."""
        if self._exists:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._exists = True

    def stop(self) -> None:
        """SIGTERM, or what the image names in its stead, and half a minute's patience."""
        self._container.get_wrapped_container().stop(timeout=30)

    def kill(self) -> None:
        """SIGKILL."""
        self._container.get_wrapped_container().kill()

    def discard(self) -> None:
        """Remove the container with its volumes."""
        self._container.stop(force=True, delete_volume=True)

    def last_words(self) -> str:
        """The last 20 lines of its log."""
        return (
            self._container.get_wrapped_container().logs(tail=20).decode(errors="replace")
            if self._exists
            else ""
        )


def image_at_hand(image: str) -> bool:
    """Whether a Docker engine answers and has the image, or can fetch it."""
    try:
        client = docker.from_env()
    except DockerException:
        return False
    try:
        try:
            client.images.get(image)
        except ImageNotFound:
            client.images.pull(image)
        return True
    except (DockerException, OSError):
        return False
    finally:
        client.close()


def remove_orphans() -> None:
    """Remove containers of earlier test runs on this machine that were killed before they could clean up."""
    client = docker.from_env()
    try:
        labelled = client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True)
        for container in labelled:
            if _is_orphan(container.labels[OWNER_LABEL]):
                _remove(container)
    finally:
        client.close()


def _remove(container: EngineContainer) -> None:
    """Remove a container that another process of this run may be removing too."""
    try:
        container.remove(force=True, v=True)
    except APIError as refused:
        if refused.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            raise


def this_process() -> str:
    """Name this process as the owner of containers, told apart from another machine's and from a later process of the same number."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{int(process.create_time())}"


def _is_orphan(owner: str) -> bool:
    host, pid, created = owner.rsplit("/", 2)
    if host != socket.gethostname():
        return False
    try:
        # The kernel counts from the boot, whose own time is adjusted: a second's difference is the same process.
        return abs(psutil.Process(int(pid)).create_time() - int(created)) > _CLOCK_ADJUSTED
    except psutil.NoSuchProcess:
        return True


def free_port() -> int:
    """A port of the loopback address that nothing listens on."""
    # Not `random`: test runs seed it alike in every process.
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def find_program(name: str, *, path: str, folders: Sequence[Path]) -> Path | None:
    """The program of this name in one of ``folders``, or on ``path``."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), path]))
    return Path(found).resolve() if found else None


def unprivileged_user(*preferred: str) -> str | None:
    """The first of the users that exists, for servers that refuse to run as root; None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise NoServerError("Running as root without a user to run test servers as: add the user 'nobody'.")


def start_process(
    command: Sequence[str | Path], *, folder: Path, user: str | None, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a server as this user in a session of its own; what it prints goes to ``output.log`` in ``folder``."""
    with folder.joinpath("output.log").open("ab") as output:
        return subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
        )


def last_lines(file: Path) -> str:
    """The last 20 lines of a text file, or nothing where there is none."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-20:]) if file.exists() else ""


def wait_for_answer(life: Lifecycle, answers: Callable[[], bool], *, server: str) -> None:
    """Wait until a server that was started answers; if it does not, the failure carries its last words."""
    try:
        eventually(answers, timeout=_PATIENCE, describe=f"{server} answers")
    except NeverHappenedError as problem:
        problem.add_note(life.last_words())
        raise


def hand_over(folder: Path, user: str | None) -> None:
    """Give a folder that we made to the user who will run the server in it."""
    if user is not None:
        owner = pwd.getpwnam(user)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
