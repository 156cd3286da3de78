"""`cardwork enrol-operator`: the first person of a new installation, who then enrols companies and users."""

import sys
from datetime import timedelta

import click

from deploy.compose import shape_of
from services.identity.first_operator import enrol_operator as enrol
from shared.contracts.identity import EnrolUser
from shared.contracts.schema import schema_of
from shared.contracts.types import Language
from shared.settings import read_settings

_FIELDS = schema_of(EnrolUser)


@click.command()
@click.option("--name", required=True, help="The operator's name.")
@click.option("--email", required=True, help="The operator's address.")
@click.option(
    "--language",
    type=click.Choice([language.value for language in Language]),
    default="en",
    show_default=True,
)
@click.option("--another", is_flag=True, help="Enrol one more, though there is one already.")
def enrol_operator(name: str, email: str, language: str, *, another: bool) -> None:
    """Enrol an operator of the issuer and print the access code, this once.

    It asks for a secret phrase, which the operator has to give together with the code; without a terminal, the phrase is
    the first line of standard input. Neither stands in an environment or on a command line, where others could see it.
    """
    phrase = _phrase()
    _check(name=name, email=email, secret_phrase=phrase)
    shape = shape_of(read_settings())
    try:
        if shape.settings.embedded:
            shape.migrate("identity")
        now = shape.clock()
        with shape.database("identity").write() as session:
            code = enrol(
                session,
                name=name,
                email=email,
                phrase=phrase,
                language=Language(language),
                now=now,
                settings=shape.settings,
                another=another,
            )
    finally:
        shape.close()
    until = now + timedelta(days=shape.settings.access_code_days)
    click.echo(f"access code: {code}")
    click.echo(
        f"Good once, until {until:%Y-%m-%d %H:%M} UTC, with the secret phrase, at {shape.settings.portal_url}",
        err=True,
    )


def _phrase() -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt("Secret phrase", hide_input=True, confirmation_prompt=True)
        return asked
    return sys.stdin.readline().strip()


def _check(**given: str) -> None:
    """Refuse what the command that enrols users would refuse too."""
    faults = _FIELDS(partial=True).validate(given)
    if faults:
        said = "; ".join(f"{field}: {' '.join(what)}" for field, what in faults.items())
        raise click.ClickException(said)
