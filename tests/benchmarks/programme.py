"""The programme that every contestant works on: 100 000 card accounts, loaded once, copied for each round."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import sqlalchemy as sa

from deploy.keys import make_keys
from services.tracking.model import request, step
from shared.testing.databases import Database
from shared.testing.installation import DistributedInstallation, EmbeddedInstallation
from tests.benchmarks.servers import Servers

ACCOUNTS = 100_000
SETTINGS = {"CARDWORK_WEB_THREADS": "64"}
"""What differs from an installation out of the box, but for rate limits: a thread for each request that waits."""

_POSTGRESQL = sa.create_engine("postgresql+psycopg://").dialect
_PEERS_INDEXES = tuple(
    f"create index on request({columns})"
    for columns in (
        "received_at, command_id",
        "account_id, received_at",
        "master, received_at",
        "basic, received_at",
    )
)
"""A peer finds its requests by fewer criteria than Cardwork, and pays for fewer indexes."""


@dataclass(frozen=True)
class Programme:
    """The loaded programme in each form."""

    servers: Servers
    folder: Path
    keys: dict[str, str]
    production: DistributedInstallation
    """Prepared, never started: its databases are copied."""
    embedded: EmbeddedInstallation
    """Prepared, never started: its files are copied."""
    peers: Database
    """Cardwork's tables that peers work on, in one database."""

    @contextmanager
    def production_copy(self) -> Iterator[DistributedInstallation]:
        """Yield an installation in a virtual host and databases of its own, with topology, not started."""
        with TemporaryDirectory(dir=self.folder) as folder, self.servers.rabbitmq.new_vhost() as vhost:
            copy = DistributedInstallation(
                Path(folder), self.keys, vhost, self.servers.rabbitmq, self.servers.postgres, SETTINGS
            )
            copy.prepare_like(self.production)
            self.settle()
            try:
                yield copy
            finally:
                copy.stop()
                copy.discard()

    @contextmanager
    def embedded_copy(self) -> Iterator[EmbeddedInstallation]:
        """Yield an installation on files of its own, not started."""
        with TemporaryDirectory(dir=self.folder) as folder:
            copy = EmbeddedInstallation(Path(folder), SETTINGS)
            shutil.copytree(self.embedded.folder / "data", copy.folder / "data")
            try:
                yield copy
            finally:
                copy.stop()

    @contextmanager
    def peers_copy(self) -> Iterator[Database]:
        """Yield a database for a peer."""
        with self.servers.postgres.new_database(self.peers.name) as copy:
            self.settle()
            yield copy

    def settle(self) -> None:
        """Let PostgreSQL write down what the copying left to write, so that no contestant pays for it."""
        self.servers.postgres.execute("checkpoint")


@contextmanager
def prepared(servers: Servers) -> Iterator[Programme]:
    """Load the programme in each form; takes a minute."""
    keys = {f"CARDWORK_{name.upper()}": value for name, value in make_keys().items()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="cardwork-bench-")))
        (folder / "production").mkdir()
        (folder / "embedded").mkdir()
        vhost = stack.enter_context(servers.rabbitmq.new_vhost())
        production = DistributedInstallation(
            folder / "production", keys, vhost, servers.rabbitmq, servers.postgres, SETTINGS
        )
        stack.callback(production.discard)
        production.prepare(ACCOUNTS)
        embedded = EmbeddedInstallation(folder / "embedded", SETTINGS)
        embedded.prepare(ACCOUNTS)
        peers = stack.enter_context(servers.postgres.new_database(production.database_name("accounts")))
        engine = sa.create_engine(peers.url)
        with engine.begin() as connection:
            for statement in (_plain(request), _plain(step), *_PEERS_INDEXES):
                connection.execute(sa.text(statement))
        engine.dispose()
        for url in (production.database_url_of("accounts"), peers.conninfo):
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("vacuum analyze")
        yield Programme(servers, folder, keys, production, embedded, peers)


def _plain(table: sa.Table) -> str:
    """Return a table as peers use it: no months, and a request's key is the command's id, a step's the message's too."""
    columns = ", ".join(
        f"{column.name} {column.type.compile(_POSTGRESQL)}{'' if column.nullable else ' not null'}"
        for column in table.c
        if column.name not in ("asked_at", "exceptional")
        and (table is request or column.name != "received_at")
    )
    key = "command_id" if table is request else "command_id, message_id"
    number = ", unique (tracking_number)" if table is request else ""
    return f"create table {table.name} ({columns}, primary key ({key}){number})"


def list_accounts(url: str, file: Path) -> None:
    """Write the id and the control path of every active account, in no order, one a line."""
    engine = sa.create_engine(url)
    query = sa.text(
        "select account.id, structure.path from card_account account join control_account structure"
        " on structure.number = account.control_account where account.status = 'active' order by random()"
    )
    with engine.connect() as connection, file.open("w") as lines:
        lines.writelines(f"{id_} {path}\n" for id_, path in connection.execute(query))
    engine.dispose()
