"""Requests are found by the names that an account has now and where it lies now, whatever order that was told in (TRK-02)."""

from itertools import permutations

import pytest

from services.tracking.tests.conftest import BASIC, INTERMEDIATE, MASTER, NOON, Tracking, user
from shared.contracts.accounts import AccountHolderChanged, AccountOpened, AccountTransferred, Product
from shared.contracts.base import Message
from shared.contracts.structure import ControlAccountMoved, ControlAccountOpened, Level
from shared.contracts.tracking import FindRequests
from shared.messaging.envelope import Envelope

ACCOUNT = "acc_" + "p" * 26
OTHER, EAST, RETAIL = "100000000000009", "200000000000009", "300000000000009"
VIEW = "tracking.view"


def told(tracking: Tracking, event: Message) -> Envelope:
    return tracking.cancellation(scope=()).causes(event, source="accounts", time=NOON)


def opened(number: str, parent: str | None, level: Level) -> ControlAccountOpened:
    return ControlAccountOpened(number=number, parent=parent, level=level)


def moved(number: str, to: str, version: int) -> ControlAccountMoved:
    level = Level.INTERMEDIATE
    return ControlAccountMoved(
        number=number,
        parent=to,
        former_parent=MASTER,
        level=level,
        company_name="?",
        company_number="?",
        version=version,
    )


def transferred(to: str, version: int) -> AccountTransferred:
    return AccountTransferred(
        account_id=ACCOUNT, control_account=to, former_control_account=BASIC, version=version
    )


def renamed(last_name: str, version: int) -> AccountHolderChanged:
    return AccountHolderChanged(
        account_id=ACCOUNT, control_account=BASIC, first_name="Ada", last_name=last_name,
        embossed_name=f"ADA {last_name.upper()}", version=version,
    )  # fmt: skip


@pytest.fixture
def asked(tracking: Tracking) -> Tracking:
    """Two companies, and a request about an account of the first that everybody may see who sees the account now."""
    for event in (
        opened(BASIC, INTERMEDIATE, Level.BASIC),
        opened(MASTER, None, Level.MASTER),
        opened(INTERMEDIATE, MASTER, Level.INTERMEDIATE),
        opened(RETAIL, EAST, Level.BASIC),
        opened(EAST, OTHER, Level.INTERMEDIATE),
        opened(OTHER, None, Level.MASTER),
        AccountOpened(
            account_id=ACCOUNT, control_account=BASIC, product=Product.CORPORATE_GOLD, first_name="Ada",
            last_name="Lovelace", embossed_name="ADA LOVELACE",
        ),
    ):  # fmt: skip
        tracking.hear(told(tracking, event))
    return tracking


def finds(tracking: Tracking, name: str, over: str) -> bool:
    """Return whether somebody with rights over a control account finds the account by name.

    The request is one that lies there, so that only the place of the account decides.
    """
    scope = (*("0" * 15 for _ in range(int(over[0]) - 1)), over)
    asked = tracking.cancellation("eve", ACCOUNT, scope=scope)
    tracking.hear(asked)
    return bool(tracking.ask(FindRequests(name=name), user("x", VIEW, over=[over])).data)


@pytest.mark.usefixtures("accounts_that_fit")
def test_who_has_the_account_finds_by_its_name(asked: Tracking) -> None:
    for number in (MASTER, INTERMEDIATE, BASIC):
        assert finds(asked, "love", number)
    for number in (OTHER, EAST, RETAIL):
        assert not finds(asked, "love", number)


@pytest.mark.usefixtures("accounts_that_fit")
def test_a_branch_that_moved_is_found_by_its_new_company(asked: Tracking) -> None:
    asked.hear(told(asked, moved(INTERMEDIATE, OTHER, 2)))
    assert [finds(asked, "love", number) for number in (MASTER, OTHER, INTERMEDIATE, BASIC)] == [
        False,
        True,
        True,
        True,
    ]


_CHANGES = [transferred(RETAIL, 2), renamed("King", 3), transferred(BASIC, 4), renamed("Byron", 5)]


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_of_several_changes_the_last_holds_whenever_it_is_told(
    asked: Tracking, order: tuple[int, ...]
) -> None:
    for place in order:
        asked.hear(told(asked, _CHANGES[place]))
    assert finds(asked, "byron", MASTER)
    assert not finds(asked, "love", MASTER)
    assert not finds(asked, "byron", OTHER)


@pytest.mark.parametrize("late", [0, 1])
def test_of_two_moves_the_later_holds(asked: Tracking, late: int) -> None:
    moves = [moved(INTERMEDIATE, OTHER, 2), moved(INTERMEDIATE, MASTER, 3)]
    asked.hear(told(asked, moves[1 - late]))
    asked.hear(told(asked, moves[late]), told(asked, opened(INTERMEDIATE, OTHER, Level.INTERMEDIATE)))
    assert finds(asked, "love", MASTER)
    assert not finds(asked, "love", OTHER)
