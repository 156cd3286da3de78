"""`cardwork explain NAME`: all that derives from the declaration of one message."""

import click

from deploy.documents.explain import explain as explained
from deploy.registry import find_services
from shared.contracts.base import UnknownMessage


@click.command()
@click.argument("name")
def explain(name: str) -> None:
    """Print all that derives from the declaration of NAME, such as accounts.cancel-account."""
    try:
        click.echo(explained(name, find_services().values()))
    except UnknownMessage as error:
        raise click.ClickException(str(error)) from error
