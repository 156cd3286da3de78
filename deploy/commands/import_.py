"""`cardwork import`: transactions and payments out of files, by layouts that an operator writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from tqdm import tqdm

from deploy.compose import Shape, shape_of
from services.statements.imports.layout import Layout, Subject
from services.statements.imports.layout_file import BadLayout, find_layout, known_layouts
from services.statements.imports.mending import refused_rows
from services.statements.imports.queries import import_row_of
from services.statements.imports.submitting import submit
from services.statements.imports.taking_in import digest_of, find_file, take_in
from shared.contracts.imports import ImportRow, ImportState
from shared.service import Running
from shared.settings import read_settings

_SERVICE = "statements"
_OPERATOR = "operator"
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


_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_LAYOUT = click.option("--layout", required=True, help="The name of a layout, or the path of its TOML file.")
_BELOW = click.option("--below", metavar="NUMBER", help="Look for accounts below this control account only.")
_MENDED = click.option("--mended", is_flag=True, help="The file is one of refused rows, mended.")
_CHECK = click.option("--check", is_flag=True, help="Say what is wrong with the file, and post nothing.")
_REFUSED = click.option(
    "--refused", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the refused rows."
)
_SKIP_REFUSED = click.option("--skip-refused", is_flag=True, help="Post the other rows though some are refused.")
_SKIP_DIFFERENCES = click.option("--skip-differences", is_flag=True, help="Post though control totals differ.")


@import_.command()
@_FILE
@_LAYOUT
@_BELOW
@_MENDED
@_CHECK
@_REFUSED
@_SKIP_REFUSED
@_SKIP_DIFFERENCES
def transactions(
    file: Path,
    layout: str,
    below: str | None,
    refused: Path | None,
    *,
    mended: bool,
    check: bool,
    skip_refused: bool,
    skip_differences: bool,
) -> None:
    """Import FILE, whose rows are transactions. One that broke off goes on; one that was posted before posts nothing."""
    _import(Subject.TRANSACTIONS, file, layout, below, refused, mended, check, skip_refused, skip_differences)


@import_.command()
@_FILE
@_LAYOUT
@_BELOW
@_MENDED
@_CHECK
@_REFUSED
@_SKIP_REFUSED
@_SKIP_DIFFERENCES
def payments(
    file: Path,
    layout: str,
    below: str | None,
    refused: Path | None,
    *,
    mended: bool,
    check: bool,
    skip_refused: bool,
    skip_differences: bool,
) -> None:
    """Import FILE, whose rows are payments. One that broke off goes on; one that was posted before posts nothing."""
    _import(Subject.PAYMENTS, file, layout, below, refused, mended, check, skip_refused, skip_differences)


def _import(
    subject: Subject,
    file: Path,
    layout_name: str,
    below: str | None,
    refused: Path | None,
    mended: bool,
    check: bool,
    skip_refused: bool,
    skip_differences: bool,
) -> None:
    with _statements() as shape:
        layout = _layout(layout_name, shape.settings.layouts_directory)
        if layout.subject is not subject:
            raise click.ClickException(f"The rows of {layout.name} are {layout.subject}, not {subject}.")
        import_id = _take_in(file, layout, below, shape, mended=mended)
        found = _look(import_id, shape)
        if refused and found.refused:
            _write(import_id, refused, shape)
        if found.state is ImportState.CHECKED:
            _say(found, shape)
            kept_back = (found.refused and not skip_refused) or (found.differing and not skip_differences)
            if check or kept_back:
                click.echo("Nothing is posted." if check else _HOW_TO_GO_ON)
                raise SystemExit(0 if check else 1)
        _post(found, shape)


_HOW_TO_GO_ON = (
    "Nothing is posted. Mend the file; or post it as it is with --skip-refused or --skip-differences, write the refused "
    "rows with --refused and load them, mended, with --mended."
)


def _take_in(file: Path, layout: Layout, below: str | None, shape: Shape, *, mended: bool) -> str:
    """Return the import of a file: a new one, or the one that broke off."""
    running = Running(database=shape.database(_SERVICE), settings=shape.settings, clock=shape.clock)
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
            watched, layout, running, uploaded_by=_OPERATOR, file_name=file.name, control_account=below, mended=mended
        )


def _look(import_id: str, shape: Shape) -> ImportRow:
    with shape.database(_SERVICE).read() as session:
        return import_row_of(import_id, session)


def _say(found: ImportRow, shape: Shape) -> None:
    click.echo(f"{found.import_id}: {found.rows} rows, {found.refused} refused, {found.passed_over} lines passed over")
    with shape.database(_SERVICE).read() as session:
        rows = refused_rows(found.import_id, session)
        next(rows)
        for row in next(rows, "").splitlines()[:_SHOWN]:
            click.echo(f"  refused: line {row}")
    if found.control_totals:
        click.echo(f"{found.control_totals} control totals, {found.differing} differ")
    for each in found.differences[:_SHOWN]:
        currency = f" {each.currency}" if each.currency else ""
        click.echo(f"  line {each.line}: {each.measure} is stated as {each.stated}{currency}, the rows come to {each.found}")


def _post(found: ImportRow, shape: Shape) -> None:
    if found.state is ImportState.CHECKED:
        with shape.database(_SERVICE).write() as session:
            submit(session, found.import_id, shape.clock(), actor=_OPERATOR)
    worker = shape.dispatcher(_SERVICE)
    with tqdm(total=found.rows - found.refused, unit="row", desc="post") as bar:
        while found.state is not ImportState.POSTED:
            worker.run_jobs()
            found = _look(found.import_id, shape)
            bar.update(found.posted + found.seen - bar.n)
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
    shape = shape_of(read_settings())
    try:
        if shape.settings.embedded:
            shape.migrate(_SERVICE)
        yield shape
    finally:
        shape.close()
