"""An administrator lends the cancelling of cards to a colleague, and gets it back by itself (IDN-07, TRK-05)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal

PRINCIPAL = "principal_programme_administrator"
ALTERNATE = "alternate_programme_administrator"
ADMINISTRATOR = "programme_administrator"
COMPANY = 1  # the second one, of which no other test borrows


@pytest.fixture
def lender(installation: Installation) -> Portal:
    """The principal of a company."""
    return Portal(installation.url, installation.user(PRINCIPAL, COMPANY))


@pytest.fixture
def borrower(installation: Installation) -> Portal:
    """Who stands in for the principal, and may cancel nothing by right."""
    return Portal(installation.url, installation.user(ALTERNATE, COMPANY))


def lend(lender: Portal, borrower: Portal, **changes: Any) -> str:
    body = {
        "borrower": borrower.user_id,
        "functions": ["accounts.cancel"],
        "ends_at": _in(hours=1),
        **changes,
    }
    answer = lender.send("/delegations", body, wait=10)
    assert answer.status_code == 200, answer.text
    delegation: str = answer.json()["result"]["delegation"]
    return delegation


def _in(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


def an_account_of(portal: Portal) -> str:
    rows = portal.get("/accounts", status="active", limit=500)["data"]
    account: str = rows[datetime.now(UTC).microsecond % len(rows)]["account_id"]
    return account


def cancel(portal: Portal, account: str, for_whom: Portal | None = None) -> Any:
    body = {"reason": "not_needed", **({"on_behalf_of": for_whom.user_id} if for_whom else {})}
    return portal.send(f"/accounts/{account}/cancel", body, wait=10)


def test_what_is_lent_is_done_in_the_lenders_stead_and_both_names_stand(
    lender: Portal, borrower: Portal
) -> None:
    """Only on behalf of the lender; tracking and history name both; revoked, it ends at once."""
    account = an_account_of(lender)
    delegation = lend(lender, borrower)
    (lent,) = borrower.get("/me")["delegations"]
    assert (lent["lender"], list(lent["grants"])) == (lender.user_id, ["accounts.cancel"])

    assert cancel(borrower, account).status_code == 403
    answer = cancel(borrower, account, lender)

    assert answer.status_code == 200, answer.text
    request = lender.get(f"/tracking/{answer.json()['command_id']}")
    assert (request["actor"], request["on_behalf_of"]) == (borrower.user_id, lender.user_id)
    (change, *_) = lender.get(f"/accounts/{account}/history")["data"]
    assert (change["actor"], change["on_behalf_of"]) == (borrower.user_id, lender.user_id)

    assert lender.send(f"/delegations/{delegation}/revoke", wait=10).status_code == 200
    refused = cancel(borrower, an_account_of(lender), lender)
    assert (refused.status_code, refused.json()["code"]) == (403, "nothing_lent")
    assert borrower.get("/me")["delegations"] == []


def test_the_page_says_who_shares_with_whom(
    installation: Installation, lender: Portal, borrower: Portal
) -> None:
    """Both sides see it, a stranger does not."""
    delegation = lend(lender, borrower, starts_at=_in(days=1), ends_at=_in(days=2), comment="Holidays")
    for portal in (lender, borrower):
        rows = {row["delegation"]: row for row in portal.get("/delegations", status="upcoming")["data"]}
        assert rows[delegation]["lender"] == lender.user_id
        assert rows[delegation]["borrower"] == borrower.user_id
        assert rows[delegation]["comment"] == "Holidays"
    stranger = installation.portal(PRINCIPAL)
    assert delegation not in {row["delegation"] for row in stranger.get("/delegations")["data"]}
    assert stranger.send(f"/delegations/{delegation}/revoke").status_code == 404
    assert cancel(borrower, an_account_of(lender), lender).status_code == 403, "it has not begun"
    assert borrower.send(f"/delegations/{delegation}/revoke", wait=10).status_code == 200
    again = lender.send(f"/delegations/{delegation}/revoke", wait=10)
    assert again.json()["code"] == "delegation_ended"


def test_a_delegation_ends_by_itself(lender: Portal, borrower: Portal) -> None:
    """At its end, without anybody's doing."""
    delegation = lend(lender, borrower, ends_at=_in(seconds=2))
    assert borrower.get("/me")["delegations"]
    eventually(lambda: not borrower.get("/me")["delegations"], describe="the delegation is over")
    ended = {row["delegation"] for row in lender.get("/delegations", status="ended")["data"]}
    assert delegation in ended


def test_what_is_lent_for_an_absence_ends_on_return(
    installation: Installation, lender: Portal, borrower: Portal
) -> None:
    """The lender's next sign-in takes it back."""
    lend(lender, borrower, ends_at=None, until_return=True)
    assert borrower.get("/me")["delegations"]
    Portal(installation.url, installation.user(PRINCIPAL, COMPANY))
    assert borrower.get("/me")["delegations"] == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"functions": ["accounts.suspend"]}, "function_not_lendable"),
        ({"borrower": "northmoor.alternate"}, "borrower_not_suitable"),
        ({"borrower": "nobody.at.all"}, "borrower_not_suitable"),
        ({"ends_at": None}, "end_required"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "starts_in_past"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_before_it_begins"),
        ({"ends_at": "2099-01-01T00:00:00Z"}, "delegation_too_long"),
    ],
)
def test_what_cannot_be_lent_is_refused_by_name(
    lender: Portal, borrower: Portal, changes: dict[str, Any], code: str
) -> None:
    """Each refusal has a code of its own and names the field."""
    body = {
        "borrower": borrower.user_id,
        "functions": ["accounts.cancel"],
        "ends_at": _in(hours=1),
        **changes,
    }
    answer = lender.send("/delegations", body, wait=10)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert answer.json()["errors"]


def test_only_a_colleague_with_the_same_control_accounts_borrows(
    installation: Installation, lender: Portal, borrower: Portal
) -> None:
    """The administrator of one branch does not see the whole company, so the principal cannot lend the whole to her."""
    branch = installation.user(ADMINISTRATOR, COMPANY)["user_id"]
    offered = {row["user_id"] for row in lender.get("/delegations/borrowers")["data"]}
    assert borrower.user_id in offered
    assert branch not in offered
    assert installation.user("programme_manager", COMPANY)["user_id"] not in offered, "no administrator"
    body = {"borrower": branch, "functions": ["accounts.cancel"], "ends_at": _in(hours=1)}
    assert lender.send("/delegations", body, wait=10).json()["code"] == "borrower_not_suitable"


def test_a_command_that_cannot_be_lent_knows_no_on_behalf_of(lender: Portal, borrower: Portal) -> None:
    """An alternate cannot even ask."""
    answer = borrower.send(f"/accounts/{an_account_of(lender)}/suspend", {"on_behalf_of": lender.user_id})
    assert answer.status_code in (403, 422)
    answer = lender.send(f"/accounts/{an_account_of(lender)}/suspend", {"on_behalf_of": borrower.user_id})
    assert answer.status_code == 422
