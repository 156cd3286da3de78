"""Identity behind its HTTP interface, on SQLite and on PostgreSQL, with a clock that tests move."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import Parameters
from argon2.profiles import CHEAPEST
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask
from werkzeug.test import TestResponse

from services.identity import demonstration, passwords
from services.identity.service import service
from shared.actor import Actor, Party, Signer, Verifier
from shared.database import Database, sqlite_url
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.sealing import new_seal_key
from shared.service import Running
from shared.settings import Settings
from shared.testing.databases import Postgres
from shared.web.app import service_app

GATEWAY = Actor(user_id="gateway", party=Party.SYSTEM)
PASSWORD = "correct horse battery staple"
ANNA: dict[str, Any] = {
    "user_id": "anna",
    "password": PASSWORD,
    "name": "Anna Administrator",
    "party": "client",
    "company": "C-1",
    "role": "programme_administrator",
    "control_accounts": ["100000000000001", "100000000000002"],
    "email": "anna@company.example",
    "phone": None,
    "language": "en",
}
COMPANY = {"number": "C-1", "name": "Company", "control_account": "100000000000000", "language": "en"}
MASTER = COMPANY["control_account"]
STRUCTURE = {MASTER: MASTER, **{n: f"{MASTER}/{n}" for n in ANNA["control_accounts"]}}


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Parameters:
    """Hash at the lowest price; what the price is by default has a test of its own."""
    monkeypatch.setattr(passwords, "PARAMETERS", CHEAPEST)
    return CHEAPEST


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "identity 100%.sqlite")
    else:
        yield request.getfixturevalue("database").url


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> Iterator[str]:
    """The name of a PostgreSQL database with identity's tables, to copy from."""
    with postgres.new_database() as migrated:
        upgrade(service, migrated.url)
        yield migrated.name


@pytest.fixture(params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind with identity's empty tables."""
    if request.param == "sqlite":
        file = sqlite_url(tmp_path / "identity.sqlite")
        upgrade(service, file)
        yield file
    else:
        template_name = request.getfixturevalue("template")
        with request.getfixturevalue("postgres").new_database(template_name) as copy:
            yield copy.url


@dataclass
class Identity:
    """The service as the gateway sees it; ``now`` is the time that it thinks it is."""

    app: Flask
    store: Database
    signer: Signer
    settings: Settings
    now: datetime = field(default=datetime(2026, 3, 2, 9, 0, tzinfo=UTC))

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)

    def enrol(self, **changes: Any) -> None:
        user = {**ANNA, **changes}
        demonstration.load(self.store, [user], self.now, companies=[COMPANY], structure=STRUCTURE)

    def call(self, method: str, path: str, body: Any = None, *, actor: Actor = GATEWAY) -> TestResponse:
        assertion = self.signer.sign(actor, ["identity"], self.now)
        with self.app.test_client() as client:
            return client.open(
                path, method=method, json=body, headers={"Authorization": f"Bearer {assertion}"}
            )

    def sign_in(self, user_id: str = "anna", password: str = PASSWORD, **more: Any) -> TestResponse:
        return self.call("POST", "/sessions", {"user_id": user_id, "password": password, **more})

    def token(self, user_id: str = "anna") -> str:
        answer = self.sign_in(user_id)
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["token"])

    def check(self, *tokens: str) -> list[dict[str, Any] | None]:
        answer = self.call("POST", "/sessions/check", {"tokens": list(tokens)})
        assert answer.status_code == 200, answer.text
        return list(answer.get_json()["sessions"])


@pytest.fixture
def identity(tables: str) -> Iterator[Identity]:
    """Identity with one user, Anna."""
    store = Database(tables, pool_size=10)
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    running = Running(database=store, settings=Settings(sealing_key=new_seal_key()), clock=lambda: made.now)
    app = service_app(service, running, verifier=Verifier(public, "identity"), metrics=Metrics(), checks={})
    made = Identity(app, store, Signer(private), running.settings)
    made.enrol()
    yield made
    store.close()
