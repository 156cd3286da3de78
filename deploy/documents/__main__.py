"""Writes the documents in ``docs/`` anew after a contract was declared: ``python -m deploy.documents``."""

from pathlib import Path

import click

from deploy.documents.publishing import BreakingChange, write_documents
from deploy.registry import find_services

_DOCS = Path(__file__).parents[2] / "docs"


@click.command()
@click.option("--break-on-purpose", is_flag=True, help="Write even what breaks those who rely on it.")
def main(*, break_on_purpose: bool) -> None:
    """Bring the generated documents in docs/ up to date with the contracts and with the tables in the code."""
    try:
        changed = write_documents(_DOCS, find_services().values(), break_on_purpose=break_on_purpose)
    except BreakingChange as broken:
        advice = "Declare a new version of the message (version=2), or pass --break-on-purpose."
        raise click.ClickException(f"this would break those who rely on it:\n{broken}\n{advice}") from broken
    click.echo("\n".join(f"wrote {file}" for file in changed) or "nothing changed")


if __name__ == "__main__":
    main()
