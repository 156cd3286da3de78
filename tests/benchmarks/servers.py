"""One RabbitMQ and one PostgreSQL that every contestant shares, and nothing between them and the contestants.

The tests' own servers publish their ports through a proxy process, which costs a copy per packet: whoever sends more
packets pays more, and that would flatter a system that batches. So on Linux the benchmark starts its two servers on
the host's network, bound to 127.0.0.1; elsewhere, or where only binaries or URLs are given, it uses the tests' servers.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pika
import psycopg

RABBITMQ_IMAGE, POSTGRES_IMAGE = "rabbitmq:4-management", "postgres:17"
START_SECONDS = 60

RABBITMQ_CONF = """\
listeners.tcp.1 = 127.0.0.1:{port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {prometheus_port}
default_user = bench
default_pass = {password}
"""

POSTGRES_START = """
set -e
initdb -D "$HOME/bench" -U bench --auth=scram-sha-256 --pwfile=<(echo "$BENCH_PASSWORD") >/dev/null
exec postgres -D "$HOME/bench" -c listen_addresses=127.0.0.1 -c port="$BENCH_PORT" -c max_connections=200
"""


@dataclass(frozen=True)
class Servers:
    """Where the two servers answer, and the processes whose CPU time is theirs (no ids where they are unknown)."""

    amqp_url: str
    """Ends with the port: a virtual host is added as a path."""
    management_url: str
    """With user and password."""
    database_url: str
    """libpq URL of an administrator, without a database name."""
    process_ids: dict[str, int]
    """Root process of each server, by family name: `rabbitmq`, `postgres`."""

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """Yield the AMQP URL of a virtual host of its own, where a queue is a quorum queue unless it says otherwise."""
        name = f"bench-{secrets.token_hex(4)}"
        user = httpx.URL(self.management_url).username
        with httpx.Client(base_url=self.management_url, timeout=30) as management:
            management.put(f"/api/vhosts/{name}", json={"default_queue_type": "quorum"}).raise_for_status()
            everything = {"configure": ".*", "write": ".*", "read": ".*"}
            management.put(f"/api/permissions/{name}/{user}", json=everything).raise_for_status()
            try:
                yield f"{self.amqp_url}/{name}"
            finally:
                management.delete(f"/api/vhosts/{name}").raise_for_status()

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Yield the URL of a database of its own, empty or a copy of `template`, with no checkpoint due at its start."""
        name = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(f"{self.database_url}/postgres", autocommit=True) as administrator:
            administrator.execute(f"create database {name} template {template or 'template1'}".encode())
            administrator.execute("checkpoint")
            try:
                yield f"{self.database_url}/{name}"
            finally:
                administrator.execute(f"drop database {name} with (force)".encode())

    def versions(self) -> str:
        """Say which RabbitMQ and PostgreSQL answer."""
        broker = httpx.get(f"{self.management_url}/api/overview").json()
        with psycopg.connect(f"{self.database_url}/postgres") as connection:
            database = connection.info.parameter_status("server_version") or "?"
        erlang = broker["erlang_version"]
        return f"RabbitMQ {broker['rabbitmq_version']} (Erlang {erlang}), PostgreSQL {database.split()[0]}"


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both servers in containers on the host's network, wait until they answer, stop them at the end."""
    port, management_port, prometheus_port, database_port = free_ports(4)
    password = secrets.token_hex(8)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cardwork-bench-")))
        folder.chmod(0o755)
        configuration = folder / "bench.conf"
        configuration.write_text(
            RABBITMQ_CONF.format(
                port=port,
                management_port=management_port,
                prometheus_port=prometheus_port,
                password=password,
            )
        )
        rabbitmq = stack.enter_context(
            container(
                "--volume",
                f"{configuration}:/etc/rabbitmq/conf.d/90-bench.conf:ro",
                "--env",
                f"RABBITMQ_NODENAME={folder.name}@localhost",
                "--env",
                f"RABBITMQ_DIST_PORT={free_ports(1)[0]}",
                "--env",
                "ERL_EPMD_ADDRESS=127.0.0.1",
                "--env",
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
                RABBITMQ_IMAGE,
            )
        )
        postgres = stack.enter_context(
            container(
                "--user",
                "postgres",
                "--env",
                "HOME=/var/lib/postgresql",
                "--env",
                f"BENCH_PORT={database_port}",
                "--env",
                f"BENCH_PASSWORD={password}",
                "--entrypoint",
                "bash",
                POSTGRES_IMAGE,
                "-c",
                POSTGRES_START,
            )
        )
        servers = Servers(
            amqp_url=f"amqp://bench:{password}@127.0.0.1:{port}",
            management_url=f"http://bench:{password}@127.0.0.1:{management_port}",
            database_url=f"postgresql://bench:{password}@127.0.0.1:{database_port}",
            process_ids={"rabbitmq": rabbitmq, "postgres": postgres},
        )
        wait_until_both_answer(servers)
        yield servers


def consumers_of(queue: str, amqp_url: str) -> int:
    """Return how many consumers a queue has, none if there is no such queue."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    try:
        return int(connection.channel().queue_declare(queue, passive=True).method.consumer_count)
    except pika.exceptions.ChannelClosedByBroker:
        return 0
    finally:
        connection.close()


@contextmanager
def container(*arguments: str) -> Iterator[int]:
    """Run a container on the host's network and yield the id of its root process; remove it at the end."""
    run = ["docker", "run", "--detach", "--network", "host", *arguments]
    name = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    try:
        inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", name]
        yield int(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


def free_ports(count: int) -> list[int]:
    """Ask the system for ports of 127.0.0.1 that nobody uses now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until_both_answer(servers: Servers) -> None:
    """Return when both servers take connections; raise the last refusal after START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            pika.BlockingConnection(pika.URLParameters(f"{servers.amqp_url}/%2F")).close()
            httpx.get(f"{servers.management_url}/api/overview").raise_for_status()
            psycopg.connect(f"{servers.database_url}/postgres").close()
        except (pika.exceptions.AMQPError, httpx.HTTPError, psycopg.Error, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
