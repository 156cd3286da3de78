"""Reads over the portal API: profile, lists, pages, CSV, entity tags, opening an account, in both shapes."""

import csv
import io

import httpx
import pytest

from shared.testing.installation import Installation, Portal

PA = "principal_programme_administrator"
ISSUER = "issuer_operator"


@pytest.fixture
def pa(installation: Installation) -> Portal:
    """The principal programme administrator of the first company."""
    return installation.portal(PA)


@pytest.fixture
def issuer(installation: Installation) -> Portal:
    """An operator of the issuer."""
    return installation.portal(ISSUER)


def test_the_structure_is_listed_parents_first_with_counts(pa: Portal) -> None:
    """PRG-01: the counts of a level add up to those of the level above."""
    nodes = pa.get("/control-accounts", limit=500)["data"]
    seen: set[str | None] = {None}
    for node in nodes:
        assert node["parent"] in seen
        seen.add(node["number"])
    totals = {
        level: sum(n["accounts"] for n in nodes if n["level"] == level) for level in ("master", "basic")
    }
    assert totals["master"] == totals["basic"] > 0
    one = nodes[-1]
    assert one.items() <= pa.get(f"/control-accounts/{one['number']}").items()


def test_pages_together_hold_every_row_once(pa: Portal) -> None:
    """API, *Lists*: stable order, opaque cursor."""
    everything = [row["account_id"] for row in pa.get("/accounts", limit=500)["data"]]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = pa.get("/accounts", limit=37, **cursor)
        found += [row["account_id"] for row in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found[:500] == everything
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("cursor", ["x", "W10", "eyJhIjoxfQ", "WzEsMl0"])
def test_a_cursor_that_is_none_of_ours_is_refused(pa: Portal, cursor: str) -> None:
    """422, naming the parameter."""
    answer = pa.http.get("/accounts", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["code"] == "bad_cursor"


def test_accounts_are_found_by_each_criterion(pa: Portal) -> None:
    """ACC-01 in this slice; a name without regard to accents and capitals."""
    row = pa.get("/accounts", limit=1)["data"][0]
    for name in (
        "employee_id",
        "cost_centre",
        "universal_number",
        "status",
        "payment_status",
        "control_account",
    ):
        if row[name] is None:
            continue
        found = pa.get("/accounts", **{name: row[name], "limit": 500})["data"]
        assert row in found
        assert {other[name] for other in found} == {row[name]}
    assert row in pa.get("/accounts", name=row["last_name"].upper(), limit=500)["data"]
    assert pa.get("/accounts", name="Zzzzzz")["data"] == []


def test_a_list_comes_as_csv_when_that_is_asked_for(pa: Portal) -> None:
    """API, *Lists*."""
    rows = pa.get("/accounts", limit=5)["data"]
    answer = pa.http.get("/accounts", params={"limit": 5}, headers={"Accept": "text/csv"})
    assert answer.headers["Content-Type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["account_id"] for line in lines] == [row["account_id"] for row in rows]


def test_an_unchanged_profile_is_not_sent_again(installation: Installation, pa: Portal) -> None:
    """API, *Concurrency*: ETag on single resources."""
    account = installation.new_account()
    tag = pa.http.get(f"/accounts/{account}").headers["ETag"]
    assert pa.http.get(f"/accounts/{account}", headers={"If-None-Match": tag}).status_code == 304
    pa.send(f"/accounts/{account}/suspend", wait=10)
    assert pa.http.get(f"/accounts/{account}", headers={"If-None-Match": tag}).status_code == 200


def test_what_was_changed_since_it_was_read_is_not_changed_unseen(
    installation: Installation, pa: Portal
) -> None:
    """API, *Concurrency*: If-Match on commands, by the version and not by what else an answer tells."""
    account = installation.new_account()

    def change(city: str, tag: str) -> httpx.Response:
        path = f"/accounts/{account}/holder"
        return pa.http.post(path, json={"city": city}, headers={"If-Match": tag, "Prefer": "wait=10"})

    first = pa.http.get(f"/accounts/{account}").headers["ETag"]
    assert change("Hay-on-Wye", first).status_code == 200
    stale = change("Ely", first)
    assert (stale.status_code, stale.json().get("code")) == (409, "stale"), stale.text
    assert pa.get(f"/accounts/{account}")["city"] == "Hay-on-Wye"

    second = pa.http.get(f"/accounts/{account}").headers["ETag"]
    pa.send(
        f"/accounts/{account}/holder", {"clear": ["city"], "city": "Ely"}, wait=10
    )  # refused: but in last_requests
    assert change("Ely", second).status_code == 200


def test_the_issuer_opens_structure_and_account(
    installation: Installation, issuer: Portal, pa: Portal
) -> None:
    """PRG-01, ACC-06: the new account stands in its company's lists at once, its number masked."""
    parent = pa.get("/control-accounts", level="intermediate")["data"][0]["number"]
    number = f"9{installation.port:05d}000000001"
    node = {"number": number, "name": "New department", "level": "basic", "parent": parent}
    assert issuer.send("/control-accounts", node, wait=10).status_code == 200
    holder = {
        "control_account": number,
        "product": "corporate_purchasing",
        "first_name": "Zoë",
        "last_name": "Ångström",
        "email": "zoe@example.org",
        "cost_centre": "CC-1",
    }

    answer = issuer.send("/accounts", holder, wait=10)

    account = answer.json()["result"]["account_id"]
    profile = pa.get(f"/accounts/{account}")
    assert profile["full_name"] == "Zoë Ångström"
    assert profile["embossed_name"] == "ZOE ANGSTROM"
    assert profile["status"] == "active"
    assert profile["card_number"].startswith("•••• •••• •••• ")
    assert profile["control_account_name"] == "New department"
    assert [row["account_id"] for row in pa.get("/accounts", name="angstrom")["data"]] == [account]
    opened = {change["field"]: change["new"] for change in pa.get(f"/accounts/{account}/history")["data"]}
    assert opened["status"] == "active"
    assert opened["email"] == "zoe@example.org"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"level": "master"}, "parent_not_allowed"),
        ({"parent": None}, "parent_required"),
        ({"level": "intermediate"}, "wrong_parent_level"),
    ],
)
def test_a_structure_that_makes_no_sense_is_refused(
    issuer: Portal, pa: Portal, changes: dict[str, str | None], code: str
) -> None:
    """PRG-01: master > intermediate > basic."""
    parent = pa.get("/control-accounts", level="intermediate")["data"][0]["number"]
    node = {"number": "900000000000009", "name": "X", "level": "basic", "parent": parent, **changes}
    assert issuer.send("/control-accounts", node, wait=10).json()["code"] == code


def test_no_card_number_may_stand_in_a_url(pa: Portal) -> None:
    """It is refused as unknown in the query, and taken in the body (ACC-04)."""
    number = "9999000000000001"
    assert pa.http.get("/accounts", params={"card_numbers": number}).status_code == 422
    answer = pa.http.post("/accounts/search", json={"card_numbers": [number]})
    assert answer.status_code == 200
    assert answer.json()["data"] == []


def test_the_description_of_the_api_is_served_with_its_own_assets(installation: Installation) -> None:
    """OpenAPI 3.1 and a page to read it, nothing from elsewhere."""
    with httpx.Client(base_url=installation.url, trust_env=False, follow_redirects=True) as http:
        document = http.get("/api/v1/openapi.json").json()
        page = http.get("/api/v1/docs")
    assert document["openapi"].startswith("3.1")
    assert "/accounts/{account_id}/cancel" in "".join(document["paths"])
    assert page.status_code == 200
    assert "'unsafe-inline'" not in page.headers["Content-Security-Policy"]
    assert "http" not in page.text.replace(installation.url, "").replace("http-equiv", "")


def test_health_and_metrics_stand_at_the_root(installation: Installation) -> None:
    """API, *Values*."""
    with httpx.Client(base_url=installation.url, trust_env=False) as http:
        assert http.get("/livez").status_code == 200
        assert http.get("/readyz").status_code == 200
        assert "cardwork_http_requests_total" in http.get("/metrics").text
