"""One RabbitMQ and one PostgreSQL that every contestant shares, and nothing between them and the contestants.

The tests' containers publish their ports through a proxy process, which costs a copy per packet: whoever sends more
packets pays more, and that would flatter a system that batches. So where there is Docker on Linux the two servers run
on the host's network, bound to 127.0.0.1; elsewhere, or where the environment names servers, they are the tests' own.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pika
import psutil
import psycopg

from shared.testing import brokers, databases
from shared.testing.brokers import RabbitMQ, start_rabbitmq
from shared.testing.databases import Postgres, start_postgres
from shared.testing.servers import Elsewhere, free_port, image_at_hand

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
    """The two servers, and the processes whose CPU time is theirs."""

    rabbitmq: RabbitMQ
    postgres: Postgres
    process_ids: dict[str, list[int]]
    """Root processes of each server, by family name."""

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """Yield the AMQP URL of a virtual host of its own, where a queue is a quorum queue unless it says otherwise."""
        with self.rabbitmq.new_vhost() as vhost:
            self.rabbitmq.call("PUT", f"/api/vhosts/{vhost.name}", json={"default_queue_type": "quorum"})
            yield vhost.url

    def versions(self) -> str:
        """Say which RabbitMQ and PostgreSQL answer."""
        broker = self.rabbitmq.call("GET", "/api/overview").json()
        with psycopg.connect(self.postgres.conninfo) as connection:
            database = connection.info.parameter_status("server_version") or "?"
        erlang = broker["erlang_version"]
        return f"RabbitMQ {broker['rabbitmq_version']} (Erlang {erlang}), PostgreSQL {database.split()[0]}"


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Start both servers, or take those that the environment names; stop what was started at the end."""
    with ExitStack() as stack:
        if sys.platform == "linux" and not named_by_environment() and both_images_at_hand():
            rabbitmq, rabbitmq_process = stack.enter_context(rabbitmq_on_host_network())
            postgres, postgres_process = stack.enter_context(postgres_on_host_network())
            process_ids = {"rabbitmq": [rabbitmq_process], "postgres": [postgres_process]}
        else:
            rabbitmq = stack.enter_context(closing(start_rabbitmq()))
            postgres = stack.enter_context(closing(start_postgres()))
            process_ids = {"rabbitmq": roots_named("beam.smp"), "postgres": roots_named("postgres")}
        yield Servers(rabbitmq, postgres, process_ids)


def named_by_environment() -> bool:
    """Whether the environment names a server."""
    return any(os.environ.get(name) for name in (brokers.URL_VARIABLE, databases.URL_VARIABLE))


def both_images_at_hand() -> bool:
    """Whether Docker answers and has both images."""
    return image_at_hand(brokers.IMAGE) and image_at_hand(databases.IMAGE)


@contextmanager
def rabbitmq_on_host_network() -> Iterator[tuple[RabbitMQ, int]]:
    """Run RabbitMQ in a container on the host's network; yield it with its root process."""
    port, management_port, prometheus_port, distribution_port = (free_port() for _ in range(4))
    password = secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="cardwork-bench-") as folder:
        Path(folder).chmod(0o755)
        configuration = Path(folder, "bench.conf")
        configuration.write_text(
            RABBITMQ_CONF.format(
                port=port,
                management_port=management_port,
                prometheus_port=prometheus_port,
                password=password,
            )
        )
        environment = {
            "RABBITMQ_NODENAME": f"bench-{port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        volume = ["--volume", f"{configuration}:/etc/rabbitmq/conf.d/90-bench.conf:ro"]
        with container([*volume, *in_environment(environment), brokers.IMAGE]) as process:
            broker = RabbitMQ(
                Elsewhere("the benchmark"),
                url=f"amqp://bench:{password}@127.0.0.1:{port}/",
                management_url=f"http://bench:{password}@127.0.0.1:{management_port}",
            )
            broker.start()
            yield broker, process


@contextmanager
def postgres_on_host_network() -> Iterator[tuple[Postgres, int]]:
    """Run PostgreSQL, as it is configured out of the box, in a container on the host's network."""
    port, password = free_port(), secrets.token_hex(8)
    environment = {"HOME": "/var/lib/postgresql", "BENCH_PORT": str(port), "BENCH_PASSWORD": password}
    program = ["--user", "postgres", "--entrypoint", "bash", *in_environment(environment)]
    with container([*program, databases.IMAGE, "-c", POSTGRES_START]) as process:
        url = f"postgresql+psycopg://bench:{password}@127.0.0.1:{port}/postgres"
        server = Postgres(Elsewhere("the benchmark"), url=url)
        server.start()
        yield server, process


@contextmanager
def container(arguments: list[str]) -> Iterator[int]:
    """Run a container on the host's network and yield the id of its root process; remove it at the end."""
    run = ["docker", "run", "--detach", "--network", "host", *arguments]
    name = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    try:
        inspect = ["docker", "inspect", "--format", "{{.State.Pid}}", name]
        yield int(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True, capture_output=True)


def in_environment(variables: dict[str, str]) -> list[str]:
    """Return the options that hand variables to a container."""
    return [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]


def roots_named(name: str) -> list[int]:
    """Return this machine's processes of that name whose parent has another."""
    found = [process for process in psutil.process_iter(["name"]) if process.info["name"] == name]
    return [process.pid for process in found if (parent := process.parent()) is None or parent.name() != name]


def consumers_of(queue: str, amqp_url: str) -> int:
    """Return how many consumers a queue has, none if there is no such queue."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    try:
        return int(connection.channel().queue_declare(queue, passive=True).method.consumer_count)
    except pika.exceptions.ChannelClosedByBroker:
        return 0
    finally:
        if connection.is_open:
            connection.close()
