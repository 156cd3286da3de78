"""A real PostgreSQL for tests, with a fresh database for each.

Taken in this order: the one that CARDWORK_TEST_DATABASE_URL names (its user must be allowed to create databases); a
container; the PostgreSQL programs of this machine. It writes as durably as in production (fsync and synchronous
commits stay on): what the fault tests prove would be worth nothing otherwise.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import LiteralString, Self

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from shared.testing.servers import (
    LOOPBACK,
    Container,
    Elsewhere,
    Lifecycle,
    NoServerError,
    find_program,
    free_port,
    hand_over,
    image_at_hand,
    last_lines,
    remove_orphans,
    unprivileged_user,
    wait_for_answer,
)

IMAGE = "postgres:17"
URL_VARIABLE = "CARDWORK_TEST_DATABASE_URL"

_USER = "cardwork"
_PASSWORD = "cardwork"
_SETTINGS = ("max_connections=300",)


def installed_program_folders() -> list[Path]:
    """Where PostgreSQL's programs lie off the PATH, the newest version first."""
    roots = (Path("/usr/lib/postgresql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt"))
    folders = [folder for root in roots for folder in root.glob("*/bin") if (folder / "initdb").exists()]
    return sorted(folders, key=lambda folder: _version_in(folder.parent.name), reverse=True)


def _version_in(name: str) -> int:
    return int("".join(character for character in name if character.isdigit()) or 0)


class Database:
    """A database of its own for one test; as a context manager it drops itself. ``url`` is SQLAlchemy's."""

    def __init__(self, server: "Postgres", name: str) -> None:
        self.name = name
        self.url = make_url(server.url).set(database=name).render_as_string(hide_password=False)
        self._server = server

    @property
    def conninfo(self) -> str:
        """The same address as psycopg and libpq take it."""
        return _libpq(self.url)

    def drop(self) -> None:
        """Remove it; connections to it are closed."""
        self._server.execute("drop database if exists {} with (force)", self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()


class Postgres:
    """A running server; ``url`` (postgresql+psycopg://) has an administrator's credentials."""

    def __init__(self, life: Lifecycle, *, url: str) -> None:
        self.url = url
        self._life = life

    @property
    def conninfo(self) -> str:
        """The same address as psycopg and libpq take it."""
        return _libpq(self.url)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._life.start()
        wait_for_answer(self._life, self._answers, server="PostgreSQL")

    def stop(self) -> None:
        """Stop it in good order, cutting its connections; skips the test if the server is not ours."""
        self._life.stop()

    def kill(self) -> None:
        """End it as a power cut would; skips the test if the server is not ours."""
        self._life.kill()

    def restart(self) -> None:
        """Stop and start it: same port, same data, every connection lost; skips the test if it is not ours."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good and leave nothing behind."""
        self._life.discard()

    def new_database(self, template: str | None = None) -> Database:
        """A fresh database, empty or a copy of the one named ``template``, to which nobody may be connected."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute("create database {} template {}", name, template or "template0")
        return Database(self, name)

    def execute(self, statement: LiteralString, *names: str) -> None:
        """Run a statement outside any transaction, as the administrator; each {} takes one of ``names``."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _answers(self) -> bool:
        self.execute("select 1")
        return True


class _Cluster:
    """PostgreSQL as processes of this machine, with all its files in one folder."""

    def __init__(self, programs: Path, *, port: int) -> None:
        self._programs = programs
        self._port = port
        self._user = unprivileged_user("postgres")
        self._folder = Path(tempfile.mkdtemp(prefix="cardwork-postgres-"))
        self._data = self._folder / "data"
        password_file = self._folder / "password"
        password_file.write_text(f"{_PASSWORD}\n")
        hand_over(self._folder, self._user)
        self._run(
            "initdb", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8",
            f"--username={_USER}", f"--pwfile={password_file}",
        )  # fmt: skip

    def start(self) -> None:
        settings = (f"listen_addresses={LOOPBACK}", f"unix_socket_directories={self._folder}", *_SETTINGS)
        options = " ".join([f"-p {self._port}", *(f"-c {setting}" for setting in settings)])
        self._run("pg_ctl", "start", "-w", "-l", str(self._folder / "output.log"), "-o", options)

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "fast")

    def kill(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def discard(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def last_words(self) -> str:
        return last_lines(self._folder / "output.log")

    def _run(self, program: str, *arguments: str) -> None:
        # pg_ctl hands its output on to the server, so that a pipe would stay open for as long as that lives.
        with (self._folder / "control.log").open("ab") as output:
            subprocess.run(
                [self._programs / program, f"--pgdata={self._data}", *arguments],
                check=True,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=self._user,
            )


def start_postgres(
    environ: Mapping[str, str] = os.environ, *, program_folders: Sequence[Path] | None = None
) -> Postgres:
    """A server that answers, from the first source that there is; the caller closes it.

    Raises `NoServerError` where there is none.
    """
    folders = installed_program_folders() if program_folders is None else program_folders
    server = _named(environ) or _contained() or _local(environ, folders)
    if server is None:
        raise NoServerError(
            f"Tests need PostgreSQL: start Docker (image {IMAGE}), install postgresql, or set {URL_VARIABLE}."
        )
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def _named(environ: Mapping[str, str]) -> Postgres | None:
    url = environ.get(URL_VARIABLE)
    if not url:
        return None
    with_driver = make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    return Postgres(Elsewhere(URL_VARIABLE), url=with_driver)


def _contained() -> Postgres | None:
    if not image_at_hand(IMAGE):
        return None
    remove_orphans()
    port = free_port()
    container = Container(
        IMAGE,
        environment={"POSTGRES_USER": _USER, "POSTGRES_PASSWORD": _PASSWORD},
        ports={5432: port},
        command=["postgres", *(part for setting in _SETTINGS for part in ("-c", setting))],
    )
    return _on_loopback(container, port)


def _local(environ: Mapping[str, str], folders: Sequence[Path]) -> Postgres | None:
    initdb = find_program("initdb", path=environ.get("PATH", ""), folders=folders)
    if initdb is None:
        return None
    port = free_port()
    return _on_loopback(_Cluster(initdb.parent, port=port), port)


def _on_loopback(life: Lifecycle, port: int) -> Postgres:
    return Postgres(life, url=f"postgresql+psycopg://{_USER}:{_PASSWORD}@{LOOPBACK}:{port}/postgres")


def _libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
