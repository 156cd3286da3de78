"""Keeps the part of each service's README that derives from its declaration: commands, events, reads, jobs.

``python -m deploy.service_readmes`` brings what stands between the two marker comments up to date; a test compares.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from inspect import getdoc
from pathlib import Path
from typing import Any

import click

import services
from deploy.documents.openapi import spoken
from deploy.documents.routes import PREFIX
from deploy.registry import find_services
from shared.contracts.base import Contract, catalogue
from shared.service import Service

BEGIN = "<!-- begin: derived from the declarations by `python -m deploy.service_readmes` -->"
END = "<!-- end -->"
ROOT = Path(services.__path__[0])

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


class NoMarkers(Exception):
    """A README has no place for the derived part."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} needs these two lines, in this order:\n{BEGIN}\n{END}")


def write_readmes() -> list[Path]:
    """Bring every README up to date and return those that changed; raises NoMarkers."""
    changed = []
    for file, derive in readmes().items():
        text = file.read_text(encoding="utf-8")
        renewed = renew(text, derive(), file)
        if renewed != text:
            file.write_text(renewed, encoding="utf-8")
            changed.append(file)
    return changed


def readmes() -> dict[Path, Callable[[], str]]:
    """Return the READMEs, each with what makes its derived part; a service has to have one."""
    found = find_services()
    made: dict[Path, Callable[[], str]] = {
        ROOT / name / "README.md": lambda service=service: of_service(service)  # type: ignore[misc]
        for name, service in found.items()
    }
    return {**made, ROOT / "gateway" / "README.md": lambda: of_gateway(found)}


def renew(text: str, derived: str, file: Path) -> str:
    """Return a README with another derived part; raises NoMarkers where it has no place for it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise NoMarkers(file)
    return f"{before}{BEGIN}\n\n{derived}\n{END}{after}"


def of_service(service: Service) -> str:
    """Return what a service is asked, says and answers, in tables."""
    parts = [
        ("Commands", _commands([cls.contract for cls in service.handlers])),
        ("Events", _events(catalogue.events(service.name))),
        ("Reacts to", _events([cls.contract for cls in service.reactions])),
        ("Reads", _reads([cls.contract for cls in service.queries])),
        ("Jobs", _jobs(service)),
    ]
    sections = [f"### {title}\n\n{_table(table)}" for title, table in parts if table[1]]
    if service.observe:
        sections.insert(
            0, f"### Observes\n\nEvery command of every service, and every outcome. {_said(service.observe)}"
        )
    return "\n\n".join(sections or ["No message concerns it yet."]) + "\n"


def of_gateway(found: Mapping[str, Service]) -> str:
    """Return the routes that the gateway makes from the contracts, by the service that answers."""
    return "\n\n".join(f"### For {name}\n\n{_table(table)}" for name, table in _routes(found)) + "\n"


def _routes(found: Mapping[str, Service]) -> Iterator[tuple[str, Table]]:
    for name in found:
        contracts = [*catalogue.commands(name), *catalogue.reads(name)]
        if contracts:
            rows = [
                [f"`{_method(c)} {PREFIX}{c.route}`", f"`{c.name}`", str(c.kind), _function(c)]
                for c in contracts
            ]
            yield name, (("route", "message", "kind", "function"), rows)


def _commands(contracts: Sequence[Contract]) -> Table:
    rows = [
        [f"`{c.name}`", f"`POST {c.route}`", _function(c), spoken(c.service_time), c.summary]
        for c in contracts
        if c.service_time
    ]
    return ("command", "route", "function", "service time", ""), rows


def _events(contracts: Sequence[Contract]) -> Table:
    return ("event", ""), [[f"`{c.name}`", c.summary] for c in contracts]


def _reads(contracts: Sequence[Contract]) -> Table:
    rows = [
        [f"`{c.name}`", f"`{_method(c)} {c.route}`", _function(c), _answer(c), c.summary] for c in contracts
    ]
    return ("read", "route", "function", "answers with", ""), rows


def _jobs(service: Service) -> Table:
    return ("job", "every", ""), [
        [f"`{job.name}`", _interval(job.every), _said(job.run)] for job in service.jobs
    ]


def _interval(time: timedelta) -> str:
    return "second" if time == timedelta(seconds=1) else spoken(time)


def _method(contract: Contract) -> str:
    return "POST" if contract.service_time or contract.sends_body else "GET"


def _function(contract: Contract) -> str:
    named = f"`{contract.function}`" if contract.function else "any signed-in user"
    return f"{named}, or as the holder" if contract.holder else named


def _answer(contract: Contract) -> str:
    name = f"`{contract.returns.__name__}`" if contract.returns else ""
    return f"pages of {name}" if contract.listing else name


def _said(function: Callable[..., Any]) -> str:
    """Return the first sentence of what a function says of itself."""
    return (getdoc(function) or "").split("\n\n")[0].replace("\n", " ")


def _table(table: Table) -> str:
    heads, rows = table
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    for written in write_readmes():
        click.echo(written.relative_to(ROOT.parent))
