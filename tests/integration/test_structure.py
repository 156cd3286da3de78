"""A company's structure is set up, rebuilt and filled; every service follows (PRG-01, PRG-02, ACC-08, ACC-15, ACC-16)."""

import secrets
from typing import Any

import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal


class Firm:
    """A company of a test's own: a master, two intermediate control accounts, and a basic one under the first."""

    def __init__(self, issuer: Portal) -> None:
        self.issuer = issuer
        digits = f"{secrets.randbelow(10**10):010}"
        self.master, self.north, self.south, self.sales = (f"6{digits}{place:04}" for place in range(4))
        company = {"company_name": f"Firm {digits}", "company_number": digits}
        self.open(self.master, "master", None, **company)
        self.open(self.north, "intermediate", self.master)
        self.open(self.south, "intermediate", self.master)
        self.open(self.sales, "basic", self.north)

    def open(self, number: str, level: str, parent: str | None, **facts: Any) -> None:
        """Open a control account."""
        self.send(
            "/control-accounts", {"number": number, "name": "Node", "level": level, "parent": parent, **facts}
        )

    def account(self, **facts: Any) -> str:
        """Open a card account under the basic control account and return its id."""
        given = {"control_account": self.sales, "product": "corporate_gold", "first_name": "Ida"}
        return str(self.send("/accounts", {**given, "last_name": "Falk", **facts})["account_id"])

    def send(self, path: str, body: dict[str, Any]) -> Any:
        """Have a command carried out and return its result."""
        answer = self.issuer.send(path, body, wait=10)
        assert answer.status_code == 200, answer.text
        return answer.json().get("result")

    def refused(self, path: str, body: dict[str, Any]) -> Any:
        """Return the problem with which a command is refused."""
        answer = self.issuer.send(path, body, wait=10)
        assert answer.status_code == 422, answer.text
        return answer.json()


@pytest.fixture
def firm(installation: Installation) -> Firm:
    """A new company."""
    return Firm(installation.portal("issuer_operator"))


def test_what_is_set_above_holds_below_and_is_refused_where_it_is_not_kept(firm: Firm) -> None:
    """PRG-02: inherited with overrides; the code and the field say what is wrong."""
    firm.send(
        f"/control-accounts/{firm.master}/settings", {"cost_centre": "mandatory", "billing_cycle_day": 12}
    )
    firm.send(f"/control-accounts/{firm.sales}/settings", {"billing_cycle_day": 20})

    node = firm.issuer.get(f"/control-accounts/{firm.sales}")

    assert (node["settings"]["billing_cycle_day"], node["set_at"]["billing_cycle_day"]) == (20, firm.sales)
    assert (node["settings"]["cost_centre"], node["set_at"]["cost_centre"]) == ("mandatory", firm.master)
    holder = {"control_account": firm.sales, "product": "corporate_gold", "first_name": "I", "last_name": "F"}
    problem = firm.refused("/accounts", holder)
    assert problem["code"] == "field_mandatory"
    assert problem["errors"][0]["pointer"].endswith("cost_centre")
    history = firm.issuer.get(f"/control-accounts/{firm.sales}/history")["data"]
    (line,) = [one for one in history if one["field"] == "billing_cycle_day"]
    assert (line["old"], line["new"], line["command"]) == (
        None,
        "20",
        "accounts.change-control-account-settings",
    )
    assert line["tracking_number"]


def test_a_branch_moves_with_its_accounts_and_counts(firm: Firm, installation: Installation) -> None:
    """PRG-01: rights over the new parent reach it, and identity knows where it lies."""
    account = firm.account()
    other = Firm(firm.issuer)

    firm.send(f"/control-accounts/{firm.north}/move", {"parent": other.master})

    node = firm.issuer.get(f"/control-accounts/{firm.sales}")
    assert node["path"] == [other.master, firm.north, firm.sales]
    counted = {
        number: firm.issuer.get(f"/control-accounts/{number}")["accounts"]
        for number in (firm.master, other.master, firm.north, firm.sales)
    }
    assert counted == {firm.master: 0, other.master: 1, firm.north: 1, firm.sales: 1}
    assert firm.issuer.get(f"/accounts/{account}")["company_number"] == node["company_number"]
    company = {
        "number": f"{firm.master}",
        "name": "Firm",
        "control_account": firm.master,
        "language": "en",
    }
    firm.send("/companies", company)
    pa = {
        "name": "Pia", "email": "pia@firm.example", "language": "en", "company": firm.master,
        "role": "programme_administrator", "secret_phrase": "the grey heron stands still",
    }  # fmt: skip

    def enrols(number: str) -> Any:
        return firm.issuer.send("/users", {**pa, "control_accounts": [number]}, wait=10).json()

    eventually(
        lambda: enrols(firm.sales).get("code") == "wrong_company", describe="identity heard of the move"
    )
    assert enrols(firm.south).get("code") is None


def test_a_transferred_and_renamed_account_is_found_where_it_is_now(firm: Firm) -> None:
    """ACC-08, ACC-15: also by what was requested about it (TRK-02)."""
    target = f"{firm.master[:-4]}0009"
    firm.open(target, "basic", firm.south)
    account, name = (
        firm.account(),
        "Q" + secrets.token_hex(6).translate(str.maketrans("0123456789", "ghijklmnop")),
    )

    firm.send(f"/accounts/{account}/transfer", {"control_account": target, "employee_id": "E77"})
    firm.send(f"/accounts/{account}/holder", {"last_name": name, "city": "Lyon", "country": "FR"})
    firm.send(f"/accounts/{account}/accounting", {"cost_centre": "C5", "clear": ["employee_id"]})

    profile = firm.issuer.get(f"/accounts/{account}")
    assert (profile["control_account"], profile["last_name"], profile["city"]) == (target, name, "Lyon")
    assert (profile["employee_id"], profile["cost_centre"]) == (None, "C5")
    assert [row["account_id"] for row in firm.issuer.get("/accounts", name=name)["data"]] == [account]
    found = eventually(
        lambda: firm.issuer.get("/tracking", name=name)["data"], describe="tracking heard of the name"
    )
    assert {row["account_id"] for row in found or []} == {account}
    assert firm.issuer.get(f"/control-accounts/{firm.south}")["accounts"] == 1
    assert firm.issuer.get(f"/control-accounts/{firm.north}")["accounts"] == 0


def test_an_administrator_does_so_too_but_not_what_is_the_issuers(
    installation: Installation, firm: Firm
) -> None:
    """ACC-08, PRG-02, and 404 for what is another company's."""
    pa, account = installation.portal("principal_programme_administrator"), installation.new_account()
    place = pa.get(f"/accounts/{account}")["control_account"]

    answer = pa.send(f"/accounts/{account}/holder", {"last_name": "King"}, wait=10)
    assert (answer.status_code, answer.json()["code"]) == (422, "name_is_the_issuers")
    answer = pa.send(f"/control-accounts/{place}/settings", {"liability": "joint"}, wait=10)
    assert (answer.status_code, answer.json()["code"]) == (422, "setting_is_the_issuers")
    assert pa.send(f"/accounts/{account}/transfer", {"control_account": firm.sales}).status_code == 404
    assert pa.send(f"/control-accounts/{place}/move", {"parent": firm.north}).status_code == 404
    assert (
        pa.send(f"/accounts/{account}/holder", {"home_phone": "+44 20 7946 0001"}, wait=10).status_code == 200
    )
