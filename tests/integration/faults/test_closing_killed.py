"""Whoever closes a billing cycle is killed in the middle of it, again and again: every account is closed once (STM-08)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.ledger import post
from services.statements.model import (
    card_account,
    control_account,
    ledger_account,
    ready_due,
    standing_due,
    statement,
)
from services.statements.rules import latest_closing
from shared.contracts.structure import DEFAULT_SETTINGS
from shared.database import Database, insert_rows
from shared.ids import new_ids
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation
from shared.testing.processes import cardwork
from tests.integration.test_structure import Firm

ACCOUNTS = 30_000  # some steps
PORTION = 10_000
AMOUNT = 7
TOLD = 3
KILLS = 3


@pytest.fixture
def store(either: Installation) -> Iterator[Database]:
    """The database of statements."""
    database = Database(either.database_url_of("statements"))
    yield database
    database.close()


def test_killed_in_the_middle_of_a_closing(either: Installation, store: Database) -> None:
    number = Firm(either.portal("issuer_operator")).sales
    eventually(lambda: is_known(number, store), describe="statements knows the control account")
    addresses = [f"holder{place}.{number}@example.org" for place in range(TOLD)]
    worker = either.processes["statements-worker" if isinstance(either, DistributedInstallation) else "run"]
    let_be_due(number, addresses, store)

    interrupted, done = 0, 0
    for _ in range(KILLS):
        eventually(partial(got_on, number, done, store), timeout=120, describe="the closing gets on")
        worker.kill()
        done = closed(number, store)
        interrupted += done < ACCOUNTS
        worker.start()
        if done == ACCOUNTS:
            break
    either.wait_until_ready()

    assert interrupted, "nobody was killed in the middle"
    eventually(lambda: is_through(number, store), timeout=120, describe="the control account is through")
    with store.read() as session:
        made = sa.select(sa.func.count(), sa.func.count(statement.c.ledger_account.distinct()))
        ours = statement.c.control_account == number
        assert tuple(session.execute(made.where(ours)).one()) == (ACCOUNTS, ACCOUNTS)
        amounts = sa.select(sa.func.min(statement.c.credits), sa.func.max(statement.c.credits)).where(ours)
        assert tuple(session.execute(amounts).one()) == (AMOUNT, AMOUNT)
        theirs = ledger_account.c.control_account == number
        cycles = sa.select(ledger_account.c.cycle).where(theirs).distinct()
        assert session.scalars(cycles).all() == [2]
    assert "The books balance." in cardwork("ledger", "check", environment=either.environment)
    eventually(lambda: nothing_left(store), timeout=120, describe="every holder was told of")
    for address in addresses:
        (mail,) = eventually(partial(either.mails, address), timeout=60, describe="the mail went out")
        assert "statement of" in mail["Subject"]


def let_be_due(number: str, addresses: list[str], store: Database) -> None:
    """Enter many card accounts, each with a credit, that were to be closed on the latest cycle day."""
    now = datetime.now(UTC)
    last = latest_closing(now.date(), DEFAULT_SETTINGS.billing_cycle_day) - timedelta(days=1)
    accounts = new_ids("acc", ACCOUNTS)
    with store.write() as session:
        for first in range(0, ACCOUNTS, PORTION):
            enter(accounts[first : first + PORTION], number, session, now)
        for account, address in zip(accounts, addresses, strict=False):
            given = sa.update(card_account).where(card_account.c.id == account).values(email=address)
            session.execute(given)
        # Accounts knows nothing of them, so there is nobody to tell how they stand.
        session.execute(
            sa.delete(standing_due).where(standing_due.c.account_id.between(accounts[0], accounts[-1]))
        )
        theirs = ledger_account.c.control_account == number
        session.execute(sa.update(ledger_account).where(theirs).values(closed_on=last))
        place = control_account.c.number == number
        session.execute(sa.update(control_account).where(place).values(closed_through=last))


def enter(accounts: list[str], number: str, session: orm.Session, now: datetime) -> None:
    """Enter card accounts, and give each a credit by a refund."""
    today = now.date()
    facts: dict[str, Any] = {
        "control_account": number, "product": "corporate_gold", "first_name": "Ida", "last_name": "Falk",
        "name_key": "falk ida", "embossed_name": "IDA FALK", "named": 1, "placed": 1, "coded": 1, "opened_on": today,
    }  # fmt: skip
    insert_rows(session, card_account, ["id", *facts], [[account, *facts.values()] for account in accounts])
    refund = {
        "control_account": number, "counter": "purchases:EUR", "kind": "refund", "amount": -AMOUNT, "currency": "EUR",
        "transacted_on": today, "posted_on": today, "source": "test",
    }  # fmt: skip
    rows = [
        {"id": id_, "account_id": account, "ledger_account": account, "source_key": account, **refund}
        for id_, account in zip(new_ids("txn", len(accounts)), accounts, strict=True)
    ]
    post(session, rows, now)


def is_known(number: str, store: Database) -> bool:
    with store.read() as session:
        return bool(session.scalar(sa.select(sa.exists().where(control_account.c.number == number))))


def is_through(number: str, store: Database) -> bool:
    """Return whether no account is left, and the control account says so."""
    latest = latest_closing(datetime.now(UTC).date(), DEFAULT_SETTINGS.billing_cycle_day)
    with store.read() as session:
        through = sa.select(control_account.c.closed_through).where(control_account.c.number == number)
        return session.scalar(through) == latest


def got_on(number: str, before: int, store: Database) -> bool:
    return closed(number, store) > before


def closed(number: str, store: Database) -> int:
    """Return how many accounts have been closed."""
    made = sa.select(sa.func.count()).select_from(statement).where(statement.c.control_account == number)
    with store.read() as session:
        return session.scalar(made) or 0


def nothing_left(store: Database) -> bool:
    with store.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(ready_due)) == 0
