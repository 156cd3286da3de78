"""`cardwork ledger`: whether the books balance."""

import sys

import click
import sqlalchemy as sa

from deploy.compose import shape_of
from services.statements.trial_balance import differences, totals
from shared.money import in_major_units
from shared.settings import read_settings

_SERVICE = "statements"


@click.group()
def ledger() -> None:
    """Look after the ledger of accounts."""


@ledger.command()
def check() -> None:
    """Prove that each currency sums to zero and that each balance is the sum of its entries.

    It reads every entry, and may run while others post. It ends with 1 where something is wrong, and names it.
    """
    shape = shape_of(read_settings())
    try:
        database = shape.database(_SERVICE)
        with database.write() as session:
            if database.is_postgresql:
                session.execute(sa.text("set transaction read only"))
                session.execute(sa.text("set local statement_timeout = 0"))
            found, wrong = totals(session), differences(session)
    finally:
        shape.close()
    for total in found:
        owed, rest = (in_major_units(amount, total.currency) for amount in (total.owed, total.balance))
        click.echo(f"{total.currency}  {total.accounts} ledger accounts, {owed:f} owed, together {rest:f}")
    for one in wrong:
        click.echo(
            f"{one.ledger_account}: its balance is {one.balance}, its entries say {one.entries}", err=True
        )
    if wrong or any(total.balance for total in found):
        click.echo("The books do not balance.", err=True)
        sys.exit(1)
    click.echo("The books balance.")
