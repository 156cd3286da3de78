"""Topic matching follows RabbitMQ's rules, and the broker agrees with the declared topology."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import amqp.exceptions
import httpx
import kombu
import pytest

from shared.contracts import names
from shared.messaging import management, topology
from shared.messaging.permissions import hash_password, permissions, subscriber_permission
from shared.messaging.topology import matches
from shared.service import Job
from shared.testing.brokers import RabbitMQ, VirtualHost
from shared.testing.eventually import eventually
from tests.integration.bus.programme import ACCOUNTS, NOTICES, TRACKING, programme, service

DAILY = Job(name="daily", every=timedelta(days=1), run=lambda tx: 0)
CANCEL = "accounts.cancel-account.v1"
CANCELLED = "accounts.account-cancelled.v1"
PASSWORD = "pass-for-a-test"


@pytest.fixture(scope="module")
def somewhere(rabbitmq: RabbitMQ) -> Iterator[VirtualHost]:
    """A virtual host that the tests of this module share, each with queues of its own or changing nothing."""
    with rabbitmq.new_vhost() as shared:
        yield shared


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "ab", False),
        ("*", "", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.c", False),
        ("*.b.#", "x.b", True),
        ("#.c", "a.b.c", True),
        ("#.b.#", "a.b.c", True),
        ("#.#", "", True),
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.+", "a.b", False),
    ],
)
def test_a_pattern_takes_what_rabbitmq_would(
    pattern: str, key: str, expected: bool, somewhere: VirtualHost
) -> None:
    assert matches(pattern, key) is expected
    with kombu.Connection(somewhere.url) as connection, connection.channel() as channel:
        exchange = kombu.Exchange("matching", "topic", durable=True)(channel)
        exchange.declare()
        queue = kombu.Queue("", exchange, routing_key=pattern, exclusive=True)(channel)
        queue.declare()
        exchange.publish(exchange.Message("x"), routing_key=key)
        assert (queue.get() is not None) is expected


def test_commands_reach_their_owner_and_every_observer() -> None:
    assert programme().destinations(names.COMMANDS, CANCEL) == ("accounts.commands", "tracking.commands")


def test_a_command_without_an_owner_reaches_the_observer_only() -> None:
    assert programme().destinations(names.COMMANDS, "nobody.do.v1") == ("tracking.commands",)


def test_a_command_that_nobody_wants_cannot_be_routed() -> None:
    assert topology.topology_of([NOTICES]).destinations(names.COMMANDS, CANCEL) == ()


def test_events_reach_those_that_react_and_outcomes_the_observer() -> None:
    routes = programme()
    assert routes.destinations(names.EVENTS, CANCELLED) == ("notices.events",)
    assert routes.destinations(names.EVENTS, "outcomes.command-completed.v1") == ("tracking.events",)


def test_an_event_that_nobody_wants_is_kept_aside() -> None:
    assert programme().destinations(names.EVENTS, "accounts.other.v1") == (names.UNROUTED,)


def test_each_queue_is_reached_by_its_name() -> None:
    routes = programme()
    for queue in routes.queues:
        if queue != names.UNROUTED:
            assert routes.destinations(names.QUEUES, queue) == (queue,)
    assert routes.destinations(names.QUEUES, "gateway.commands") == ()


def test_only_services_that_consume_have_queues() -> None:
    assert programme().consumers == ("accounts", "notices", "tracking")
    assert programme().observers == {"tracking"}


# On RabbitMQ


def test_the_broker_agrees_after_it_was_declared(rabbitmq: RabbitMQ, vhost: VirtualHost) -> None:
    wanted, where = programme(), (rabbitmq.management_url, programme(), vhost.name)
    assert len(topology.check(vhost.url, wanted)) == len(wanted.exchanges) + len(wanted.queues)
    topology.declare(vhost.url, wanted)
    topology.declare(vhost.url, wanted)
    management.apply_policies(*where)
    assert topology.check(vhost.url, wanted) == []
    assert management.check(*where) == []


def test_differences_are_told_in_words_and_surplus_bindings_undone(
    rabbitmq: RabbitMQ, vhost: VirtualHost
) -> None:
    with kombu.Connection(vhost.url) as connection, connection.channel() as channel:
        kombu.Queue("accounts.commands", durable=True, queue_arguments={"x-queue-type": "classic"})(
            channel
        ).declare()
    with pytest.raises(amqp.exceptions.PreconditionFailed):
        topology.declare(vhost.url, programme())
    faults = topology.check(vhost.url, programme())
    assert any(fault.startswith("the queue accounts.commands is different") for fault in faults)
    assert "the queue tracking.events is missing" in faults

    with rabbitmq.new_vhost() as other:
        topology.declare(other.url, programme())
        smaller = topology.topology_of([TRACKING, NOTICES])
        assert management.check(rabbitmq.management_url, smaller, other.name)[:1] == [
            "the policy dead-letters is missing"
        ]
        without_reaction = topology.topology_of([TRACKING, ACCOUNTS, service("notices", jobs=[DAILY])])
        stray = f"the binding of notices.events to cardwork.events by '{CANCELLED}'"
        where = (rabbitmq.management_url, without_reaction, other.name)
        assert f"{stray} is asked for by nothing" in management.check(*where)
        assert management.undo_surplus_bindings(*where) == [stray]
        assert f"{stray} is missing" in management.check(rabbitmq.management_url, programme(), other.name)


def test_what_ends_its_worker_too_often_goes_to_the_dead_queue(
    rabbitmq: RabbitMQ, vhost: VirtualHost
) -> None:
    wanted = programme()
    topology.declare(vhost.url, wanted)
    management.apply_policies(rabbitmq.management_url, wanted, vhost.name)
    with kombu.Connection(vhost.url) as connection:
        put(connection, names.COMMANDS, CANCEL)
        for _ in range(management.DELIVERY_LIMIT + 1):
            eventually(
                lambda: (
                    take_and_die(connection, "accounts.commands")
                    or lies_in(connection, "accounts.commands.dead")
                )
            )
        eventually(lambda: lies_in(connection, "accounts.commands.dead"))
        for _ in range(management.DELIVERY_LIMIT * 2):  # a dead letter may be looked at for ever
            eventually(lambda: take_and_die(connection, "accounts.commands.dead"))
        eventually(lambda: lies_in(connection, "accounts.commands.dead"))


def put(connection: kombu.Connection, exchange: str, key: str) -> None:
    with connection.channel() as channel:
        kombu.Producer(channel).publish(b"x", exchange=exchange, routing_key=key)


def take_and_die(connection: kombu.Connection, queue: str) -> bool:
    with connection.channel() as channel:
        return channel.basic_get(queue) is not None


def lies_in(connection: kombu.Connection, queue: str) -> int:
    with connection.channel() as channel:
        return int(channel.queue_declare(queue, passive=True).message_count)


@pytest.fixture(scope="module")
def users(rabbitmq: RabbitMQ, somewhere: VirtualHost) -> dict[str, str]:
    """URLs by user, all permissions set from the definitions."""
    wanted = programme()
    everyone = [p.user for p in permissions(wanted)] + ["ledger"]
    hashes = {user: hash_password(PASSWORD) for user in everyone}
    content = management.definitions(wanted, hashes, subscribers=["ledger"], vhost=somewhere.name)
    rabbitmq.call("POST", "/api/definitions", json=content)
    login = urlsplit(somewhere.url)
    return {
        user: login._replace(netloc=f"{user}:{PASSWORD}@{login.hostname}:{login.port}").geturl()
        for user in everyone
    }


def test_the_definitions_are_all_that_a_broker_needs(
    rabbitmq: RabbitMQ, somewhere: VirtualHost, users: dict[str, str]
) -> None:
    assert topology.check(users["operator"], programme()) == []
    assert management.check(rabbitmq.management_url, programme(), somewhere.name) == []


def test_a_user_without_a_password_is_named() -> None:
    with pytest.raises(ValueError, match="notices, operator, tracking"):
        management.definitions(programme(), {"accounts": "x", "gateway": "x"})


@pytest.mark.parametrize(
    ("user", "exchange", "key", "allowed"),
    [
        ("accounts", names.EVENTS, CANCELLED, True),
        ("accounts", names.EVENTS, "outcomes.command-completed.v1", True),
        ("accounts", names.EVENTS, "tracking.request-closed.v1", False),
        ("accounts", names.QUEUES, "accounts.commands.dead", True),
        ("accounts", names.QUEUES, "tracking.commands", False),
        ("accounts", names.COMMANDS, CANCEL, False),
        ("accounts", "", "tracking.commands", False),
        ("tracking", "", "amq.rabbitmq.reply-to.g1", True),
        ("tracking", names.COMMANDS, CANCEL, False),
        ("gateway", names.COMMANDS, CANCEL, True),
        ("gateway", names.EVENTS, CANCELLED, False),
        ("gateway", names.QUEUES, "accounts.commands", False),
        ("operator", names.QUEUES, "accounts.commands", True),
        ("ledger", names.EVENTS, CANCELLED, False),
        ("ledger", names.QUEUES, "ledger.events.dead", True),
        ("ledger", names.QUEUES, "accounts.events.dead", False),
    ],
)
def test_users_write_in_their_own_name_only(
    users: dict[str, str], user: str, exchange: str, key: str, allowed: bool
) -> None:
    assert permitted(users[user], lambda channel: publish_confirmed(channel, exchange, key)) is allowed


@pytest.mark.parametrize(
    ("user", "queue", "allowed"),
    [
        ("accounts", "accounts.commands", True),
        ("accounts", "accounts.events", True),
        ("accounts", "accounts.commands.dead", False),
        ("accounts", "tracking.commands", False),
        ("gateway", "accounts.commands", False),
        ("tracking", "accounts.commands", False),
        ("operator", "accounts.commands.dead", True),
        ("ledger", "accounts.events", False),
    ],
)
def test_users_read_their_own_queues_only(
    users: dict[str, str], user: str, queue: str, allowed: bool
) -> None:
    assert permitted(users[user], lambda channel: channel.basic_consume(queue)) is allowed


@pytest.mark.parametrize("user", ["accounts", "gateway", "tracking", "ledger"])
def test_users_create_nothing_of_the_programme(users: dict[str, str], user: str) -> None:
    assert not permitted(users[user], lambda channel: channel.queue_declare("accounts.commands2"))
    assert not permitted(users[user], lambda channel: channel.exchange_declare("more", "topic"))
    assert not permitted(users[user], lambda channel: channel.queue_delete("accounts.commands"))


def permitted(url: str, do: Callable[[Any], object]) -> bool:
    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        try:
            do(connection.default_channel)
        except amqp.exceptions.AccessRefused:
            return False
    return True


def publish_confirmed(channel: Any, exchange: str, key: str) -> None:
    kombu.Producer(channel).publish(b"x", exchange=exchange, routing_key=key)


def test_a_subscriber_sets_up_its_own_queue() -> None:
    rights = subscriber_permission("ledger")
    assert rights.configure == r"^(ledger\.events|ledger\.events\.dead)$"
    assert rights.keys == {names.QUEUES: r"^ledger\."}


def test_the_management_interface_refuses_in_words(rabbitmq: RabbitMQ) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        management.apply_policies(rabbitmq.management_url, programme(), "no-such-vhost")
