"""A cardholder from enrolment to the own statement, and nobody else's card account ever (IDN-06, STM-04, STM-07)."""

import csv
import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import pypdf
import pytest

from shared.database import Database
from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal
from tests.integration.test_statements import as_if_last_closed, post
from tests.integration.test_users import Firm, enrolled_firm, text_of

PATIENCE_SECONDS = 60
LAST_MONTH = timedelta(days=40)


@dataclass
class Holder:
    """Somebody with card accounts of the own, signed in; ``user`` is the name in routes."""

    user: str
    email: str
    portal: Portal

    def own(self) -> list[str]:
        """Return the accounts that a search without criteria finds."""
        page = self.portal.get("/accounts")
        assert page["total"] == len(page["data"])
        return [row["account_id"] for row in page["data"]]

    def status(self, path: str, **criteria: Any) -> int:
        return self.portal.http.get(path, params=criteria).status_code


@pytest.fixture
def firm(installation: Installation) -> Firm:
    """A company of the test's own."""
    return enrolled_firm(installation)


@pytest.fixture
def store(installation: Installation) -> Iterator[Database]:
    """The database of statements."""
    database = Database(installation.database_url_of("statements"))
    yield database
    database.close()


def account(firm: Firm, last_name: str, email: str | None = None) -> str:
    """Open a card account at the company's branch, and return its id once statements knows it too."""
    body = {
        "control_account": firm.branch, "product": "corporate_gold", "first_name": "Hanne", "last_name": last_name,
        "email": email,
    }  # fmt: skip
    opened = str(done(firm.operator.send("/accounts", body, wait=10))["account_id"])
    eventually(
        lambda: firm.operator.http.get(f"/accounts/{opened}/summary").status_code == 200,
        describe="statements knows the account",
    )
    return opened


def holder(firm: Firm, *accounts: str) -> Holder:
    """Enrol a cardholder with these accounts, and have the person sign in."""
    newcomer = firm.enrol("cardholder", control_accounts=None, account_ids=list(accounts))
    return Holder(newcomer.user, newcomer.email, newcomer.come())


def done(answer: Any) -> Any:
    """Return the result of a command that was carried out."""
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def delivered(firm: Firm, administrator: Portal, option: str) -> None:
    """Have the administrator set the statement option of the branch."""
    path = f"/control-accounts/{firm.branch}/statement-delivery"
    done(administrator.send(path, {"option": option, "terms_accepted": True, "language": "fr"}, wait=10))


def test_a_holder_reads_all_of_the_own_account_and_nothing_of_anothers(firm: Firm, store: Database) -> None:
    """STM-07: profile, cards, summary, three views, statements in each form; IDN-06: the own account alone."""
    mine, others = account(firm, "Mine"), account(firm, "Other")
    day = (datetime.now(UTC).date() - LAST_MONTH).isoformat()
    for number, amount in ((mine, 12_34), (others, 56_78)):
        post(firm.operator, number, amount, day)
    as_if_last_closed(store, firm.branch, datetime.now(UTC).date() - LAST_MONTH)
    assert {one: closed(firm, one) for one in (mine, others)} == {mine: True, others: True}
    (theirs, *_) = firm.operator.get(f"/accounts/{others}/statements")["data"]
    hanne = holder(firm, mine)

    assert hanne.portal.get("/me")["own_accounts"] == [mine]
    assert hanne.own() == [mine]
    profile = hanne.portal.get(f"/accounts/{mine}")
    assert (profile["full_name"], profile["statement_delivery"]) == ("Hanne Mine", "paper_and_pdf")
    assert profile["last_requests"] == []
    (card,) = hanne.portal.get(f"/accounts/{mine}/cards")["data"]
    assert card["card_number"] == profile["card_number"]
    assert hanne.portal.get(f"/accounts/{mine}/summary")["current_balance"] == 12_34
    seen = {
        view: [line["amount"]["amount"] for line in transactions(hanne, mine, view)]
        for view in ("unbilled", "billed", "previous", "all")
    }
    assert sorted(seen.values()) == [[], [], [12_34], [12_34]], "in one of the three views, and among all"
    made = hanne.portal.get(f"/accounts/{mine}/statements")["data"][-1]
    assert (made["balance"], made["on_paper"]) == (12_34, True)
    assert hanne.portal.get(f"/statements/{made['statement_id']}")["debits"] == 12_34
    (line,) = hanne.portal.get(f"/statements/{made['statement_id']}/transactions")["data"]
    assert line["account_id"] == mine
    papers = {
        form: hanne.portal.http.get(f"/statements/{made['statement_id']}.{form}")
        for form in ("pdf", "csv", "xlsx")
    }
    assert {form: answer.status_code for form, answer in papers.items()} == dict.fromkeys(papers, 200)
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(papers["pdf"].content)).pages)
    assert "Hanne Mine" in text
    assert "Other" not in text
    (row,) = csv.DictReader(io.StringIO(papers["csv"].text))
    assert row["amount"] == "12.34"
    assert openpyxl.load_workbook(io.BytesIO(papers["xlsx"].content)).sheetnames

    for path in (
        f"/accounts/{others}",
        f"/accounts/{others}/cards",
        f"/accounts/{others}/summary",
        f"/accounts/{others}/transactions",
        f"/accounts/{others}/statements",
        f"/statements/{theirs['statement_id']}",
        f"/statements/{theirs['statement_id']}/transactions",
        *(f"/statements/{theirs['statement_id']}.{form}" for form in papers),
        "/accounts/acc_" + "0" * 26,
    ):
        assert hanne.status(path) == 404, path
    for path in (
        "/dashboard",
        "/transactions",
        f"/control-accounts/{firm.branch}",
        f"/accounts/{mine}/history",
    ):
        assert hanne.status(path) == 403, path
    assert hanne.status("/accounts", control_account=firm.branch) == 404


def transactions(who: Holder, number: str, view: str) -> list[dict[str, Any]]:
    return list(who.portal.get(f"/accounts/{number}/transactions", view=view)["data"])


def test_own_accounts_change_with_effect_on_an_open_session(firm: Firm) -> None:
    """Given and taken by whoever enrols; the history says who and by which request."""
    first, second = account(firm, "First"), account(firm, "Second")
    hanne = holder(firm, first)
    helper = firm.installation.portal("issuer_help_desk")
    given = helper.send(f"/users/{hanne.user}/accounts", {"account_id": second}, wait=10)
    assert given.status_code == 200, given.text
    assert hanne.own() == [first, second]
    assert hanne.status(f"/accounts/{second}/summary") == 200

    done(helper.send(f"/users/{hanne.user}/accounts/take", {"account_id": first}, wait=10))
    assert hanne.own() == [second]
    for path in (f"/accounts/{first}", f"/accounts/{first}/summary", f"/accounts/{first}/statements"):
        assert hanne.status(path) == 404
    done(helper.send(f"/users/{hanne.user}/accounts/take", {"account_id": second}, wait=10))
    assert refusal(hanne.portal.http.get("/accounts")) == (403, "function_not_granted")

    lines = helper.get(f"/users/{hanne.user}/history")["data"]
    told = [line for line in lines if line["field"] == "own_accounts"]
    assert [(line["old"], line["new"]) for line in told] == [
        (second, None),
        (f"{first} {second}", second),
        (first, f"{first} {second}"),
        (None, first),
    ]
    assert told[2]["tracking_number"] == given.json()["tracking_number"]
    assert told[2]["actor"] == helper.user_id


def test_an_enrolment_names_accounts_of_the_company_that_are_nobodys(
    firm: Firm, installation: Installation
) -> None:
    mine, strange = account(firm, "Mine"), installation.new_account()
    holder(firm, mine)
    body = {
        "name": "Nora New", "email": f"{secrets.token_hex(5)}@{firm.number}.example", "role": "cardholder",
        "company": firm.number, "secret_phrase": "the keeper's green parrot",
    }  # fmt: skip
    for accounts, told in (
        (None, (422, "account_required")),
        ([mine], (422, "account_has_holder")),
        ([strange], (422, "wrong_company")),
        (["acc_" + "0" * 26], (404, "not_found")),
    ):
        answer = firm.operator.send("/users", {**body, "account_ids": accounts}, wait=10)
        assert refusal(answer) == told, accounts


def test_a_holder_keeps_an_account_that_is_transferred_within_the_company(firm: Firm) -> None:
    mine = account(firm, "Mine")
    hanne = holder(firm, mine)
    other = f"{firm.branch[:-1]}9"
    node = {
        "number": other,
        "name": "Other",
        "level": "basic",
        "parent": firm.operator.get(f"/control-accounts/{firm.branch}")["parent"],
    }
    done(firm.operator.send("/control-accounts", node, wait=10))
    done(firm.operator.send(f"/accounts/{mine}/transfer", {"control_account": other}, wait=10))
    assert hanne.portal.get(f"/accounts/{mine}")["control_account"] == other

    def place() -> set[str]:
        user = firm.operator.get(f"/users/{hanne.user}")
        return {one["control_account"] for one in user["entitlements"]}

    eventually(lambda: place() == {other}, describe="the holder lies where the account lies")
    assert hanne.own() == [mine]


def test_a_holder_chooses_how_statements_come_where_that_is_left_to_holders(
    firm: Firm, store: Database
) -> None:
    """STM-04: a tracked command with accepted terms; it governs letters and statements until the company decides again."""
    _, administrator = firm.user("principal_programme_administrator")
    address = f"{secrets.token_hex(5)}@{firm.number}.example"
    mine, others = account(firm, "Mine", address), account(firm, "Other")
    hanne, otto = holder(firm, mine), holder(firm, others)
    path, wanted = (
        f"/accounts/{mine}/statement-delivery",
        {"delivery": "pdf_only", "terms_accepted": True, "language": "fr"},
    )
    assert refusal(hanne.portal.send(path, wanted, wait=10)) == (422, "not_holders_choice")
    delivered(firm, administrator, "holder_choice")
    assert hanne.portal.get(f"/accounts/{mine}")["delivery_is_holders"]

    for other in (otto.portal, administrator):
        assert other.send(path, wanted).status_code in (403, 404)
    assert otto.portal.send(path, wanted).status_code == 404
    assert refusal(hanne.portal.send(path, {**wanted, "terms_accepted": False}, wait=10)) == (
        422,
        "terms_not_accepted",
    )
    answer = hanne.portal.send(path, wanted, wait=10)
    assert answer.status_code == 200, answer.text
    number = answer.json()["tracking_number"]
    profile = hanne.portal.get(f"/accounts/{mine}")
    assert (profile["statement_delivery"], profile["delivery_is_holders"]) == ("pdf_only", True)

    # The request is the holder's own to follow, and the administrator's; no other holder's.
    assert hanne.portal.get(f"/tracking/{number}")["status"] == "completed"
    own = hanne.portal.get("/tracking")["data"]
    assert {row["type"] for row in own} == {"accounts.choose-statement-delivery"}
    assert number in [row["tracking_number"] for row in own]
    assert number in [row["tracking_number"] for row in profile["last_requests"]]
    assert administrator.get(f"/tracking/{number}")["status"] == "completed"
    assert otto.status(f"/tracking/{number}") == 404
    assert otto.portal.get("/tracking")["data"] != own
    lines = {line["field"]: line for line in administrator.get(f"/accounts/{mine}/history")["data"]}
    assert (lines["chosen_delivery"]["new"], lines["chosen_delivery"]["actor"]) == (
        "pdf_only",
        hanne.portal.user_id,
    )
    assert lines["delivery_terms_at"]["new"]

    for one, amount in ((mine, 1000), (others, 2000)):
        post(firm.operator, one, amount, datetime.now(UTC).date().isoformat())
    as_if_last_closed(store, firm.branch, datetime.now(UTC).date() - LAST_MONTH)
    papers = {one: closed(firm, one) for one in (mine, others)}
    assert papers == {mine: False, others: True}

    letters = eventually(
        lambda: [text_of(mail) for mail in firm.installation.mails(address) if "papier" in text_of(mail)],
        timeout=2 * PATIENCE_SECONDS, describe="the end of paper is confirmed in writing",
    )  # fmt: skip
    assert letters
    assert len(letters) == 1
    assert "Vous avez choisi" in letters[0]

    delivered(firm, administrator, "paper_on")
    profile = hanne.portal.get(f"/accounts/{mine}")
    assert (profile["statement_delivery"], profile["delivery_is_holders"]) == ("paper_and_pdf", False)
    assert refusal(hanne.portal.send(path, wanted, wait=10)) == (422, "not_holders_choice")


def closed(firm: Firm, number: str) -> bool:
    """Wait for an account's statements, and return whether the latest went out on paper."""
    made = eventually(
        lambda: firm.operator.get(f"/accounts/{number}/statements")["data"],
        timeout=PATIENCE_SECONDS, describe="the cycle is closed",
    )  # fmt: skip
    assert made
    return bool(made[0]["on_paper"])


def test_the_demonstrations_cardholders_meet_their_own_account_alone(installation: Installation) -> None:
    """Two people at two companies, named on their cards."""
    seen: dict[str, str] = {}
    for place in (0, 1):
        portal = Portal(installation.url, installation.user("cardholder", place))
        (row,) = portal.get("/accounts")["data"]
        assert f"{row['first_name']} {row['last_name']}" == portal.get("/me")["name"]
        seen[portal.user_id] = row["account_id"]
        assert all(
            portal.http.get(f"/accounts/{other}").status_code == 404 for other in list(seen.values())[:-1]
        )
    assert set(seen) == {"northmoor.cardholder", "valdoree.cardholder"}
