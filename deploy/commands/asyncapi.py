"""`cardwork asyncapi`: the generated description."""

import click

from deploy.documents.publishing import as_text, documents_of
from deploy.registry import find_services


@click.command()
def asyncapi() -> None:
    """Print the AsyncAPI 3.0 description of the messages."""
    click.echo(as_text(documents_of(find_services().values())["asyncapi.json"]), nl=False)
