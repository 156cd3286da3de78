"""Card accounts are found by every criterion, alone and with others, in pages, within what a caller may see (ACC-01..05)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.keys import make_keys
from services.accounts.model import Card, CardAccount, ControlAccount
from services.accounts.queries import search
from services.accounts.reactions import note_standing
from services.accounts.rules import is_dormant
from shared.actor import EVERYWHERE, Actor, Party
from shared.contracts.accounts import AccountStatus, FindAccounts, PaymentStatus, Product
from shared.contracts.cards import CardState
from shared.contracts.statements import AccountStandingChanged
from shared.contracts.structure import Level
from shared.contracts.types import Money
from shared.database import Database
from shared.days import months_before
from shared.ids import new_id
from shared.messaging.envelope import Envelope
from shared.messaging.transaction import Batch, Reader, Transaction
from shared.settings import Settings

NOW = datetime(2026, 8, 31, 12, tzinfo=UTC)
TODAY = NOW.date()
KEYS: dict[str, Any] = make_keys()
MASTER, OTHER = "100000000000001", "200000000000001"
FIRST, SECOND, ELSEWHERE = "100000000000003", "100000000000004", "200000000000003"
NODES = [
    (MASTER, None, Level.MASTER, "North", "N1"),
    ("100000000000002", MASTER, Level.INTERMEDIATE, "North", "N1"),
    (FIRST, f"{MASTER}/100000000000002", Level.BASIC, "North", "N1"),
    (SECOND, f"{MASTER}/100000000000002", Level.BASIC, "North", "N1"),
    (OTHER, None, Level.MASTER, "South", "S1"),
    ("200000000000002", OTHER, Level.INTERMEDIATE, "South", "S1"),
    (ELSEWHERE, f"{OTHER}/200000000000002", Level.BASIC, "South", "S1"),
]
HOLDERS: dict[str, dict[str, Any]] = {
    "zoe": {"first_name": "Zoë", "last_name": "Ångström", "embossed_name": "ZOE ANGSTROM", "employee_id": "E1"},
    "ana": {
        "first_name": "Ana María", "last_name": "García López", "embossed_name": "ANA GARCIA", "cost_centre": "CC1",
        "payment_status": PaymentStatus.PAST_DUE_30, "last_used_on": date(2025, 10, 30),
    },
    "tom": {
        "first_name": "Tom", "last_name": "Strom", "embossed_name": "T STROM", "status": AccountStatus.SUSPENDED,
        "product": Product.CORPORATE_GOLD, "last_used_on": date(2026, 8, 1), "cost_centre": "CC1",
    },
    "old": {
        "first_name": "Old", "last_name": "Hand", "embossed_name": "OLD HAND", "status": AccountStatus.CANCELLED,
        "nil_since": date(2025, 2, 28), "control_account": SECOND, "universal_number": "U-1", "balance": 0,
        "currency": "EUR", "last_used_on": date(2025, 1, 1),
    },
    "sun": {
        "first_name": "Sun", "last_name": "Angstrom", "embossed_name": "SUN ANGSTROM", "control_account": ELSEWHERE,
        "payment_status": PaymentStatus.PAST_DUE_90, "balance": -1250, "currency": "SEK",
    },
}  # fmt: skip
IN_ORDER = ["sun", "zoe", "ana", "old", "tom"]


@pytest.fixture
def database(tables: str) -> Iterator[Database]:
    """Accounts of two companies."""
    opened = Database(tables)
    with opened.write() as session:
        for number, above, level, company, company_number in NODES:
            path = f"{above}/{number}" if above else number
            parent = above.split("/")[-1] if above else None
            session.add(
                ControlAccount(
                    number=number, parent=parent, level=level, path=path, name=number, company_name=company,
                    company_number=company_number,
                )
            )  # fmt: skip
            session.flush()
        for name, holder in HOLDERS.items():
            add(session, name, **holder)
    yield opened
    opened.close()


def add(session: Any, name: str, *, first_name: str, last_name: str, embossed_name: str, **more: Any) -> None:
    given = {
        "control_account": FIRST, "product": Product.CORPORATE_GREEN, "status": AccountStatus.ACTIVE,
        "payment_status": PaymentStatus.CURRENT, **more,
    }  # fmt: skip
    account = CardAccount(id=f"acc_{name:z<26}", opened_at=NOW - timedelta(days=40), version=1, **given)
    account.rename(first_name, last_name, embossed_name)
    card = Card(
        id=new_id("crd"), account_id=account.id, number_encrypted=b"", number_hash=name, last_four="0018",
        issued_on=TODAY, expires_on=TODAY, live=True, sequence=1, state=CardState.ACTIVE, since=NOW,
    )  # fmt: skip
    session.add(account)
    session.flush()
    session.add(card)
    session.flush()


def reader(session: Any, over: list[str] | None = None) -> Reader:
    where = frozenset([EVERYWHERE] if over is None else over)
    party = Party.ISSUER if over is None else Party.CLIENT
    actor = Actor(user_id="pa", party=party, grants={"accounts.view": where})
    return Reader(session, actor, "accounts.view", NOW, Settings(**KEYS))


def found(database: Database, over: list[str] | None = None, limit: int = 2, **criteria: Any) -> list[str]:
    """Return the names of all pages together; each page is short, so that there are several."""
    names: list[str] = []
    cursor = None
    while True:
        with database.read() as session:
            page = search.find_accounts(
                FindAccounts(**criteria, limit=limit, cursor=cursor), reader(session, over)
            )
        names += [row.account_id[4:7] for row in page.data]
        if not page.has_more:
            return names
        cursor = page.next_cursor


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, IN_ORDER),
        ({"name": "ANGS"}, ["sun", "zoe"]),
        ({"name": "zoe a"}, ["zoe"]),
        ({"last_name": "garcía l"}, ["ana"]),
        ({"last_name": "lopez"}, []),
        ({"first_name": "zoé"}, ["zoe"]),
        ({"first_name": "ana m"}, ["ana"]),
        ({"first_name": "tr"}, []),
        ({"first_name": "lopez"}, []),
        ({"first_name": "%"}, []),
        ({"embossed_name": "t s"}, ["tom"]),
        ({"name_part": "STRÖM"}, ["sun", "zoe", "tom"]),
        ({"name_part": "a garcia"}, ["ana"]),
        ({"name_part": "100%"}, []),
        ({"product": Product.CORPORATE_GOLD}, ["tom"]),
        ({"status": [AccountStatus.ACTIVE, AccountStatus.CANCELLED]}, ["sun", "zoe", "ana", "old"]),
        ({"payment_status": [PaymentStatus.PAST_DUE_30, PaymentStatus.PAST_DUE_90]}, ["sun", "ana"]),
        ({"employee_id": "E1"}, ["zoe"]),
        ({"cost_centre": "CC1"}, ["ana", "tom"]),
        ({"cost_centre": "CC1", "name_part": "strom", "status": [AccountStatus.SUSPENDED]}, ["tom"]),
        ({"universal_number": "U-1"}, ["old"]),
        ({"control_account": MASTER}, ["zoe", "ana", "old", "tom"]),
        ({"control_account": SECOND}, ["old"]),
        ({"company_number": "S1"}, ["sun"]),
        ({"company_number": "S1", "control_account": MASTER}, []),
        ({"months_unused": 1}, ["sun", "zoe", "ana", "old"]),
        ({"months_unused": 10}, ["ana", "old"]),
        ({"months_unused": 13}, ["old"]),
        ({"dormant": True}, ["old"]),
        ({"dormant": False}, ["sun", "zoe", "ana", "tom"]),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    ("looked_through", "with_part"), [(9, 0), (-1, 9), (-1, 0)], ids=["all", "those with it", "in order"]
)
def test_the_issuer_finds_by_each_criterion(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    looked_through: int,
    with_part: int,
    criteria: dict[str, Any],
    expected: list[str],
) -> None:
    monkeypatch.setattr(search, "MOST_LOOKED_THROUGH", looked_through)
    monkeypatch.setattr(search, "MOST_WITH_PART", with_part)
    assert found(database, **criteria) == expected
    here = [name for name in expected if name != "sun"]
    assert found(database, [MASTER], **criteria) == here
    assert found(database, [SECOND, ELSEWHERE], **criteria) == [n for n in expected if n in {"old", "sun"}]
    assert found(database, [], **criteria) == []


def test_a_result_says_how_many_there_are(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """ACC-05: on the first page, and as long as counting is cheap."""
    with database.read() as session:
        first = search.find_accounts(FindAccounts(limit=2), reader(session))
        assert (first.total, first.has_more) == (5, True)
        second = search.find_accounts(FindAccounts(limit=2, cursor=first.next_cursor), reader(session))
        assert second.total is None
        assert search.find_accounts(FindAccounts(name="tom s", limit=2), reader(session)).total == 0
        monkeypatch.setattr(search, "MOST_COUNTED", 4)
        assert search.find_accounts(FindAccounts(limit=2), reader(session)).total is None


def test_a_row_tells_how_the_account_stands(database: Database) -> None:
    with database.read() as session:
        rows = {
            row.account_id[4:7]: row for row in search.find_accounts(FindAccounts(), reader(session)).data
        }
    assert rows["sun"].balance == Money(amount=-1250, currency="SEK")
    assert (rows["zoe"].balance, rows["zoe"].last_used_on, rows["zoe"].dormant) == (None, None, False)
    assert (rows["old"].dormant, rows["old"].last_used_on) == (True, date(2025, 1, 1))


@pytest.mark.parametrize(
    ("day", "months", "before"),
    [
        (date(2026, 8, 31), 18, date(2025, 2, 28)),
        (date(2026, 8, 31), 30, date(2024, 2, 29)),
        (date(2026, 1, 15), 1, date(2025, 12, 15)),
        (date(2026, 8, 31), 12, date(2025, 8, 31)),
    ],
)
def test_months_are_counted_as_a_calendar_does(day: date, months: int, before: date) -> None:
    assert months_before(day, months) == before
    assert is_dormant(before, day, months)
    assert not is_dormant(before + timedelta(days=1), day, months)
    assert not is_dormant(None, day, months)


def told(account_id: str, second: int) -> AccountStandingChanged:
    return AccountStandingChanged(
        account_id=account_id, as_of=NOW + timedelta(seconds=second), balance=100 * second, currency="EUR",
        payment_status=PaymentStatus.PAST_DUE_60 if second % 2 else PaymentStatus.CURRENT,
        last_used_on=TODAY - timedelta(days=second), nil_since=None,
    )  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seconds=st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_the_latest_standing_counts_in_whatever_order_it_is_told(
    database: Database, seconds: list[int]
) -> None:
    account_id = f"acc_{'zoe':z<26}"
    with database.write() as session:
        session.execute(sa.update(CardAccount).values(standing_as_of=None))
        for second in seconds:
            event = told(account_id, second)
            envelope = Envelope(
                id="e", key=event.contract.key, source="statements", time=NOW, data=event, correlation_id="e"
            )
            note_standing(event, Transaction(Batch(session, "accounts", NOW, Settings(**KEYS), {}), envelope))
        row = session.execute(
            sa.select(CardAccount.balance, CardAccount.payment_status, CardAccount.last_used_on).where(
                CardAccount.id == account_id
            )
        ).one()
    latest = told(account_id, max(seconds))
    assert tuple(row) == (latest.balance, latest.payment_status, latest.last_used_on)
