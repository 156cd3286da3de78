"""Every criterion of a search, alone and with others, in pages, within what a caller may see (TRK-02)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.tracking.tests.conftest import (
    BASIC,
    ELSEWHERE,
    INTERMEDIATE,
    MASTER,
    NOON,
    PATH,
    Tracking,
    user,
)
from shared.actor import Actor
from shared.contracts.accounts import AccountOpened, Product, SuspendAccount
from shared.contracts.outcomes import CommandAccepted, CommandCompleted, CommandRejected, RequestStatus
from shared.contracts.structure import ControlAccountOpened, Level
from shared.contracts.tracking import FindRequests, GetRequestOverview, SearchRequests
from shared.contracts.types import Channel
from shared.errors import Rejected
from shared.folding import fold_name
from shared.messaging.envelope import Envelope

HOUR = timedelta(hours=1)
VIEW = "tracking.view"
SMITH, GARCIA, NOBODY = (f"acc_{letter * 26}" for letter in "sgn")


def structure(tracking: Tracking, path: Sequence[str]) -> list[Envelope]:
    """Return what accounts told when the control accounts of a path were opened, in no particular order."""
    opened = zip(path, (None, *path), Level, strict=False)
    events = [
        ControlAccountOpened(number=number, parent=parent, level=level) for number, parent, level in opened
    ]
    return [
        tracking.cancellation(scope=path).causes(event, source="accounts", time=NOON)
        for event in reversed(events)
    ]


@pytest.fixture
def asked(tracking: Tracking) -> dict[str, Envelope]:
    """Two months of requests about two accounts, by several users, here and elsewhere, each named."""
    opened = [
        (SMITH, "Zoë", "Smith", Product.CORPORATE_GOLD, PATH),
        (GARCIA, "Ana", "García", Product.CORPORATE_GREEN, ELSEWHERE),
    ]
    tracking.hear(*structure(tracking, PATH), *structure(tracking, ELSEWHERE))
    for account_id, first, last, product, scope in opened:
        event = AccountOpened(
            account_id=account_id, control_account=scope[2], product=product, first_name=first, last_name=last,
            embossed_name=fold_name(f"{first} {last}").upper(),
        )  # fmt: skip
        tracking.hear(tracking.cancellation(scope=scope).causes(event, source="accounts", time=NOON))
    made = {
        "done": tracking.cancellation(account_id=SMITH, time=NOON - HOUR),
        "refused": tracking.cancellation(account_id=SMITH, time=NOON - 2 * HOUR, channel=Channel.PORTAL),
        "waits": tracking.cancellation("ann", SMITH, time=NOON - 3 * HOUR, on_behalf_of="bob"),
        "elsewhere": tracking.cancellation("eve", GARCIA, time=NOON - 4 * HOUR, scope=ELSEWHERE),
        "own": tracking.cancellation("pa", GARCIA, time=NOON - 5 * HOUR, scope=ELSEWHERE),
        "new": tracking.cancellation("eve", time=NOON),
        "old": tracking.cancellation("pa", SMITH, time=NOON - timedelta(days=40)),
        "suspension": tracking.ask_for(
            SuspendAccount(account_id=SMITH), user("pa"), scope=PATH, time=NOON - 6 * HOUR
        ),
    }
    tracking.hear(*made.values())
    tracking.hear(
        tracking.outcome(made["done"], CommandCompleted),
        tracking.outcome(made["refused"], CommandRejected, code="account_cancelled", message="It is."),
        tracking.outcome(
            made["waits"],
            CommandAccepted,
            status=RequestStatus.AWAITING_APPROVAL,
            approver_function="accounts.approve",
        ),
        tracking.outcome(made["elsewhere"], CommandAccepted, status=RequestStatus.SCHEDULED),
        tracking.outcome(made["own"], CommandCompleted),
        tracking.outcome(made["old"], CommandCompleted),
        tracking.outcome(made["suspension"], CommandAccepted, status=RequestStatus.PROCESSING),
    )
    tracking.run_jobs()
    return made


EVERYTHING = ["new", "done", "refused", "waits", "elsewhere", "own", "suspension", "old"]


def found(
    tracking: Tracking, asked: dict[str, Envelope], actor: Actor | None = None, **criteria: Any
) -> list[str]:
    """Return the names of what is found, a page of two at a time."""
    names = {envelope.id: name for name, envelope in asked.items()}
    seen: list[str] = []
    cursor = None
    while True:
        query = FindRequests(**criteria, limit=2, cursor=cursor)
        page = tracking.ask(query) if actor is None else tracking.ask(query, actor)
        seen += [names[row.command_id] for row in page.data]
        assert page.has_more == (page.next_cursor is not None)
        if not page.has_more:
            return seen
        assert len(page.data) == 2
        cursor = page.next_cursor


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, EVERYTHING),
        ({"type": "accounts.suspend-account"}, ["suspension"]),
        ({"status": RequestStatus.COMPLETED}, ["done", "own", "old"]),
        ({"status": RequestStatus.REJECTED}, ["refused"]),
        ({"status": RequestStatus.RECEIVED}, ["new"]),
        ({"status": RequestStatus.AWAITING_APPROVAL}, ["waits"]),
        ({"status": RequestStatus.SCHEDULED}, ["elsewhere"]),
        ({"status": RequestStatus.FAILED}, []),
        ({"account_id": SMITH}, ["done", "refused", "waits", "suspension", "old"]),
        ({"account_id": NOBODY}, []),
        ({"tracking_number": "22222-2222T"}, []),
        ({"control_account": BASIC}, ["new", "done", "refused", "waits", "suspension", "old"]),
        ({"control_account": ELSEWHERE[1]}, ["elsewhere", "own"]),
        ({"name": "smi"}, ["done", "refused", "waits", "suspension", "old"]),
        ({"name": "SMITH ZO"}, ["done", "refused", "waits", "suspension", "old"]),
        ({"name": "ana g"}, ["elsewhere", "own"]),
        ({"name": "garcia"}, ["elsewhere", "own"]),
        ({"name": "mith"}, []),
        ({"product": "corporate_green"}, ["elsewhere", "own"]),
        ({"name": "smith", "product": "corporate_green"}, []),
        ({"work_of": "bob"}, ["waits"]),
        ({"work_of": "pa"}, ["done", "refused", "own", "suspension", "old"]),
        ({"channel": Channel.PORTAL}, ["refused"]),
        ({"received_from": NOON - 2 * HOUR}, ["new", "done", "refused"]),
        ({"received_before": NOON - 5 * HOUR}, ["suspension", "old"]),
        ({"overdue": True}, ["waits", "suspension"]),
        ({"overdue": False}, ["new", "done", "refused", "elsewhere", "own", "old"]),
        ({"overdue": True, "status": RequestStatus.PROCESSING}, ["suspension"]),
        ({"account_id": SMITH, "status": RequestStatus.COMPLETED}, ["done", "old"]),
        ({"name": "smith", "work_of": "pa", "status": RequestStatus.COMPLETED}, ["done", "old"]),
        ({"work_of": "pa", "control_account": MASTER, "received_from": NOON - 7 * HOUR}, ["done", "refused", "suspension"]),
    ],
    ids=str,
)  # fmt: skip
def test_the_issuer_finds_by_every_criterion(
    tracking: Tracking, asked: dict[str, Envelope], criteria: dict[str, Any], expected: list[str]
) -> None:
    assert found(tracking, asked, **criteria) == expected


HERE = ["new", "done", "refused", "waits", "suspension", "old"]


@pytest.mark.parametrize(
    ("numbers", "criteria", "expected"),
    [
        ([MASTER], {}, HERE),
        ([INTERMEDIATE, BASIC, MASTER], {}, HERE),
        ([BASIC], {"status": RequestStatus.REJECTED}, ["refused"]),
        ([BASIC], {"overdue": True}, ["waits", "suspension"]),
        ([MASTER], {"name": "garcia"}, []),
        ([MASTER], {"work_of": "eve"}, ["new"]),
        ([MASTER, ELSEWHERE[1]], {}, EVERYTHING),
        ([ELSEWHERE[2]], {"name": "g"}, ["elsewhere", "own"]),
    ],
    ids=str,
)
def test_others_find_what_lies_under_their_control_accounts(
    tracking: Tracking,
    asked: dict[str, Envelope],
    numbers: list[str],
    criteria: dict[str, Any],
    expected: list[str],
) -> None:
    assert found(tracking, asked, user("zoe", VIEW, over=numbers), **criteria) == expected


@pytest.mark.parametrize(
    ("actor", "criteria", "expected"),
    [
        ("eve", {}, ["new", "elsewhere"]),
        ("bob", {}, ["waits"]),
        ("pa", {"name": "garcia"}, ["own"]),
        ("pa", {"account_id": GARCIA}, ["own"]),
        ("pa", {"status": RequestStatus.COMPLETED}, ["done", "own", "old"]),
        ("bob", {"overdue": True}, ["waits"]),
        ("pa", {"work_of": "eve"}, []),
    ],
    ids=str,
)
def test_everybody_finds_the_own_requests_and_those_made_for_them(
    tracking: Tracking, asked: dict[str, Envelope], actor: str, criteria: dict[str, Any], expected: list[str]
) -> None:
    nowhere = user(actor, VIEW, over=["400000000000000"])
    assert found(tracking, asked, nowhere, **criteria) == expected


@pytest.mark.parametrize(
    "criteria",
    [{}, {"name": "smith"}, {"status": RequestStatus.REJECTED}, {"control_account": MASTER}, {"work_of": "pa"}, {"overdue": True}],
    ids=str,
)  # fmt: skip
def test_who_has_no_control_account_finds_the_own_requests_alone(
    tracking: Tracking, asked: dict[str, Envelope], criteria: dict[str, Any]
) -> None:
    assert found(tracking, asked, user("nobody", VIEW, over=[]), **criteria) == []
    assert tracking.ask(GetRequestOverview(), user("nobody", VIEW, over=[])).total == 0
    assert found(tracking, asked, user("bob", VIEW, over=[])) == ["waits"]


def test_a_wider_control_account_narrows_nothing_below_it(
    tracking: Tracking, asked: dict[str, Envelope]
) -> None:
    """It is looked for among what the caller may see, not the other way round."""
    zoe = user("zoe", VIEW, over=[BASIC])
    assert found(tracking, asked, zoe, control_account=MASTER) == HERE
    assert found(tracking, asked, zoe, control_account=ELSEWHERE[0]) == []
    rejected = found(tracking, asked, zoe, control_account=INTERMEDIATE, status=RequestStatus.REJECTED)
    assert rejected == ["refused"]


@pytest.mark.usefixtures("accounts_that_fit")
def test_a_name_that_many_have_finds_what_a_rare_one_does(
    tracking: Tracking, asked: dict[str, Envelope]
) -> None:
    smiths = ["done", "refused", "waits", "suspension", "old"]
    everywhere, elsewhere = user("zoe", VIEW), user("pa", VIEW, over=["400000000000000"])
    assert found(tracking, asked, name="smi") == smiths
    assert found(tracking, asked, name="smi", status=RequestStatus.REJECTED) == ["refused"]
    assert found(tracking, asked, product=Product.CORPORATE_GOLD, name="smi") == smiths
    assert found(tracking, asked, everywhere, name="s") == smiths
    assert found(tracking, asked, everywhere, name="s", status=RequestStatus.AWAITING_APPROVAL) == ["waits"]
    assert found(tracking, asked, everywhere, name="s", overdue=True) == found(
        tracking, asked, everywhere, overdue=True
    )
    assert found(tracking, asked, elsewhere, name="garcia") == ["own"]
    assert found(tracking, asked, elsewhere, name="garcia", channel=Channel.API) == ["own"]
    assert found(tracking, asked, elsewhere, name="garcia", status=RequestStatus.COMPLETED) == ["own"]
    assert found(tracking, asked, elsewhere, name="garcia", status=RequestStatus.SCHEDULED) == []


@pytest.mark.parametrize("rare", [-1, 500], ids=["common", "rare"])
def test_what_is_rare_is_found_as_what_is_common(
    tracking: Tracking, asked: dict[str, Envelope], monkeypatch: pytest.MonkeyPatch, rare: int
) -> None:
    """Only the way to it differs: along what is rare, or along what may be seen."""
    monkeypatch.setattr("services.tracking.queries.search.RARE", rare)
    eve, zoe = user("eve", VIEW, over=["400000000000000"]), user("zoe", VIEW, over=[MASTER])
    for by in ({"type": "accounts.cancel-account"}, {"channel": Channel.API}):
        assert found(tracking, asked, eve, **by) == ["new", "elsewhere"]
        assert [name for name in HERE if name in found(tracking, asked, zoe, **by)] == found(
            tracking, asked, zoe, **by
        )
    assert found(tracking, asked, zoe, type="accounts.suspend-account") == ["suspension"]
    assert found(tracking, asked, zoe, type="accounts.suspend-account", status=RequestStatus.REJECTED) == []
    assert found(tracking, asked, zoe, channel=Channel.PORTAL, overdue=False) == ["refused"]
    assert found(tracking, asked, eve, channel=Channel.PORTAL) == []


def test_an_own_request_from_before_its_account_moved_here_is_found_once(
    tracking: Tracking, asked: dict[str, Envelope]
) -> None:
    before = tracking.cancellation("pa", SMITH, time=NOON - 7 * HOUR, scope=ELSEWHERE)
    tracking.hear(before)
    names = {**asked, "before": before}
    here = [*HERE[1:-1], "before", "old"]
    assert found(tracking, names, user("pa", VIEW, over=[BASIC]), name="smith") == here
    assert found(tracking, names, user("zoe", VIEW, over=[BASIC]), name="smith") == [*HERE[1:]]


def test_accounts_in_the_body_narrow_the_search(tracking: Tracking, asked: dict[str, Envelope]) -> None:
    """Several, one, or none: none fit no request."""
    for ids, count in (([SMITH, GARCIA], 7), ([GARCIA], 2), ([], 0)):
        assert len(tracking.ask(SearchRequests(account_ids=ids)).data) == count
    assert tracking.ask(SearchRequests(account_ids=[SMITH], account_id=GARCIA)).data == []


def test_card_numbers_are_none_of_trackings_business(tracking: Tracking) -> None:
    with pytest.raises(Rejected, match="no card numbers"):
        tracking.ask(SearchRequests(card_numbers=["4000000000000000"]))


def test_what_lingers_is_found_however_old_it_is(tracking: Tracking, asked: dict[str, Envelope]) -> None:
    """Also where a job has looked through its time long before it was heard of."""
    tracking.now += timedelta(days=2)
    tracking.run_jobs()
    late = tracking.cancellation(time=NOON - timedelta(days=1))
    tracking.hear(late)
    assert found(tracking, {**asked, "late": late}, status=RequestStatus.RECEIVED) == ["new", "late"]
    assert found(tracking, {**asked, "late": late}, overdue=True) == ["new", "waits", "suspension", "late"]
    tracking.hear(tracking.outcome(late, CommandCompleted), tracking.outcome(asked["new"], CommandCompleted))
    assert found(tracking, asked, status=RequestStatus.RECEIVED) == []


def test_a_search_is_planned_once_for_all_that_ask_alike(
    tracking: Tracking, asked: dict[str, Envelope]
) -> None:
    """ADR 23. To plan it anew for each would take PostgreSQL longer than to carry it out."""
    if not tracking.database.is_postgresql:
        pytest.skip("SQLite plans no statement twice anyway")
    for name in ("smith", "garcia", "nobody"):
        found(tracking, asked, user("zoe", VIEW, over=[MASTER]), name=name)
    with tracking.database.read() as session:
        plans = session.execute(
            sa.text(
                "select sum(generic_plans) as once, sum(custom_plans) as anew from pg_prepared_statements"
            )
        ).one()
    assert plans.once > 0
    assert plans.anew == 0
