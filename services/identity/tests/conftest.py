"""Identity behind its HTTP interface, on SQLite and on PostgreSQL, with a clock that tests move."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from argon2 import Parameters, PasswordHasher
from argon2.profiles import CHEAPEST
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Flask
from werkzeug.test import TestResponse

from services.identity import demonstration, passwords
from services.identity.enrolment import enrol_user
from services.identity.first_sign_in import issue_access_code
from services.identity.model import Base, User, outbox
from services.identity.service import service
from shared.actor import Actor, Party, Signer, Verifier
from shared.contracts.base import Message
from shared.database import Database
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode
from shared.observability import Metrics
from shared.sealing import new_seal_key
from shared.service import Running, Service
from shared.settings import Settings
from shared.web.app import service_app

GATEWAY = Actor(user_id="gateway", party=Party.SYSTEM)
PASSWORD = "correct horse battery staple"
PHRASE = "The heron stands on one leg"
E = TypeVar("E", bound=Message)
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


@pytest.fixture(scope="session")
def service_under_test() -> Service:
    return service


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Parameters:
    """Hash at the lowest price; what the price is by default has a test of its own."""
    monkeypatch.setattr(passwords, "PARAMETERS", CHEAPEST)
    return CHEAPEST


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parameters of every hash that is verified, which is what takes the time."""
    seen: list[str] = []
    verify = PasswordHasher.verify

    def note(self: PasswordHasher, given: str, password: str) -> bool:
        seen.append(given.rsplit("$", 2)[0])
        return verify(self, given, password)

    monkeypatch.setattr(PasswordHasher, "verify", note)
    return seen


@dataclass
class Identity:
    """The service as the gateway sees it; ``now`` is the time that it thinks it is."""

    app: Flask
    store: Database
    signer: Signer
    verifier: Verifier
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

    def invite(self, phrase: str = PHRASE, **changes: Any) -> str:
        """Enrol a user who has not signed in yet, and return the access code."""
        facts = {**ANNA, "name": "Nina New", "email": "nina@company.example", "vouched_for": True, **changes}
        given = {name: value for name, value in facts.items() if name not in ("user_id", "password", "party")}
        with self.store.write() as session:
            user = enrol_user(session, **given, party=Party(facts["party"]), now=self.now)
            return issue_access_code(session, user, phrase=phrase, now=self.now, settings=self.settings)

    def me(self, method: str, path: str, token: str, body: Any = None) -> TestResponse:
        """Ask as the gateway does for somebody signed in."""
        (session,) = self.check(token)
        assert session is not None
        return self.call(method, f"/me{path}", body, actor=self.actor(session))

    def actor(self, session: dict[str, Any]) -> Actor:
        party = Party(session["party"])
        return Actor(user_id=session["user_id"], party=party, session_id=session["session_id"])

    def worker(self) -> Dispatcher:
        """Return a worker that has just come up."""
        return Dispatcher(
            service,
            self.store,
            settings=self.settings,
            verifier=self.verifier,
            clock=lambda: self.now,
            metrics=Metrics(),
        )

    def run_jobs(self) -> None:
        """Do everything that the clock starts."""
        self.worker().run_jobs()

    def events(self, kind: type[E]) -> list[E]:
        """Return what was published of one kind, the oldest first."""
        return [message for message in map(Envelope.message, self.envelopes()) if isinstance(message, kind)]

    def envelopes(self) -> list[Envelope]:
        with self.store.read() as session:
            return [decode(body) for body in session.scalars(sa.select(outbox.c.body).order_by(outbox.c.id))]

    def user(self, user_id: str = "anna") -> User:
        with self.store.read() as session:
            return session.scalars(sa.select(User).where(User.user_id == user_id)).one()

    def everything(self) -> str:
        """All that stands in the tables, to look for what must not."""
        with self.store.read() as session:
            return "".join(
                str(row) for table in Base.metadata.sorted_tables for row in session.execute(sa.select(table))
            )

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
    made = Identity(app, store, Signer(private), Verifier(public, "identity"), running.settings)
    made.enrol()
    yield made
    store.close()
