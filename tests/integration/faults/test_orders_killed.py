"""Whoever carries out what the issuer is to do is killed again and again, while the issuer comes and goes."""

from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from services.accounts.model import Card, CardAccount, Order
from shared.clock import utc_now
from shared.database import Database
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation
from tests.integration.faults.evidence import tracked

ACCOUNTS = 12


def test_killed_while_accounts_are_opened(either: Installation) -> None:
    """Each request ends once, with one account that has one card."""
    issuer = either.portal("issuer_operator")
    parent = either.portal("principal_programme_administrator").get("/control-accounts", level="basic")
    node = parent["data"][0]["number"]
    either.issuer_away.touch()
    asked = []
    for number in range(ACCOUNTS):
        body = {
            "control_account": node, "product": "corporate_gold", "first_name": "Kim", "last_name": f"Killed {number}",
        }  # fmt: skip
        asked.append(issuer.send("/accounts", body).json()["command_id"])
    eventually(lambda: len(orders(either, asked)) == ACCOUNTS, describe="every order is written down")

    victim = either.processes["accounts-worker" if isinstance(either, DistributedInstallation) else "run"]
    either.issuer_away.unlink()
    for _ in range(4):
        fall_due(either)
        eventually(partial(changed, either, asked, orders(either, asked)), describe="one more is done")
        victim.kill()
        victim.start()
        either.wait_until_ready()

    def all_done() -> bool:
        fall_due(either)  # whom the killed ones had taken up
        return not orders(either, asked)

    eventually(all_done, timeout=60, describe="nothing is left to do for the issuer")
    requests = {command: issuer.settled(command) for command in asked}
    assert {request["status"] for request in requests.values()} == {"completed"}
    steps = {known.steps for known in tracked(either, asked).values()}
    assert steps == {("received", "processing", "completed")}
    accounts = [request["result"]["account_id"] for request in requests.values()]
    with store(either).read() as session:
        opened = session.scalars(
            sa.select(CardAccount.id).where(CardAccount.last_name.like("Killed %"))
        ).all()
        cards = session.scalars(sa.select(Card.account_id).where(Card.account_id.in_(accounts))).all()
    assert sorted(opened) == sorted(accounts) == sorted(cards)


def store(installation: Installation) -> Database:
    """Return the database of accounts."""
    return Database(installation.database_url_of("accounts"))


def orders(installation: Installation, asked: list[str]) -> list[str]:
    """Return what is still to be done for these commands; others may have left something of theirs."""
    with store(installation).read() as session:
        return list(
            session.scalars(sa.select(Order.id).where(Order.command_id.in_(asked)).order_by(Order.id))
        )


def changed(installation: Installation, asked: list[str], before: list[str]) -> bool:
    """Return whether something was done, or nothing is left to be done."""
    return orders(installation, asked) != before or not before


def fall_due(installation: Installation) -> None:
    """Make it some minutes since what is left was tried."""
    with store(installation).write() as session:
        long_ago = utc_now() - timedelta(minutes=10)
        session.execute(sa.update(Order).values(due_at=long_ago))
