"""Opening a card account: its number is never one that was given out (ACC-06)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.keys import make_keys
from services.accounts.handlers import opening
from services.accounts.issuer import Plastic
from services.accounts.model import Card, ControlAccount
from services.accounts.service import service
from shared.actor import EVERYWHERE, Actor, Party, Signer, Verifier
from shared.contracts import load_all
from shared.contracts.accounts import OpenAccount, Product
from shared.contracts.structure import Level
from shared.database import Database, sqlite_url
from shared.ids import new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.settings import Settings
from shared.testing.databases import Database as PostgresDatabase

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASIC = "100000000000003"
KEYS: dict[str, Any] = make_keys()


class StubbornIssuer:
    """A processor that gives out one number twice before it finds another."""

    def __init__(self) -> None:
        self.numbers = ["9999000000000018", "9999000000000018", "9999000000000018", "9999000000000026"]

    def make_card(self, today: date) -> Plastic:
        """Return the next number."""
        return Plastic(self.numbers.pop(0), today, today)


@pytest.fixture(params=["sqlite", "postgresql"])
def dispatcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Dispatcher]:
    """A dispatcher of accounts, with one basic control account."""
    load_all()
    url = sqlite_url(tmp_path / "accounts.sqlite")
    if request.param == "postgresql":
        fresh: PostgresDatabase = request.getfixturevalue("database")
        url = fresh.url
    upgrade(service, url)
    database = Database(url)
    node = {"name": "Basic", "company_name": "Company", "company_number": "1"}
    with database.write() as session:
        session.add(ControlAccount(number=BASIC, level=Level.BASIC, path=BASIC, **node))
    yield Dispatcher(
        service,
        database,
        settings=Settings(**KEYS),
        verifier=Verifier(KEYS["assertion_public_key"], "accounts"),
        clock=lambda: NOW,
        metrics=Metrics(),
    )
    database.close()


def opening_command() -> Delivery:
    """Return a signed command as the broker would deliver it."""
    actor = Actor(user_id="op", party=Party.ISSUER, grants={"accounts.open": frozenset({EVERYWHERE})})
    id_ = new_message_id()
    envelope = Envelope(
        id=id_,
        key=OpenAccount.contract.key,
        source="gateway",
        time=NOW,
        data=OpenAccount(
            control_account=BASIC, product=Product.CORPORATE_GOLD, first_name="Ada", last_name="Lovelace"
        ),
        correlation_id=id_,
        actor="op",
        assertion=Signer(KEYS["assertion_private_key"]).sign(actor, ["accounts"], NOW),
    )
    return Delivery(queue="accounts.commands", body=encode(envelope), tag=1, message_id=id_)


def test_a_number_that_was_given_out_is_drawn_anew(
    dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unique index notices, the command is tried again, and nobody hears of it."""
    monkeypatch.setattr(opening, "issuer", StubbornIssuer())

    outcomes = [
        decode(publication.body).key
        for delivery in (opening_command(), opening_command())
        for publication in dispatcher.process([delivery]).publications
    ]

    assert outcomes.count("outcomes.command-completed.v1") == 2
    assert outcomes.count("accounts.account-opened.v1") == 2
    assert len(outcomes) == 4
    with dispatcher._database.read() as session:  # what an outsider cannot see: the cards themselves
        assert session.scalar(sa.select(sa.func.count(Card.number_hash.distinct()))) == 2
