"""`cardwork mail`: what became of mails, and sending those again that failed or are uncertain."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from deploy.compose import Shape, shape_of
from services.notifications.letters import Letter
from services.notifications.model import Mail
from services.notifications.queries import list_mails, one_mail
from services.notifications.rules import State, mask_address
from shared.clock import utc_now
from shared.sealing import BrokenSeal, Seal, seal_of
from shared.settings import read_settings

_SERVICE = "notifications"


@click.group()
def mail() -> None:
    """Look at mails, and send those again that failed or whose fate is uncertain."""


@mail.command("list")
@click.option(
    "--state", type=click.Choice([state.value for state in State]), help="Only those in this state."
)
@click.option("--most", type=click.IntRange(1), default=100, show_default=True, help="The newest so many.")
@click.option("--show", is_flag=True, help="Print addresses as they are.")
def list_(state: str | None, most: int, *, show: bool) -> None:
    """Print the newest mails: id, state, tries, when due, template, language, recipient, why it was not sent."""
    with _notifications() as shape:
        seal = seal_of(shape.settings)
        with shape.database(_SERVICE).read() as session:
            for found in list_mails(session, State(state) if state else None, most=most):
                click.echo(_line(found, seal, show=show))


@mail.command("send-again")
@click.argument("id_", metavar="ID")
def send_again(id_: str) -> None:
    """Have the mail ID sent that failed or is uncertain; an uncertain one may have arrived already."""
    with _notifications() as shape:
        with shape.database(_SERVICE).write() as session:
            found = one_mail(session, id_)
            before = found.state
            found.send_again(utc_now())
        click.echo(f"{id_}: was {before}, will be sent")


@contextmanager
def _notifications() -> Iterator[Shape]:
    shape = shape_of(read_settings())
    try:
        yield shape
    finally:
        shape.close()


def _line(found: Mail, seal: Seal, *, show: bool) -> str:
    at = (found.sent_at or found.due_at).isoformat(timespec="seconds")
    told = f"{found.id}  {found.state:<9}  {found.attempts:>3}  {at}  {found.template} ({found.language})"
    return f"{told}  {_recipient(found, seal, show=show)}  {found.error or '-'}"


def _recipient(found: Mail, seal: Seal, *, show: bool) -> str:
    try:
        address = Letter.open(found.letter, seal).email
    except BrokenSeal:
        return "(sealed with another key)"
    return address if show else mask_address(address)
