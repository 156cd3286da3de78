"""`cardwork import`: transactions and payments out of files, by layouts that an operator writes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from deploy.compose import Shape, shape_of
from services.statements.imports.layout import Layout, Subject
from services.statements.imports.layout_file import find_layout, known_layouts
from services.statements.imports.mending import refused_rows
from services.statements.imports.queries import import_row_of
from services.statements.imports.submitting import submit
from services.statements.imports.taking_in import digest_of, find_file, take_in
from services.statements.layout_files import BadLayout
from shared.contracts.imports import ImportRow, ImportState
from shared.observability import set_up_logging
from shared.service import Running
from shared.settings import read_settings

_SERVICE = "statements"
_OPERATOR = "operator"
_PATIENCE_SECONDS = 60
_SHOWN = 10


@click.group()
def import_() -> None:
    """Import files of transactions or payments; see docs/guide/imports.md for how a layout is written."""


@import_.command()
def layouts() -> None:
    """List the layouts that there are: name, what its rows are, title."""
    own = read_settings().layouts_directory
    for name in sorted(known_layouts(own)):
        layout = _layout(name, own)
        click.echo(f"{name:<20}  {layout.subject:<12}  {layout.title}")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is given with a file."""

    file: Path
    layout: str
    below: str | None
    mended: bool
    check: bool
    refused: Path | None
    skip_refused: bool
    skip_differences: bool


_PATH = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("--layout", required=True, help="The name of a layout, or the path of its TOML file."),
    click.option("--below", metavar="NUMBER", help="Look for accounts below this control account only."),
    click.option("--mended", is_flag=True, help="The file is one of refused rows, mended."),
    click.option("--check", is_flag=True, help="Say what is wrong with the file, and post nothing."),
    click.option("--refused", type=_PATH, help="Where to write the refused rows, to be mended."),
    click.option("--skip-refused", is_flag=True, help="Post the other rows though some are refused."),
    click.option("--skip-differences", is_flag=True, help="Post though control totals differ."),
)


def _word(subject: Subject) -> click.Command:
    def run(**asked: Any) -> None:
        _import(subject, _Asked(**asked))

    run.__doc__ = f"""Import FILE, whose rows are {subject}.

    A file that broke off goes on where it did; one that was posted before posts nothing.
    """
    for option in reversed(_OPTIONS):
        run = option(run)
    return click.command(subject.value)(run)


for _subject in Subject:
    import_.add_command(_word(_subject))


def _import(subject: Subject, asked: _Asked) -> None:
    with _statements() as shape:
        layout = _layout(asked.layout, shape.settings.layouts_directory)
        if layout.subject is not subject:
            raise click.ClickException(f"The rows of {layout.name} are {layout.subject}, not {subject}.")
        found = _look(_take_in(layout, asked, shape), shape)
        if asked.refused and found.refused:
            _write(found.import_id, asked.refused, shape)
        if found.state is ImportState.CHECKED:
            _say(found, shape)
            if asked.check:
                click.echo("Nothing is posted.")
                return
            if (found.refused and not asked.skip_refused) or (found.differing and not asked.skip_differences):
                raise click.ClickException(_HOW_TO_GO_ON)
        _post(found, shape)


_HOW_TO_GO_ON = (
    "Nothing is posted. Mend the file; or post it as it is with --skip-refused or --skip-differences, write the refused "
    "rows with --refused and load them, mended, with --mended."
)


def _take_in(layout: Layout, asked: _Asked, shape: Shape) -> str:
    """Return the import of a file: a new one, or the one that broke off."""
    running = Running(database=shape.database(_SERVICE), settings=shape.settings, clock=shape.clock)
    file = asked.file
    with file.open("rb") as stream:
        broken_off = find_file(digest_of(stream), running)
    if broken_off:
        click.echo(f"{broken_off}: goes on where it broke off")
        return broken_off
    with (
        file.open("rb") as stream,
        tqdm.wrapattr(stream, "read", total=file.stat().st_size, desc="read") as watched,
    ):
        return take_in(
            watched, layout, running, uploaded_by=_OPERATOR, file_name=file.name, control_account=asked.below,
            mended=asked.mended,
        )  # fmt: skip


def _look(import_id: str, shape: Shape) -> ImportRow:
    with shape.database(_SERVICE).read() as session:
        return import_row_of(import_id, session)


def _say(found: ImportRow, shape: Shape) -> None:
    click.echo(
        f"{found.import_id}: {found.rows} rows, {found.refused} refused, {found.passed_over} lines passed over"
    )
    with shape.database(_SERVICE).read() as session:
        rows = refused_rows(found.import_id, session)
        next(rows)
        for row in next(rows, "").splitlines()[:_SHOWN]:
            click.echo(f"  refused: line {row}")
    if found.control_totals:
        click.echo(f"{found.control_totals} control totals, {found.differing} differ")
    for each in found.differences[:_SHOWN]:
        currency = f" {each.currency}" if each.currency else ""
        click.echo(
            f"  line {each.line}: {each.measure} is stated as {each.stated}{currency}, the rows come to {each.found}"
        )


def _post(found: ImportRow, shape: Shape) -> None:
    if found.state is ImportState.CHECKED:
        with shape.database(_SERVICE).write() as session:
            submit(session, found.import_id, shape.clock(), actor=_OPERATOR)
    worker = shape.dispatcher(_SERVICE)
    with tqdm(total=found.rows - found.refused, unit="row", desc="post") as bar:
        moved = time.monotonic()
        while found.state is not ImportState.POSTED:
            worker.run_jobs()
            found = _look(found.import_id, shape)
            if found.posted + found.seen > bar.n:
                bar.update(found.posted + found.seen - bar.n)
                moved = time.monotonic()
            elif time.monotonic() - moved > _PATIENCE_SECONDS:
                raise click.ClickException(
                    "The file does not get on; the log says why. Import it again to go on with it."
                )
    click.echo(
        f"{found.import_id}: {found.posted} posted, of these {found.suspended} in suspense; "
        f"{found.seen} seen before, {found.refused} refused"
    )


def _write(import_id: str, file: Path, shape: Shape) -> None:
    with shape.database(_SERVICE).read() as session, file.open("w", encoding="utf-8", newline="") as out:
        out.writelines(refused_rows(import_id, session))
    click.echo(f"The refused rows are in {file}.")


def _layout(name: str, own: Path) -> Layout:
    try:
        return find_layout(name, own)
    except BadLayout as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _statements() -> Iterator[Shape]:
    settings = read_settings()
    set_up_logging("warning", settings.log_format)
    shape = shape_of(settings)
    try:
        if settings.embedded:
            shape.migrate(_SERVICE)
        yield shape
    finally:
        shape.close()
