"""THE composition root: builds every part of both shapes from the same declarations.

A `Shape` knows what differs: where a service's database is, how messages travel and how the gateway reaches a service.
`Embedded` is one process on SQLite files; `Distributed` is a process of its own for each part, on PostgreSQL and RabbitMQ.
Nothing else in Cardwork knows which shape it runs in.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

from flask import Flask

from deploy.documents.openapi import openapi
from deploy.keys import with_own_keys
from deploy.registry import find_services
from services.gateway.app import gateway_app
from services.gateway.calls import Call, OverHttp, WithinProcess
from services.gateway.upstream import Assertions, Upstream
from shared.actor import Signer, Verifier
from shared.clock import Clock, utc_now
from shared.database import Database, sqlite_url
from shared.messaging.bus import CommandSender, Consumer
from shared.messaging.dead_letters import DeadLetters, LocalDeadLetters, RabbitDeadLetters
from shared.messaging.dispatch import Dispatcher
from shared.messaging.local_bus import LocalBus
from shared.messaging.local_consumer import LocalConsumer
from shared.messaging.local_sender import LocalSender
from shared.messaging.pika_consumer import PikaConsumer
from shared.messaging.pika_sender import PikaSender
from shared.messaging.topology import Topology, topology_of
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.sealing import seal_of
from shared.service import Running, Service
from shared.settings import BadSettings, Settings
from shared.web.app import service_app
from shared.web.health import Check


class Shape(ABC):
    """The parts of one process, each made when it is first asked for."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = Metrics()
        self.services = find_services()
        self._databases: dict[str, Database] = {}

    @cached_property
    def topology(self) -> Topology:
        """Exchanges, queues and bindings of all services."""
        return topology_of(self.services.values())

    @abstractmethod
    def database_url(self, service: str) -> str:
        """Return where a service keeps its data."""

    @abstractmethod
    def consumer(self, service: str) -> Consumer:
        """Return a new consumer of a service's queues."""

    @abstractmethod
    def sender(self) -> CommandSender:
        """Return the gateway's way to the broker."""

    @abstractmethod
    def call(self, service: str) -> Call:
        """Return the gateway's way to a service's reads."""

    @abstractmethod
    def dead_letters(self) -> DeadLetters:
        """Return the messages that could not be handled."""

    def service(self, name: str) -> Service:
        """Return a service; raises BadSettings naming those that there are."""
        if name not in self.services:
            raise BadSettings(
                f"There is no service {name!r}; there are: {', '.join(self.services)}, gateway."
            )
        return self.services[name]

    def database(self, service: str) -> Database:
        """Return a service's database."""
        if service not in self._databases:
            size = (
                self.settings.web_threads
                if self.settings.embedded
                else max(5, self.settings.web_threads // 2)
            )
            self._databases[service] = Database(
                self.database_url(service), pool_size=size, plans_once=self.service(service).plans_once
            )
        return self._databases[service]

    def migrate(self, service: str) -> None:
        """Bring a service's tables up to date."""
        upgrade(self.service(service), self.database_url(service))

    def verifier(self, service: str) -> Verifier:
        """Return what tells good assertions made for a service from others."""
        return Verifier(self._key("assertion_public_key"), service)

    def dispatcher(self, service: str) -> Dispatcher:
        """Return a new dispatcher for a service's messages; raises BadSettings where it could not do its work."""
        declared = self.service(service)
        if declared.check:
            declared.check(self.settings)
        return Dispatcher(
            declared,
            self.database(service),
            settings=self.settings,
            verifier=self.verifier(service),
            clock=self.clock,
            metrics=self.metrics,
        )

    def service_app(self, name: str) -> Flask:
        """Return the Flask app behind which a service answers its reads."""
        database = self.database(name)
        running = Running(database=database, settings=self.settings, clock=self.clock)
        checks: dict[str, Check] = {"database": database.answers}
        return service_app(
            self.service(name), running, verifier=self.verifier(name), metrics=self.metrics, checks=checks
        )

    def gateway_app(self) -> Flask:
        """Return the portal API."""
        assertions = Assertions(Signer(self._key("assertion_private_key")), self.clock)
        answering = [name for name, service in self.services.items() if service.answers]
        upstreams = {name: Upstream(name, self.call(name), assertions) for name in answering}
        return gateway_app(
            settings=self.settings,
            upstreams=upstreams,
            assertions=assertions,
            sender=self.sender(),
            seal=seal_of(self.settings),
            clock=self.clock,
            metrics=self.metrics,
            openapi=openapi(),
        )

    def close(self) -> None:
        """Close every connection to a database."""
        for database in self._databases.values():
            database.close()

    def _key(self, name: str) -> str:
        key: str | None = getattr(self.settings, name)
        if not key:
            raise BadSettings(f"CARDWORK_{name.upper()} is not set; `cardwork provision` makes keys.")
        return key


class Embedded(Shape):
    """One process: a SQLite file for each service, a durable queue in another, reads by a call."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        settings.data_directory.mkdir(parents=True, exist_ok=True)
        super().__init__(with_own_keys(settings), clock)

    @cached_property
    def bus(self) -> LocalBus:
        """The durable queue that all services of the process share."""
        return LocalBus(self.settings.data_directory / "bus.sqlite", self.topology)

    def database_url(self, service: str) -> str:
        """Return the service's own file."""
        return sqlite_url(Path(self.settings.data_directory).absolute() / f"{service}.sqlite")

    def consumer(self, service: str) -> Consumer:
        """Return a consumer for a thread of this process."""
        return LocalConsumer(self.bus, self.dispatcher(service), self.settings)

    @cached_property
    def _sender(self) -> LocalSender:
        return LocalSender(self.bus)

    def sender(self) -> CommandSender:
        """Return the way to the durable queue."""
        return self._sender

    def dead_letters(self) -> DeadLetters:
        """Return the letters in the durable queue."""
        return LocalDeadLetters(self.bus, self.topology)

    def call(self, service: str) -> Call:
        """Return a call of the service's app in this process."""
        return WithinProcess(self.service_app(service), service)


class Distributed(Shape):
    """Many processes, each scaled alone."""

    def database_url(self, service: str) -> str:
        """Return the setting; ``{service}`` in it stands for the service's name."""
        return (self.settings.database_url or "").replace("{service}", service)

    def consumer(self, service: str) -> Consumer:
        """Return a consumer for the main thread of a worker."""
        return PikaConsumer(self._broker_url, self.dispatcher(service), self.settings)

    def sender(self) -> CommandSender:
        """Return one connection for all threads of a gateway process."""
        return PikaSender(self._broker_url)

    def dead_letters(self) -> DeadLetters:
        """Return the letters on RabbitMQ."""
        return RabbitDeadLetters(self._broker_url, self.topology)

    def call(self, service: str) -> Call:
        """Return a call over HTTP, with pooled connections and a time-out."""
        return OverHttp(
            getattr(self.settings, f"{service}_url"),
            connections=self.settings.web_threads,
            timeout_seconds=self.settings.service_timeout_seconds,
        )

    @property
    def _broker_url(self) -> str:
        return self.settings.broker_url or ""


def shape_of(settings: Settings, clock: Clock = utc_now) -> Shape:
    """Return the shape that the settings ask for."""
    return Embedded(settings, clock) if settings.embedded else Distributed(settings, clock)
