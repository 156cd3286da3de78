"""A whole system from docker-compose.yml: a command passes through it, it scales, it loses nothing, it holds tight."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Portal, all_settled
from tests.integration.compose.stack import ONCE, SERVERS, Stack, users_of_processes

pytestmark = [
    pytest.mark.compose,
    pytest.mark.slow,
    pytest.mark.timeout(400),  # the first one builds the image
    pytest.mark.xdist_group("compose"),
]

PA = "principal_programme_administrator"

# Run inside a worker's container: says what the broker answers to a publish under the service's own login.
PUBLISH = """
import os, sys, pathlib, kombu
url = pathlib.Path(os.environ["CARDWORK_BROKER_URL_FILE"]).read_text()
with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
    try:
        kombu.Producer(connection).publish("x", exchange=sys.argv[1], routing_key=sys.argv[2])
        print("taken")
    except Exception as refusal:
        print(refusal)
"""

# Likewise: what the database answers to a login with the service's own password.
LOGIN = """
import os, sys, pathlib, psycopg
url = pathlib.Path(os.environ["CARDWORK_DATABASE_URL_FILE"]).read_text().replace("+psycopg", "")
try:
    psycopg.connect(url.rpartition("/")[0] + "/" + sys.argv[1])
    print("entered")
except psycopg.Error as refusal:
    print(refusal)
"""


@pytest.fixture(scope="module")
def pa(stack: Stack) -> Portal:
    """The principal programme administrator of the first company."""
    return stack.portal(PA)


@pytest.fixture(scope="module")
def fresh(pa: Portal) -> Iterator[str]:
    """Active card accounts, each handed out once."""
    return iter(
        [account["account_id"] for account in pa.get("/accounts", status="active", limit=500)["data"]]
    )


def cancel(pa: Portal, account: str) -> str:
    """Cancel an account and return the command's id."""
    answer = pa.send(f"/accounts/{account}/cancel", {"reason": "not_needed"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["command_id"])


def assert_cancelled_once(pa: Portal, account: str) -> None:
    changes = pa.get(f"/accounts/{account}/history")["data"]
    assert [(change["old"], change["new"]) for change in changes if change["field"] == "status"] == [
        ("active", "cancelled")
    ]


def test_a_newcomer_cancels_a_card_and_sees_it_done(pa: Portal, fresh: Iterator[str]) -> None:
    account = next(fresh)
    answer = pa.send(f"/accounts/{account}/cancel", {"reason": "employment_ended"})
    assert answer.status_code == 202
    number = answer.json()["tracking_number"]
    assert number
    request = pa.outcome(answer)
    assert (request["status"], request["tracking_number"]) == ("completed", number)
    assert pa.get(f"/accounts/{account}")["status"] == "cancelled"
    assert_cancelled_once(pa, account)


def test_three_workers_share_the_commands(stack: Stack, pa: Portal, fresh: Iterator[str]) -> None:
    """Starting again with more workers also repeats what runs once, which must then change nothing."""
    stack.up("--scale", "accounts-worker=3")
    workers = [c["State"]["Health"]["Status"] for c in stack.containers()["accounts-worker"]]
    assert workers == ["healthy"] * 3
    assert consumers(stack)["accounts.commands"] == 3
    accounts = list(islice(fresh, 50))
    with ThreadPoolExecutor(8) as threads:
        commands = list(threads.map(lambda account: cancel(pa, account), accounts))
    eventually(all_settled(pa, commands), timeout=60)
    assert {pa.get(f"/tracking/{command}")["status"] for command in commands} == {"completed"}
    for account in accounts:
        assert_cancelled_once(pa, account)


def consumers(stack: Stack) -> dict[str, int]:
    asked = stack.run_inside(
        "rabbitmq", "rabbitmqctl", "--quiet", "--formatter=json", "list_queues", "name", "consumers"
    )
    return {queue["name"]: queue["consumers"] for queue in json.loads(asked)}


def test_stopping_workers_under_load_loses_nothing(stack: Stack, pa: Portal, fresh: Iterator[str]) -> None:
    accounts = list(islice(fresh, 120))
    with ThreadPoolExecutor(4) as threads:
        sent = [threads.submit(cancel, pa, account) for account in accounts]
        sent[20].result()
        stack.compose("stop", "accounts-worker")  # SIGTERM, then patience
        states = [container["State"] for container in stack.containers()["accounts-worker"]]
        assert {(state["Status"], state["ExitCode"]) for state in states} == {("exited", 0)}
        commands = [future.result() for future in sent]
    stack.compose("start", "accounts-worker")
    eventually(all_settled(pa, commands), timeout=90)
    assert {pa.get(f"/tracking/{command}")["status"] for command in commands} == {"completed"}
    for account in accounts:
        assert_cancelled_once(pa, account)


@pytest.mark.parametrize(
    ("exchange", "key", "expected"),
    [
        ("cardwork.events", "accounts.account-cancelled.v1", "taken"),
        ("cardwork.events", "tracking.request-closed.v1", "ACCESS_REFUSED"),
        ("cardwork.queues", "tracking.commands", "ACCESS_REFUSED"),
        ("cardwork.commands", "accounts.cancel-account.v1", "ACCESS_REFUSED"),
    ],
)
def test_a_service_speaks_on_the_broker_in_its_own_name_only(
    stack: Stack, exchange: str, key: str, expected: str
) -> None:
    said = stack.run_inside("accounts-worker", "python3", "-c", PUBLISH, exchange, key)
    assert expected in said


@pytest.mark.parametrize(
    ("database", "expected"),
    [("accounts", "entered"), ("tracking", "permission denied")],
)
def test_a_service_enters_its_own_database_only(stack: Stack, database: str, expected: str) -> None:
    assert expected in stack.run_inside("accounts-worker", "python3", "-c", LOGIN, database)


def test_nothing_runs_as_root_anywhere(stack: Stack) -> None:
    for service, containers in stack.containers().items():
        for container in containers:
            assert container["Config"]["User"] not in {"", "0", "root"}, service
            assert container["HostConfig"]["CapDrop"] == ["ALL"], service
            assert "no-new-privileges:true" in container["HostConfig"]["SecurityOpt"], service
            if container["State"]["Running"]:
                assert "0" not in users_of_processes(container["Id"]), service


def test_no_container_but_the_databases_can_write_to_its_image(stack: Stack) -> None:
    writable = {
        service
        for service, containers in stack.containers().items()
        if not all(container["HostConfig"]["ReadonlyRootfs"] for container in containers)
    }
    assert writable == {"postgres"}


def test_nothing_but_the_gateway_is_published(stack: Stack) -> None:
    published = {
        service: addresses
        for service, containers in stack.containers().items()
        for container in containers
        for addresses in container["NetworkSettings"]["Ports"].values()
        if addresses
    }
    assert published == {"gateway": [{"HostIp": "127.0.0.1", "HostPort": stack.url.rpartition(":")[2]}]}


def test_no_secret_stands_in_the_configuration_the_containers_or_the_logs(stack: Stack) -> None:
    secrets = list(strings_in(stack.vault()))
    assert len(secrets) > 10
    seen = {
        "docker compose config": stack.compose("config"),
        "docker inspect": json.dumps(stack.containers()),
        "docker compose logs": stack.compose("logs"),
    }
    assert [(place, secret) for place, text in seen.items() for secret in secrets if secret in text] == []


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings_in(inner)
    else:
        yield value


def test_everything_stands_that_should(stack: Stack) -> None:
    for service, containers in stack.containers().items():
        states = {(c["State"]["Status"], c["State"]["ExitCode"]) for c in containers}
        assert states == {("exited", 0) if service in ONCE else ("running", 0)}, service
    assert set(stack.containers()) >= SERVERS | ONCE
