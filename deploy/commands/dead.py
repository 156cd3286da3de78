"""`cardwork dead`: messages that could not be handled: list, show, send back, drop."""

import click
import orjson

from deploy.compose import shape_of
from shared.messaging.dead_letters import DeadLetters
from shared.settings import read_settings


@click.group()
def dead() -> None:
    """Look at dead letters, send them back to where they died, or drop them."""


@dead.command("list")
@click.argument("queue", required=False)
def list_letters(queue: str | None) -> None:
    """Print how many letters each queue has, or the letters of QUEUE, such as accounts.commands."""
    letters = _letters()
    if queue is None:
        for name, count in letters.counts().items():
            click.echo(f"{count:>7}  {name}")
        return
    for letter in letters.lying_in(queue):
        click.echo(f"{letter.id}  {letter.died_at or '-':<32}  {letter.key or '-'}  {letter.why or '-'}")


@dead.command()
@click.argument("queue")
@click.argument("id_", metavar="ID")
def show(queue: str, id_: str) -> None:
    """Print what may be shown of the letter ID in QUEUE, sensitive fields masked."""
    click.echo(orjson.dumps(_letters().find(queue, id_).describe(), option=orjson.OPT_INDENT_2).decode())


@dead.command()
@click.argument("queue")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every letter that is there now.")
def requeue(queue: str, id_: str | None, everything: bool) -> None:
    """Send the letter ID, or all, back to the queue in which it died."""
    _need_one(id_, everything)
    click.echo(f"sent back: {_letters().requeue(queue, id_)}")


@dead.command()
@click.argument("queue")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every letter that is there now.")
@click.confirmation_option(prompt="A dropped message is gone for good. Drop it?")
def drop(queue: str, id_: str | None, everything: bool) -> None:
    """Remove the letter ID, or all, for good."""
    _need_one(id_, everything)
    click.echo(f"dropped: {_letters().drop(queue, id_)}")


def _letters() -> DeadLetters:
    return shape_of(read_settings()).dead_letters()


def _need_one(id_: str | None, everything: bool) -> None:
    if (id_ is None) is not everything:
        raise click.UsageError("name one letter by its ID, or say --all")
