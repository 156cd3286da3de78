"""The `cardwork` command: collects its words from ``deploy/commands`` and says plainly what went wrong."""

import sys
from importlib import import_module
from keyword import iskeyword
from pkgutil import iter_modules
from typing import NoReturn

import click

from deploy import commands
from shared.errors import CardworkError
from shared.settings import BadSettings


class Words(click.Group):
    """The words of the command, each loaded only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every word."""
        return sorted(module.name.rstrip("_").replace("_", "-") for module in iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a word."""
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_") + ("_" if iskeyword(cmd_name) else "")
        word: click.Command = getattr(import_module(f"{commands.__name__}.{name}"), name)
        return word


@click.group(cls=Words, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cardwork")
def cardwork() -> None:
    """Run, serve and look after Cardwork. Settings come from CARDWORK_… in the environment."""


def main() -> None:
    """Run the command; a wrong setting or a server that is away is one line, not a traceback."""
    try:
        cardwork()
    except (BadSettings, CardworkError) as error:
        _refuse(str(error))
    except ConnectionError as error:
        _refuse(f"a server is away: {error}")


def _refuse(why: str) -> NoReturn:
    click.echo(f"cardwork: {why}", err=True)
    sys.exit(2)
