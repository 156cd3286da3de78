"""From the purchase to the payment: an account's money in both shapes (STM-01, STM-08, ACC-07, ACC-19, ACC-21)."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pypdf
import pytest
import sqlalchemy as sa

from services.statements.model import control_account, ledger_account
from shared.database import Database
from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal
from shared.testing.processes import cardwork
from tests.integration.test_structure import Firm

PATIENCE_SECONDS = 60
LONG_AGO = timedelta(days=75)


@pytest.fixture
def issuer(installation: Installation) -> Portal:
    """An operator of the issuer."""
    return installation.portal("issuer_operator")


@pytest.fixture
def store(installation: Installation) -> Iterator[Database]:
    """The database of statements."""
    database = Database(installation.database_url_of("statements"))
    yield database
    database.close()


def test_what_is_spent_is_billed_grows_old_and_is_paid(
    installation: Installation, issuer: Portal, store: Database
) -> None:
    firm = Firm(issuer)
    address = f"ida.{firm.sales}@example.org"
    account = firm.account(email=address)
    today = datetime.now(UTC).date()
    eventually(lambda: summary(issuer, account), describe="statements knows the account")
    post(issuer, account, 80_00, today.isoformat())
    assert summary(issuer, account)["current_balance"] == 80_00
    (line,) = issuer.get(f"/accounts/{account}/transactions", view="unbilled")["data"]
    assert (line["merchant"], line["amount"]) == ("Grand Hôtel", {"amount": 80_00, "currency": "EUR"})

    as_if_last_closed(store, firm.sales, datetime.now(UTC).date() - LONG_AGO)
    eventually(
        lambda: found(issuer, firm, "past_due_30") == [account],
        timeout=PATIENCE_SECONDS,
        describe="the account is found among those that are late",
    )
    statements = issuer.get(f"/accounts/{account}/statements")["data"]
    assert [made["balance"] for made in statements] == [80_00] * len(statements)
    eventually(
        lambda: len(installation.mails(address)) >= len(statements),
        timeout=PATIENCE_SECONDS,
        describe="the holder was told of each statement",
    )
    told = [mail["Subject"] for mail in installation.mails(address)]
    assert len(told) == len(set(told)) == len(statements)
    assert all("statement of" in subject for subject in told)
    oldest = issuer.get(f"/statements/{statements[-1]['statement_id']}")
    assert (oldest["debits"], oldest["still_owed"]) == (80_00, 80_00)
    assert issuer.get("/dashboard", control_account=firm.master)["payment_status"]["past_due_30"] == 1
    paper = issuer.http.get(f"/statements/{oldest['statement_id']}.pdf", params={"language": "de"})
    assert paper.headers["Content-Type"] == "application/pdf"
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(paper.content)).pages)
    assert [
        word for word in ("Kontoauszug", "80,00", "Grand Hôtel", "Ida Falk", "Firm ") if word not in text
    ] == []

    payment = {"account_id": account, "amount": eur(80_00), "received_on": today.isoformat()}
    done(issuer.send("/payments", {"payments": [{**payment, "source_key": f"wire of {account}"}]}, wait=10))
    eventually(lambda: found(issuer, firm, "current") == [account], describe="the account is current again")
    (row,) = issuer.get("/accounts", control_account=firm.sales)["data"]
    assert row["balance"] == eur(0)


def test_what_is_posted_twice_counts_once(issuer: Portal) -> None:
    firm = Firm(issuer)
    account = firm.account()
    today = datetime.now(UTC).date().isoformat()
    eventually(lambda: summary(issuer, account), describe="statements knows the account")
    assert post(issuer, account, 500, today)["posted"] == 1
    assert post(issuer, account, 500, today)["seen"] == 1
    assert summary(issuer, account)["current_balance"] == 500


def test_the_books_balance(installation: Installation, issuer: Portal) -> None:
    """P2-11: an operator proves it while the system runs."""
    account = installation.new_account()
    post(issuer, account, 700, datetime.now(UTC).date().isoformat())
    assert "The books balance." in cardwork("ledger", "check", environment=installation.environment)


def test_only_the_issuer_posts(installation: Installation) -> None:
    administrator = installation.portal("principal_programme_administrator")
    account = installation.new_account()
    body = {"transactions": [transaction(account, 1, "2026-01-01")]}
    assert administrator.send("/transactions", body).status_code == 403
    assert summary(administrator, account)["account_id"] == account


def post(issuer: Portal, account: str, amount: int, day: str) -> Any:
    """Post a purchase, the same one each time."""
    return done(issuer.send("/transactions", {"transactions": [transaction(account, amount, day)]}, wait=10))


def transaction(account: str, amount: int, day: str) -> dict[str, Any]:
    return {
        "account_id": account,
        "kind": "purchase",
        "amount": eur(amount),
        "transacted_on": day,
        "source_key": f"purchase of {account}",
        "merchant": "Grand Hôtel",
    }


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def done(answer: Any) -> Any:
    """Return the result of a command that was carried out."""
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def summary(portal: Portal, account: str) -> Any:
    return portal.get(f"/accounts/{account}/summary")


def found(portal: Portal, firm: Firm, status: str) -> list[str]:
    """Return the accounts that a search among card accounts finds to stand so."""
    page = portal.get("/accounts", control_account=firm.sales, payment_status=status)
    return [row["account_id"] for row in page["data"]]


def as_if_last_closed(store: Database, number: str, day: Any) -> None:
    """Let a control account be one that closed on a day long ago, and was not looked after since."""
    with store.write() as session:
        session.execute(
            sa.update(ledger_account).where(ledger_account.c.control_account == number).values(closed_on=day)
        )
        session.execute(
            sa.update(control_account).where(control_account.c.number == number).values(closed_through=day)
        )
