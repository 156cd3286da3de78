"""`cardwork openapi`: the generated description."""

import click

from deploy.documents.publishing import as_text, documents_of
from deploy.registry import find_services


@click.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 description of the portal API."""
    click.echo(as_text(documents_of(find_services().values())["openapi.json"]), nl=False)
