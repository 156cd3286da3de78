"""A part of a company's structure moves with all that lies below it, whatever else happens at that moment (PRG-01)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from services.accounts.model import ControlAccount
from services.accounts.queries.card_accounts import account_paths
from services.accounts.tests.programme import (
    EAST,
    FIELD,
    LEGAL,
    MASTER,
    NORTH,
    OTHER,
    RETAIL,
    SALES,
    SOUTH,
    Programme,
    opening,
    user,
)
from shared.actor import EVERYWHERE, Party
from shared.contracts.accounts import CancelAccount, CancelReason
from shared.contracts.base import Message
from shared.contracts.structure import (
    ChangeControlAccountSettings,
    ControlAccountMoved,
    GetControlAccount,
    GetControlAccountHistory,
    Level,
    ListControlAccounts,
    MoveControlAccount,
    OpenControlAccount,
)
from shared.errors import NotFound

_FREE = count(300)


def move(number: str, parent: str) -> MoveControlAccount:
    return MoveControlAccount(number=number, parent=parent)


def new_basic(parent: str) -> OpenControlAccount:
    return OpenControlAccount(number=f"3{next(_FREE):014}", name="New", level=Level.BASIC, parent=parent)


def paths(programme: Programme) -> dict[str, tuple[str, ...]]:
    """Return the path of every control account."""
    with programme.database.read() as session:
        return {node.number: node.control_path for node in session.scalars(sa.select(ControlAccount))}


def check(programme: Programme) -> None:
    """The path of each is its parent's and its own number, and its company is its master's."""
    with programme.database.read() as session:
        nodes = {node.number: node for node in session.scalars(sa.select(ControlAccount))}
        for node in nodes.values():
            above = nodes[node.parent].control_path if node.parent else ()
            assert node.control_path == (*above, node.number)
            assert node.company_number == nodes[node.control_path[0]].company_number


def test_a_branch_moves_to_another_company_with_all_below(programme: Programme) -> None:
    account = programme.open(SALES)
    programme.done(ChangeControlAccountSettings(number=OTHER, billing_cycle_day=9))

    result = programme.done(move(NORTH, OTHER))

    assert result == {"number": NORTH, "path": [OTHER, NORTH]}
    assert paths(programme)[SALES] == (OTHER, NORTH, SALES)
    sales = programme.node(SALES)
    assert (sales.company_name, sales.company_number) == ("Company 2", "C-2")
    assert sales.settings.billing_cycle_day == 9
    counts = {node.number: node.accounts for node in programme.tree()}
    assert (counts[MASTER], counts[OTHER], counts[NORTH], counts[SALES]) == (0, 1, 1, 1)
    with programme.database.read() as session:
        assert account_paths(session, [account]) == {account: [OTHER, NORTH, SALES]}
    (moved,) = programme.told(ControlAccountMoved)
    assert (moved.former_parent, moved.parent, moved.company_number) == (MASTER, OTHER, "C-2")
    assert ("parent", MASTER, OTHER) in programme.history(NORTH)
    for number in (NORTH, SALES):
        assert ("company_number", "C-1", "C-2") in programme.history(number)
    check(programme)


def test_who_lost_a_branch_no_longer_reaches_what_hangs_there(programme: Programme) -> None:
    """Rights go by where an account lies at that moment, in the same batch too."""
    account = programme.open(SALES)
    cancel = CancelAccount(account_id=account, reason=CancelReason.NOT_NEEDED)

    outcomes = programme.ended(
        programme.delivery(move(NORTH, OTHER)),
        programme.delivery(cancel, user(MASTER)),
        programme.delivery(cancel, user(OTHER)),
    )

    assert [one["ended"] for one in outcomes] == ["completed", "rejected", "completed"]
    assert outcomes[1]["code"] == "not_found"


def test_an_impossible_move_is_refused(programme: Programme) -> None:
    assert programme.refused(move(MASTER, NORTH)) == ("master_stays", "number")
    assert programme.refused(move(SALES, MASTER)) == ("wrong_parent_level", "parent")
    assert programme.refused(move(NORTH, SALES)) == ("wrong_parent_level", "parent")
    assert programme.refused(move(NORTH, NORTH)) == ("wrong_parent_level", "parent")
    assert programme.refused(move(SALES, NORTH)) == ("already_there", "parent")
    assert programme.refused(move(SALES, SOUTH), user(NORTH)) == ("not_found", "parent")
    assert programme.refused(move(NORTH, OTHER), user(MASTER)) == ("not_found", "parent")
    programme.done(move(SALES, SOUTH), user(MASTER))


def test_what_comes_after_a_move_in_its_batch_sees_it(programme: Programme) -> None:
    """A child of the moved, settings of the new parent, and moving back."""
    child = new_basic(NORTH)
    strict = ChangeControlAccountSettings(number=OTHER, products=["corporate_green"])  # type: ignore[list-item]
    issuer = user(EVERYWHERE, party=Party.ISSUER)
    sent = [strict, move(NORTH, OTHER), child, opening(SALES), move(NORTH, MASTER), opening(SALES)]

    outcomes = programme.ended(*(programme.delivery(message, issuer) for message in sent))

    assert [one.get("code") for one in outcomes] == [None, None, None, "product_not_allowed", None, None]
    assert paths(programme)[child.number] == (MASTER, NORTH, child.number)
    check(programme)


_MOVES = st.sampled_from(
    [move(n, p) for n in (NORTH, SOUTH, EAST) for p in (MASTER, OTHER)]
    + [move(n, p) for n in (SALES, FIELD, LEGAL, RETAIL) for p in (NORTH, SOUTH, EAST)]
)
_OPENINGS = st.sampled_from([NORTH, SOUTH, EAST])


@given_any(
    moves=st.lists(st.lists(_MOVES, min_size=2, max_size=6), min_size=2, max_size=3),
    parents=st.lists(_OPENINGS, max_size=6),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_moves_and_openings_at_the_same_time_leave_one_tree(
    programme: Programme, moves: list[list[MoveControlAccount]], parents: list[str]
) -> None:
    """Several workers, each with batches of its own."""
    openings: list[Message] = [new_basic(parent) for parent in parents]
    batches: list[Sequence[Message]] = [*moves, openings]

    def work(batch: Sequence[Message]) -> list[str]:
        worker = programme.new_worker()
        return [
            one["ended"]
            for start in range(0, len(batch), 2)
            for one in programme.ended(*map(programme.delivery, batch[start : start + 2]), by=worker)
        ]

    with ThreadPoolExecutor(len(batches)) as pool:
        ended = [one for some in pool.map(work, batches) for one in some]

    assert len(ended) == sum(map(len, batches))
    assert set(ended) <= {"completed", "rejected"}
    assert {one.number for one in openings if isinstance(one, OpenControlAccount)} <= paths(programme).keys()
    check(programme)


def test_a_control_account_is_found_by_number_and_by_name(programme: Programme) -> None:
    """PRG-01: locate by number or expand."""
    assert [node.number for node in programme.tree(number="2")] == [OTHER, EAST, RETAIL]
    assert [node.number for node in programme.tree(name="node 1", level=Level.BASIC)] == [
        SALES,
        FIELD,
        RETAIL,
    ]
    assert [node.number for node in programme.tree(name="company 2", parent=OTHER)] == [EAST]
    assert programme.tree(name="100%") == []
    for asked in (ListControlAccounts(number="2"), ListControlAccounts(name="company 2")):
        assert programme.read(asked, user(MASTER)).data == []
    for hidden in (GetControlAccount(number=OTHER), GetControlAccountHistory(number=OTHER)):
        with pytest.raises(NotFound):
            programme.read(hidden, user(MASTER))
