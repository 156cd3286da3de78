"""`cardwork run`: the embedded shape, all of Cardwork in one process."""

import click

from deploy.commands.demo import demo_users, load_demonstration
from deploy.compose import Embedded
from deploy.embedded import EmbeddedSystem
from shared.memory import settle_memory
from shared.observability import set_up_logging
from shared.settings import BadSettings, Settings, read_settings


@click.command()
@click.option(
    "--demo/--no-demo", default=True, show_default=True, help="Load the demonstration programme once."
)
def run(demo: bool) -> None:
    """Run everything in one process on SQLite files, and serve the portal API."""
    settings = read_settings()
    if not settings.embedded:
        raise BadSettings(
            "`cardwork run` is the one-process shape; unset CARDWORK_BROKER_URL, or use `serve` and `work`."
        )
    set_up_logging(settings.log_level, settings.log_format)
    shape = Embedded(settings)
    for service in shape.services:
        shape.migrate(service)
    if demo:
        load_demonstration(shape)
    system = EmbeddedSystem(shape)
    _welcome(settings, demo=demo)
    settle_memory()
    system.serve()


def _welcome(settings: Settings, *, demo: bool) -> None:
    root = f"http://{settings.host}:{settings.port}/api/v1"
    click.echo(f"\nCardwork is at {root}  (read about it at {root}/docs; stop it with Ctrl-C)\n")
    if demo:
        click.echo("Sign in as one of these users of the demonstration programme:\n")
        for user in demo_users():
            click.echo(f"  {user['user_id']:<28} {user['password']:<36} {user['role']}")
        click.echo("")
    if settings.mail_url is None:
        click.echo(f"Mails are printed here, and kept in {settings.data_directory / 'mail'}\n")
