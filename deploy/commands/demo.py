"""`cardwork demo`: the demonstration programme, loaded once, and the people who can sign in to it."""

import json
from functools import partial
from typing import Any

import click
from tqdm import tqdm

from deploy.compose import Shape, shape_of
from deploy.demonstration import MOST_ACCOUNTS, Summary, demo_users, load_demonstration
from shared.settings import read_settings

__all__ = ["demo", "demo_users", "load_demonstration"]


@click.command()
@click.option(
    "--accounts",
    type=click.IntRange(1, MOST_ACCOUNTS),
    default=2000,
    show_default=True,
    metavar="N",
    help="How many card accounts to load; only the first load heeds it.",
)
@click.option(
    "--list-users",
    is_flag=True,
    help="Load nothing; print the users as JSON: user_id, password and role of each.",
)
def demo(accounts: int, list_users: bool) -> None:
    """Load three companies with their card accounts and users, all of them made up.

    What is there already stays as it is. The users' passwords are known to everybody: never load them beside real
    accounts.
    """
    if list_users:
        click.echo(json.dumps(demo_users(), indent=2))
        return
    shape = shape_of(read_settings())
    try:
        if shape.settings.embedded:
            for service in ("accounts", "identity", "statements", "tracking"):
                shape.migrate(service)
        click.echo(_told(_load(shape, accounts)))
    finally:
        shape.close()


def _load(shape: Shape, accounts: int) -> Summary:
    bar: tqdm[Any] = tqdm(total=accounts, unit=" accounts", unit_scale=True, leave=False, disable=None)
    with bar:
        return load_demonstration(shape, accounts, partial(_advance, bar))


def _advance(bar: "tqdm[Any]", more: int) -> None:
    bar.update(more)
    if bar.n >= (bar.total or 0):
        bar.set_description("finishing")  # indexes of a million rows take their time


def _told(summary: Summary) -> str:
    if not summary.changed:
        return "The demonstration programme is loaded already; nothing was changed."
    return (
        f"Loaded {summary.control_accounts} control accounts, {summary.accounts} card accounts and {summary.users} users."
        " `cardwork demo --list-users` shows who can sign in."
    )
