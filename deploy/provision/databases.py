"""A database for each service, which only its own role may enter, to read and write rows and nothing else.

Tables belong to a role that runs migrations. A service that is broken into can neither change a table nor look at
another service's, whatever it sends.
"""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

_RIGHTS = (
    "grant usage on schema public to {service}",
    "grant select, insert, update, delete on all tables in schema public to {service}",
    "grant usage, select on all sequences in schema public to {service}",
    "alter default privileges for role {owner} in schema public grant select, insert, update, delete on tables to {service}",
    "alter default privileges for role {owner} in schema public grant usage, select on sequences to {service}",
)

# The rows of a file that are being posted lie in tables of the connection (ADR 0019).
WITH_TEMPORARY_TABLES = frozenset({"statements"})


def prepare_databases(
    administrator_url: str,
    *,
    owner: str,
    passwords: Mapping[str, str],
    temporary: Collection[str] = WITH_TEMPORARY_TABLES,
) -> None:
    """Create what is missing and set every password and right; doing it again changes nothing.

    ``administrator_url`` is SQLAlchemy's or libpq's. ``passwords`` goes by role: the owner's, and one for each service,
    whose database is named like it. ``temporary`` are those that may make tables that last as long as a connection.
    """
    url = urlsplit(administrator_url)._replace(scheme="postgresql")
    services = sorted(passwords.keys() - {owner})
    with psycopg.connect(url.geturl(), autocommit=True) as connection:
        for role in (owner, *services):
            _set_role(connection, role, passwords[role])
        for service in services:
            _set_database(connection, service, owner)
            if service in temporary:
                _run(connection, "grant temporary on database {service} to {service}", service=service)
    for service in services:
        with psycopg.connect(url._replace(path=f"/{service}").geturl()) as connection:
            for statement in _RIGHTS:
                _run(connection, statement, service=service, owner=owner)


def _set_role(connection: psycopg.Connection, role: str, password: str) -> None:
    if not _exists(connection, "select from pg_roles where rolname = %s", role):
        _run(connection, "create role {role}", role=role)
    # Hashed here, so that the password itself can appear in no log of the server.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    statement = "alter role {role} login nosuperuser nocreatedb nocreaterole password "
    query = sql.SQL(statement).format(role=sql.Identifier(role)) + sql.Literal(verifier.decode())
    connection.execute(query)


def _set_database(connection: psycopg.Connection, service: str, owner: str) -> None:
    if not _exists(connection, "select from pg_database where datname = %s", service):
        _run(connection, "create database {service} owner {owner}", service=service, owner=owner)
    _run(connection, "revoke all on database {service} from public", service=service)
    _run(connection, "grant connect on database {service} to {service}", service=service)


def _exists(connection: psycopg.Connection, question: str, name: str) -> bool:
    return connection.execute(question, [name]).fetchone() is not None


def _run(connection: psycopg.Connection, statement: str, **names: str) -> None:
    identifiers = {key: sql.Identifier(name) for key, name in names.items()}
    connection.execute(sql.SQL(statement).format(**identifiers))
