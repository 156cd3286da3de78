"""A project of docker compose under test: docker-compose.yml as it is, under a name and on a port of its own."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import psutil

from shared.testing.installation import Portal
from shared.testing.servers import NoServerError, free_port

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"

# What was there before Cardwork and what has done its work once.
ONCE = {"provision", "migrate", "demonstration"}
SERVERS = {"rabbitmq", "postgres"}

_GENEROUS = {"CARDWORK_RATE_LIMIT": "100000 per second", "CARDWORK_SIGN_IN_RATE_LIMIT": "100000 per second"}


# By machine, as a Docker engine may be somewhere else and serve many.
_PREFIX = f"cardwork-test-{re.sub('[^a-z0-9]', '', socket.gethostname().lower())}-"


class ComposeFailed(AssertionError):
    """A docker command failed; the message holds what it printed."""


class Stack:
    """One project; `up` builds the image and starts it, `down` leaves nothing but the image."""

    def __init__(self) -> None:
        if _run(["docker", "compose", "version"], {}, check=False).returncode:
            raise NoServerError(
                "Tests of docker-compose.yml need Docker with its compose plugin: install both."
            )
        self.project = f"{_PREFIX}{os.getpid()}"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {**_GENEROUS, "CARDWORK_PUBLISHED_PORT": str(port)}
        self._users: list[dict[str, str]] = []
        _remove_orphans()

    def up(self, *options: str) -> None:
        """Start what does not run and wait until all is well."""
        self.compose("up", "--detach", "--wait", *options)

    def down(self) -> None:
        """Remove containers, networks and volumes."""
        self.compose("down", "--volumes", "--timeout", "5")

    def compose(self, *words: str) -> str:
        """Run a `docker compose` command on the project and return what it printed."""
        command = [
            "docker",
            "compose",
            "--ansi",
            "never",
            "--file",
            str(FILE),
            "--project-name",
            self.project,
            *words,
        ]
        return _run(command, self._environment).stdout

    def run_inside(self, service: str, *command: str) -> str:
        """Run a command in a running container and return what it printed."""
        return self.compose("exec", "--no-TTY", service, *command)

    def containers(self) -> dict[str, list[dict[str, Any]]]:
        """Return what Docker knows of every container, by service."""
        found: dict[str, list[dict[str, Any]]] = {}
        ids = self.compose("ps", "--all", "--quiet").split()
        for container in json.loads(_run(["docker", "inspect", *ids], {}).stdout):
            found.setdefault(container["Config"]["Labels"]["com.docker.compose.service"], []).append(
                container
            )
        return found

    def portal(self, role: str) -> Portal:
        """Return a signed-in demonstration user of this role."""
        if not self._users:
            self._users = json.loads(self.run_inside("gateway", "cardwork", "demo", "--list-users"))
        return Portal(self.url, next(user for user in self._users if user["role"] == role))

    def vault(self) -> dict[str, Any]:
        """Return all secrets."""
        read = ("run", "--rm", "--no-deps", "--entrypoint", "cat", "provision", "/secrets/vault/secrets.json")
        content: dict[str, Any] = json.loads(self.compose(*read))
        return content

    def logs(self) -> str:
        """Return what every container printed last."""
        return self.compose("ps", "--all") + self.compose("logs", "--no-color", "--tail", "60")


def users_of_processes(container: str) -> set[str]:
    """Return the numbers of the users who run anything in a container."""
    listed = _run(["docker", "top", container, "-eo", "pid,uid"], {}).stdout.splitlines()[1:]
    return {line.split()[1] for line in listed}


def _remove_orphans() -> None:
    """Remove the projects of test runs on this machine that were killed before they could clean up."""
    for project in json.loads(_run(["docker", "compose", "ls", "--all", "--format", "json"], {}).stdout):
        name = str(project["Name"])
        owner = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and owner.isdigit() and not psutil.pid_exists(int(owner)):
            _run(["docker", "compose", "--project-name", name, "down", "--volumes", "--timeout", "1"], {})


def _run(
    command: list[str], environment: dict[str, str], *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("CARDWORK_", "COMPOSE_"))
    }
    try:
        done = subprocess.run(
            command,
            env={**plain, **environment},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise NoServerError(
            "Tests of docker-compose.yml need Docker with its compose plugin: install both."
        ) from None
    if check and done.returncode:
        raise ComposeFailed(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done
