"""`cardwork provision secrets|servers`: what has to be there before the first process of the production shape."""

import json
from pathlib import Path

import click
import httpx
import psycopg

from deploy.provision.broker import load_definitions
from deploy.provision.databases import prepare_databases
from deploy.provision.secrets import OWNER, Hosts, hand_out_secrets
from deploy.registry import find_services
from shared.messaging.topology import topology_of

_HOSTS = Hosts()


@click.group()
def provision() -> None:
    """Make the secrets of an installation, and set its servers up for them."""


@provision.command()
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default="/secrets", show_default=True,
    help="Where the folders of the holders are.",
)  # fmt: skip
@click.option("--broker", default=_HOSTS.broker, show_default=True, help="RabbitMQ's host and port.")
@click.option(
    "--management",
    default=_HOSTS.management,
    show_default=True,
    help="Its management interface's host and port.",
)
@click.option("--database", default=_HOSTS.database, show_default=True, help="PostgreSQL's host and port.")
@click.option("--renew-passwords", is_flag=True, help="Make all passwords anew; then start everything anew.")
def secrets(folder: Path, broker: str, management: str, database: str, renew_passwords: bool) -> None:
    """Make the secrets that are missing, and hand to each process what it may know."""
    services = find_services()
    hosts = Hosts(broker=broker, management=management, database=database)
    try:
        hand_out_secrets(
            folder, topology_of(services.values()), services, hosts, renew_passwords=renew_passwords
        )
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    click.echo("secrets: handed out")


@provision.command()
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), default="/run/cardwork",
    show_default=True, help="The operator's secrets.",
)  # fmt: skip
def servers(folder: Path) -> None:
    """Create databases, roles and broker users, and set their passwords and rights."""
    passwords = json.loads(folder.joinpath("database_roles.json").read_text())
    try:
        prepare_databases(
            folder.joinpath("database_administrator_url").read_text(), owner=OWNER, passwords=passwords
        )
        load_definitions(
            folder.joinpath("broker_management_url").read_text(),
            folder.joinpath("broker_definitions.json").read_bytes(),
        )
    except (psycopg.Error, httpx.HTTPError) as error:
        # The text of neither holds a password: the one names host and role, the other the path.
        raise click.ClickException(str(error).strip()) from error
    click.echo("servers: set up")
