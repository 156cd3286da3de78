"""The servers that tests run on are real, keep their data over a restart, and are asked for plainly when missing."""

import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import docker
import pika
import psycopg
import pytest

from shared.testing import brokers, databases, servers
from shared.testing.brokers import RabbitMQ, VirtualHost
from shared.testing.databases import Database, Postgres
from shared.testing.eventually import eventually
from shared.testing.servers import NoServerError

NOWHERE = {"PATH": ""}


def declare(url: str, queue: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})


def put(url: str, queue: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", queue, b"kept", pika.BasicProperties(delivery_mode=2), mandatory=True)


def take(url: str, queue: str) -> bytes | None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        _, _, body = connection.channel().basic_get(queue, auto_ack=True)
        assert body is None or isinstance(body, bytes)
        return body


def test_a_message_goes_through_the_broker(vhost: VirtualHost) -> None:
    declare(vhost.url, "letters")
    put(vhost.url, "letters")
    assert take(vhost.url, "letters") == b"kept"


@pytest.mark.fault
@pytest.mark.parametrize("end", [RabbitMQ.stop, RabbitMQ.kill])
def test_a_broker_comes_back_with_what_it_confirmed(
    rabbitmq: RabbitMQ, vhost: VirtualHost, end: Callable[[RabbitMQ], None]
) -> None:
    declare(vhost.url, "letters")
    rabbitmq.restart()
    put(vhost.url, "letters")
    end(rabbitmq)
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        take(vhost.url, "letters")
    rabbitmq.start()
    assert take(vhost.url, "letters") == b"kept"


def test_each_virtual_host_is_alone_and_deleted(rabbitmq: RabbitMQ) -> None:
    with rabbitmq.new_vhost() as first, rabbitmq.new_vhost() as second:
        declare(first.url, "letters")
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="no queue"):
            take(second.url, "letters")
    names = {vhost["name"] for vhost in rabbitmq.call("GET", "/api/vhosts").json()}
    assert not names & {first.name, second.name}


def test_a_row_is_kept_in_the_database(database: Database) -> None:
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("create table cards as select 7 as n")
    with psycopg.connect(database.conninfo) as connection:
        assert connection.execute("select n from cards").fetchall() == [(7,)]


def test_the_database_is_durable_and_has_room_for_many_connections(postgres: Postgres) -> None:
    with psycopg.connect(postgres.conninfo) as connection:
        for setting, value in {"fsync": "on", "synchronous_commit": "on", "max_connections": "300"}.items():
            assert connection.execute("select current_setting(%s)", [setting]).fetchone() == (value,)


@pytest.mark.fault
@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill])
def test_a_database_server_comes_back_with_what_was_committed(
    postgres: Postgres, database: Database, end: Callable[[Postgres], None]
) -> None:
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("create table cards as select 7 as n")
    end(postgres)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(database.conninfo)
    postgres.start()
    with psycopg.connect(database.conninfo) as connection:
        assert connection.execute("select n from cards").fetchall() == [(7,)]


def test_a_database_can_be_copied_and_is_dropped(postgres: Postgres, database: Database) -> None:
    with psycopg.connect(database.conninfo) as connection:
        connection.execute("create table cards as select 7 as n")
    with postgres.new_database(template=database.name) as copy, psycopg.connect(copy.conninfo) as connection:
        assert connection.execute("select n from cards").fetchall() == [(7,)]
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy.conninfo)


def test_servers_of_the_environment_come_first(rabbitmq: RabbitMQ, postgres: Postgres) -> None:
    broker = brokers.start_rabbitmq(
        {brokers.URL_VARIABLE: rabbitmq.url, brokers.MANAGEMENT_URL_VARIABLE: rabbitmq.management_url}
    )
    server = databases.start_postgres({databases.URL_VARIABLE: postgres.conninfo})
    assert (broker.url, broker.management_url, server.url) == (
        rabbitmq.url,
        rabbitmq.management_url,
        postgres.url,
    )
    for refuse in (broker.restart, broker.kill, server.restart, server.kill):
        with pytest.raises(pytest.skip.Exception, match="not ours to stop"):
            refuse()
    broker.close()
    server.close()
    with rabbitmq.new_vhost(), postgres.new_database():
        pass  # closing what is not ours did not end it


def test_a_local_postgresql_stands_in_where_docker_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = databases.installed_program_folders()
    if not folders:
        pytest.skip("no PostgreSQL programs are installed on this machine")
    monkeypatch.setattr(databases, "image_at_hand", lambda _: False)
    server = databases.start_postgres({}, program_folders=folders)
    try:
        server.restart()
        with server.new_database() as fresh, psycopg.connect(fresh.conninfo) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        server.close()


def test_containers_of_killed_runs_are_removed_by_whoever_is_first() -> None:
    if not servers.image_at_hand(brokers.IMAGE):
        pytest.skip("no Docker engine answers")
    engine = docker.from_env()
    ours, *theirs = [
        engine.containers.create(brokers.IMAGE, labels={servers.OWNER_LABEL: owner})
        for owner in (servers.this_process(), *[f"{socket.gethostname()}/{2**30}/0"] * 4)
    ]
    try:
        with ThreadPoolExecutor(6) as workers:
            for removal in [workers.submit(servers.remove_orphans) for _ in range(6)]:
                removal.result()
        assert engine.containers.get(ours.id).status == "created"
        eventually(
            lambda: not {one.id for one in engine.containers.list(all=True)} & {one.id for one in theirs}
        )
    finally:
        ours.remove(force=True)
        engine.close()


@pytest.mark.parametrize(
    "start",
    [
        lambda: brokers.start_rabbitmq(NOWHERE, program_folders=[]),
        lambda: databases.start_postgres(NOWHERE, program_folders=[]),
    ],
    ids=["rabbitmq", "postgres"],
)
def test_a_missing_server_is_asked_for_in_one_line(
    monkeypatch: pytest.MonkeyPatch, start: Callable[[], object]
) -> None:
    for module in (brokers, databases):
        monkeypatch.setattr(module, "image_at_hand", lambda _: False)
    with pytest.raises(
        NoServerError, match=re.compile(r"^Tests need .+: start Docker .+, install .+, or set .+\.$")
    ):
        start()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_missing_server_stops_the_session(
    pytester: pytest.Pytester, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    pytester.makeconftest(
        """
        import pytest
        from shared.testing import plugin
        from shared.testing.servers import NoServerError

        pytest_plugins = ["shared.testing.plugin"]

        def nowhere():
            raise NoServerError("Tests need a server: install one.")

        plugin.start_rabbitmq = nowhere
        """
    )
    pytester.makepyfile(
        """
        def test_one(rabbitmq): pass
        def test_two(rabbitmq): pass
        def test_three(rabbitmq): pass
        """
    )
    result = pytester.runpytest_subprocess("-n", str(workers), "-p", "no:cacheprovider")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*Tests need a server: install one.*"])
    assert "passed" not in result.stdout.str()
