"""Rights follow a part of the structure that moves, but never out of a company (IDN-05)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from services.identity.entitlements import places_of
from services.identity.model import ControlAccount, Delegation, Grant
from services.identity.tests.conftest import COMPANY, MASTER, Identity
from services.identity.tests.structure import (
    FOREIGN,
    NORTH,
    OTHER,
    SALES,
    SOUTH,
    hear,
    hear_of_two_companies,
    moved,
    opened,
)
from shared.actor import Actor, Party
from shared.contracts.identity import DelegationEnded, EntitlementsChanged
from shared.contracts.structure import ControlAccountMoved
from shared.ids import new_id
from shared.testing.eventually import eventually


def paths(identity: Identity) -> dict[str, str]:
    with identity.store.read() as session:
        return {node.number: node.path for node in session.scalars(sa.select(ControlAccount))}


def rights(identity: Identity, user_id: str) -> set[str]:
    """Return the control accounts over which a user has rights."""
    reader = Actor(user_id="op", party=Party.ISSUER, grants={"users.view": frozenset("*")})
    answer = identity.call("GET", f"/users/{identity.user(user_id).id}", actor=reader)
    assert answer.status_code == 200, answer.text
    return {one["control_account"] for one in answer.get_json()["entitlements"]}


@pytest.fixture
def structure(identity: Identity) -> Identity:
    """Sales lies below North, Legal below South; another company has one intermediate control account."""
    hear_of_two_companies(identity)
    return identity


def test_a_move_within_a_company_takes_its_people_along(structure: Identity) -> None:
    structure.enrol(user_id="ben", email="ben@company.example", control_accounts=[SALES])

    hear(structure, moved(SALES, SOUTH))

    assert paths(structure)[SALES] == f"{MASTER}/{SOUTH}/{SALES}"
    assert structure.user("ben").place == f"{MASTER}/{SOUTH}/{SALES}"
    assert rights(structure, "ben") == {SALES}
    assert structure.events(EntitlementsChanged) == []


def test_loading_the_demonstration_again_moves_nothing_back(structure: Identity) -> None:
    hear(structure, moved(NORTH, OTHER))
    before = paths(structure)
    structure.enrol(user_id="ben", email="ben@company.example", control_accounts=[SOUTH])
    assert paths(structure) == before


def test_whose_control_accounts_part_lies_above_them_all(structure: Identity) -> None:
    structure.enrol(user_id="ben", email="ben@company.example", control_accounts=[SALES, NORTH])
    assert structure.user("ben").place == f"{MASTER}/{NORTH}"
    hear(structure, moved(SALES, SOUTH))
    assert structure.user("ben").place == MASTER


def test_what_leaves_a_company_leaves_its_people_behind(structure: Identity) -> None:
    """With all that lies below it; each is told, and the history says so."""
    structure.enrol(user_id="ben", email="ben@company.example", control_accounts=[SALES])

    hear(structure, moved(NORTH, OTHER))

    assert paths(structure)[SALES] == f"{OTHER}/{NORTH}/{SALES}"
    assert rights(structure, "anna") == {SOUTH}
    assert rights(structure, "ben") == set()
    assert structure.user("ben").place == MASTER
    assert structure.user("anna").place == f"{MASTER}/{SOUTH}"
    told = {event.user: event for event in structure.events(EntitlementsChanged)}
    assert told.keys() == {structure.user("anna").id, structure.user("ben").id}
    assert {one.control_account for one in told[structure.user("ben").id].taken} == {SALES}


def test_what_was_lent_goes_along_or_ends(structure: Identity) -> None:
    structure.enrol(user_id="ben", email="ben@company.example")
    facts: dict[str, Any] = {
        "company": COMPANY["number"], "lender": structure.user().id, "borrower": structure.user("ben").id,
        "functions": "accounts.cancel", "starts_at": structure.now, "ends_at": structure.now, "until_return": False,
    }  # fmt: skip
    of_one, of_both = new_id("dlg"), new_id("dlg")
    with structure.store.write() as session:
        session.add(Delegation(id=of_one, control_accounts=NORTH, place=f"{MASTER}/{NORTH}", **facts))
        session.add(Delegation(id=of_both, control_accounts=f"{NORTH} {SOUTH}", place=MASTER, **facts))

    hear(structure, moved(NORTH, OTHER))

    assert [(one.delegation, one.reason) for one in structure.events(DelegationEnded)] == [(of_one, "moved")]
    with structure.store.read() as session:
        left = session.get_one(Delegation, of_both)
    assert (left.control_accounts, left.place, left.ended_at) == (SOUTH, f"{MASTER}/{SOUTH}", None)


def test_moves_that_come_in_another_order_end_where_the_last_led(structure: Identity) -> None:
    """Of one control account the higher version counts; a parent's move and its child's may overtake each other."""
    hear(structure, moved(SALES, SOUTH, 3), moved(SALES, FOREIGN, 2), moved(SOUTH, OTHER, 2))
    assert paths(structure)[SALES] == f"{OTHER}/{SOUTH}/{SALES}"
    hear(structure, moved(SOUTH, MASTER, 3), moved(SOUTH, OTHER, 2), opened(SALES, NORTH))
    assert paths(structure)[SALES] == f"{MASTER}/{SOUTH}/{SALES}"


def test_what_overtook_its_opening_comes_again(structure: Identity) -> None:
    """It is put off, and nothing is changed or thrown away."""
    before = paths(structure)
    new = "100000000000099"
    hear(structure, moved(new, SOUTH))
    assert paths(structure) == before
    (waiting,) = [one for one in structure.envelopes() if isinstance(one.message(), ControlAccountMoved)]
    assert waiting.attempt == 1
    hear(structure, opened(new, NORTH), waiting.message())
    assert paths(structure)[new] == f"{MASTER}/{SOUTH}/{new}"


@pytest.mark.parametrize("tables", ["postgresql"], indirect=True)
def test_rights_that_are_given_while_their_place_moves_are_not_forgotten(structure: Identity) -> None:
    """Who gives them has looked at the company before; the move waits, and takes them too."""
    structure.enrol(user_id="ben", email="ben@company.example", control_accounts=[SOUTH])
    with ThreadPoolExecutor(1) as pool:
        with structure.store.write() as session:
            assert places_of(session, [SALES], until_commit=True) == {SALES: f"{MASTER}/{NORTH}/{SALES}"}
            moving = pool.submit(hear, structure, moved(NORTH, OTHER))
            eventually(lambda: _waits(structure), describe="the move waits for who gives rights")
            ben = structure.user("ben").id
            session.add(Grant(user=ben, function="accounts.cancel", control_account=SALES))
        moving.result()
    assert rights(structure, "ben") == {SOUTH}


def _waits(identity: Identity) -> bool:
    waiting = sa.text("select exists (select from pg_locks where not granted)")
    with identity.store.read() as session:
        return bool(session.scalar(waiting))
