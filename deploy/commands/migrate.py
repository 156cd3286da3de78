"""`cardwork migrate [NAME…]`: brings tables up to date."""

import click

from deploy.compose import shape_of
from shared.settings import read_settings


@click.command()
@click.argument("names", nargs=-1)
def migrate(names: tuple[str, ...]) -> None:
    """Bring the tables of the services NAMES, or of all, up to date."""
    shape = shape_of(read_settings())
    for name in names or tuple(shape.services):
        shape.migrate(name)
        click.echo(f"{name}: up to date")
