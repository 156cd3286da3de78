"""Migrations of any service's tables, as functions: bring a database up to date, say where it stands, write a revision.

A service keeps its revisions, and nothing else, in its own ``migrations/``; Alembic's environment and the template of a
new revision are here once for all. A new one is made from what the model says and the database lacks::

    python -c "from services.identity.service import service; from shared.migrations import revise; revise(service, 'Why')"
"""

import tempfile
import threading
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from shared.database import Database, Instant, sqlite_url
from shared.service import Service

_LOCK = 0x43415244  # any number that nothing else in a service's own database locks
_alembic = threading.Lock()  # Alembic keeps the migration in hand in module globals


def upgrade(service: Service, database_url: str) -> None:
    """Bring the tables of a service up to date, all in one transaction; others that try meanwhile wait.

    Raises Unavailable where the database is away.
    """
    database = Database(database_url)
    try:
        with _alembic, database.write() as session:
            connection = session.connection()
            if database.is_postgresql:
                connection.execute(sa.text("set local statement_timeout = 0"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            command.upgrade(_configuration(service, connection), "head")
    finally:
        database.close()


def current(database_url: str) -> str | None:
    """Return the revision at which a service's database stands; None before the first migration."""
    database = Database(database_url)
    try:
        with database.read() as session:
            return MigrationContext.configure(session.connection()).get_current_revision()
    finally:
        database.close()


def newest(service: Service) -> str | None:
    """Return the revision that the code of a service needs."""
    return ScriptDirectory.from_config(_configuration(service)).get_current_head()


def differences(service: Service, database_url: str) -> list[Any]:
    """Return what the tables lack of the service's model, or have beyond it, in Alembic's words; empty is right."""
    database = Database(database_url)
    try:
        with database.read() as session:
            context = MigrationContext.configure(session.connection(), opts=comparison(session.connection()))
            return list(compare_metadata(context, service.metadata))
    finally:
        database.close()


def revise(service: Service, message: str) -> Path:
    """Write a new revision that takes the tables from the newest one to the model; read it before you commit it."""
    with tempfile.TemporaryDirectory() as folder:
        url = sqlite_url(Path(folder) / "empty.sqlite")
        upgrade(service, url)
        number = int(newest(service) or 0) + 1
        database = Database(url)
        with _alembic, database.write() as session:
            made = command.revision(
                _configuration(service, session.connection()),
                message,
                autogenerate=True,
                rev_id=f"{number:04}",
                version_path=str(service.migrations),
            )
        database.close()
    assert isinstance(made, Script)  # one branch, so one revision
    return Path(made.path)


def comparison(connection: sa.Connection) -> dict[str, Any]:
    """Return how Alembic is to compare a model with tables; an index of another dialect alone is none that is lacking."""

    def belongs_here(thing: Any, _name: str | None, kind: str, reflected: bool, _other: Any) -> bool:
        elsewhere = kind == "index" and thing.dialect_options["postgresql"]["using"] == "gin"
        return reflected or not elsewhere or connection.dialect.name == "postgresql"

    return {"compare_type": True, "compare_server_default": True, "include_object": belongs_here}


def render_plainly(kind: str, thing: Any, _: AutogenContext) -> str | Literal[False]:
    """Write a type of ours as what it is in the database, so that a revision stands when our code has moved on."""
    if kind == "type" and isinstance(thing, Instant):
        return "sa.DateTime(timezone=True)"
    return False


def _configuration(service: Service, connection: sa.Connection | None = None) -> Config:
    config = Config()
    # Alembic reads its options as a template: a percent sign in a path would start a name.
    for option, path in (
        ("script_location", Path(__file__).parent),
        ("version_locations", service.migrations),
    ):
        config.set_main_option(option, str(path).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    config.attributes["metadata"] = service.metadata
    return config
