"""Loading the demonstration programme: all or nothing, once, with real encryption, and with every index at the end."""

from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import make_url

from services.accounts import demonstration
from services.accounts.demonstration import Account, Holder, HoldInForce, Node, load
from services.accounts.model import Card, CardAccount, ControlAccount, Hold, live_accounts, open_holds
from services.accounts.service import service
from services.accounts.vault import vault_of
from shared.contracts.accounts import AccountStatus, HoldOrigin
from shared.database import Database, sqlite_url
from shared.errors import Unavailable
from shared.migrations import differences, upgrade
from shared.settings import Settings
from shared.testing.databases import Database as FreshDatabase

NOW = datetime(2026, 3, 2, tzinfo=UTC)
NODES = [
    Node("100000000000001", "Acme", "master", None, "100000000000001", "Acme", "1", None),
    Node(
        "100000000000002",
        "Sales",
        "basic",
        "100000000000001",
        "100000000000001/100000000000002",
        "Acme",
        "1",
        "Ann",
    ),
]
HOLD = HoldInForce(
    id=f"hold_{0:026}",
    origin="issuer",
    effective_at=NOW - timedelta(days=1),
    ends_at=NOW + timedelta(days=90),
    comment=None,
    command_id="5b0a6c1e-9a1f-5c7e-8d53-3f1e0a6f2b90",
    command_key="accounts.suspend-account.v1",
    actor="issuer.operator",
    channel="operator",
)


def account(number: int) -> Account:
    """The third of every three is suspended."""
    suspended = number % 3 == 2
    return Account(
        id=f"acc_{number:026}",
        control_account="100000000000002",
        product="corporate_green",
        status="suspended" if suspended else "active",
        payment_status="current",
        cancel_reason=None,
        cancelled_at=None,
        opened_at=NOW,
        last_used_on=None,
        holder=Holder(
            "Zoë",
            "O'Brien\t\\N",
            "1 High Street",
            None,
            "Leeds",
            "LS1",
            "GB",
            None,
            None,
            None,
            "E1",
            "C1",
            None,
        ),
        card_id=f"crd_{number:026}",
        card_number=f"{9999000000000000 + number}",
        issued_on=date(2026, 1, 31),
        hold=HOLD._replace(id=f"hold_{number:026}") if suspended else None,
    )


class Accounts:
    """Any number of accounts, and a crash after some of them."""

    def __init__(self, count: int, *, first: int = 0, crash_after: int | None = None) -> None:
        self._count, self._first, self._crash_after = count, first, crash_after

    def __len__(self) -> int:
        return self._count

    def part(self, start: int, stop: int) -> Iterator[Account]:
        for number in range(start, stop):
            if number == self._crash_after:
                raise RuntimeError("the lights go out")
            yield account(self._first + number)


def counts(database: Database) -> list[int]:
    with database.read() as session:
        return [
            session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
            for model in (ControlAccount, CardAccount, Card, Hold)
        ]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "_CHUNK", 4)


KEYS = Settings(
    card_encryption_key=b64encode(b"1" * 32).decode(), card_lookup_key=b64encode(b"2" * 32).decode()
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    kind: str = request.param
    where = (
        sqlite_url(tmp_path / "accounts.sqlite")
        if kind == "sqlite"
        else request.getfixturevalue("database").url
    )
    upgrade(service, where)
    return where


@pytest.fixture
def store(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


def test_accounts_are_written_whole(store: Database) -> None:
    assert load(store, KEYS, NODES, Accounts(10))
    assert counts(store) == [2, 10, 10, 3]
    with store.read() as session:
        saved = session.get_one(CardAccount, account(2).id)
        card = session.scalars(sa.select(Card).where(Card.account_id == saved.id)).one()
        (hold,) = open_holds(session, [saved.id])
    assert saved.last_name == "O'Brien\t\\N"
    assert saved.embossed_name.startswith("ZOE O'BRIEN")
    assert saved.name_key.startswith("o'brien")
    assert saved.status is AccountStatus.SUSPENDED
    assert (saved.opened_at, saved.version, saved.email) == (NOW, 1, None)
    assert hold.in_force
    assert hold.origin is HoldOrigin.ISSUER
    assert (hold.effective_at, hold.ends_at) == (HOLD.effective_at, HOLD.ends_at)
    vault = vault_of(KEYS)
    assert vault.decrypt(card.number_encrypted, card.id) == account(2).card_number
    assert card.number_hash == vault.hash(account(2).card_number)
    assert (card.last_four, card.live, card.expires_on) == ("0002", True, date(2029, 1, 31))


def test_live_accounts_are_counted(store: Database) -> None:
    class OneCancelled(Accounts):
        def part(self, start: int, stop: int) -> Iterator[Account]:
            for one in super().part(start, stop):
                yield one._replace(status="cancelled") if one.id == account(3).id else one

    load(store, KEYS, NODES, OneCancelled(10))
    with store.read() as session:
        counted = session.execute(
            sa.select(live_accounts.c.control_account, live_accounts.c.difference)
        ).all()
    assert [tuple(row) for row in counted] == [(NODES[1].number, 9)]


def test_it_is_loaded_once(store: Database) -> None:
    assert load(store, KEYS, NODES, Accounts(3))
    assert not load(store, KEYS, NODES, Accounts(10))
    assert counts(store) == [2, 3, 3, 1]


def test_of_two_loads_at_the_same_time_one_loads(store: Database) -> None:
    with ThreadPoolExecutor() as pool:
        loads = [pool.submit(load, store, KEYS, NODES, Accounts(20)) for _ in range(2)]
    assert sorted(done.result() for done in loads) == [False, True]
    assert counts(store) == [2, 20, 20, 6]


@pytest.mark.parametrize("worth_rebuilding", [0, 1000])
def test_a_crash_leaves_nothing_half_loaded(
    store: Database, url: str, monkeypatch: pytest.MonkeyPatch, worth_rebuilding: int
) -> None:
    monkeypatch.setattr(demonstration, "_WORTH_REBUILDING", worth_rebuilding)
    with pytest.raises(RuntimeError, match="the lights go out"):
        load(store, KEYS, NODES, Accounts(20, crash_after=9))
    assert counts(store) == [0, 0, 0, 0]
    assert differences(service, url) == []
    assert load(store, KEYS, NODES, Accounts(20))


def test_several_processes_load_the_same(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "_WORTH_PROCESSES", 0)
    steps: list[int] = []
    assert load(store, KEYS, NODES, Accounts(50), progress=steps.append)
    assert counts(store) == [2, 50, 50, 16]
    with store.read() as session:
        assert list(session.scalars(sa.select(CardAccount.id).order_by(CardAccount.id))) == [
            account(number).id for number in range(50)
        ]


def test_a_crash_of_another_process_leaves_nothing_either(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demonstration, "_WORTH_PROCESSES", 0)
    with pytest.raises(RuntimeError, match="the lights go out"):
        load(store, KEYS, NODES, Accounts(50, crash_after=9))
    assert counts(store) == [0, 0, 0, 0]


def test_progress_adds_up_to_all_accounts(store: Database) -> None:
    steps: list[int] = []
    load(store, KEYS, NODES, Accounts(10), progress=steps.append)
    assert steps == [4, 4, 2]


def test_indexes_and_constraints_stand_after_they_were_built_anew(
    store: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _structure(store)
    monkeypatch.setattr(demonstration, "_WORTH_REBUILDING", 0)
    load(store, KEYS, NODES, Accounts(10))
    assert _structure(store) == before
    assert differences(service, url) == []
    for statement, refusal in (
        ("update card set number_hash = (select max(number_hash) from card)", Unavailable),
        ("update card_account set control_account = 'nowhere'", sa.exc.IntegrityError),
    ):
        with pytest.raises(refusal), store.write() as session:
            session.execute(sa.text(statement))


def _structure(store: Database) -> Any:
    """What PostgreSQL says of constraints and indexes; nothing is taken away on SQLite."""
    if not store.is_postgresql:
        return None
    with store.read() as session:
        indexes = session.execute(
            sa.text("select indexdef from pg_indexes where schemaname = 'public' order by 1")
        )
        constraints = session.execute(
            sa.text(
                "select conname, pg_get_constraintdef(oid) from pg_constraint"
                " where connamespace = 'public'::regnamespace order by 1"
            )
        )
        return indexes.scalars().all(), [tuple(row) for row in constraints]


def test_tables_in_use_keep_their_indexes(store: Database, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load(store, KEYS, NODES, Accounts(10))
    monkeypatch.setattr(demonstration, "_WORTH_REBUILDING", 0)
    monkeypatch.setattr(demonstration, "_around_bulk", _never)
    another = [NODES[0]._replace(number="200000000000001", path="200000000000001")]
    assert load(store, KEYS, another, Accounts(3, first=10))
    assert counts(store) == [3, 13, 13, 4]


def test_a_role_that_owns_no_table_loads_too(
    database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(service, database.url)
    monkeypatch.setattr(demonstration, "_WORTH_REBUILDING", 0)
    monkeypatch.setattr(demonstration, "_around_bulk", _never)
    role = f"{database.name}_worker"
    with psycopg.connect(database.conninfo, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login password 'worker'").format(sql.Identifier(role)))
        owner.execute(
            sql.SQL("grant select, insert on all tables in schema public to {}").format(sql.Identifier(role))
        )
    own = make_url(database.url).set(username=role, password="worker")
    store = Database(own.render_as_string(hide_password=False))
    try:
        assert load(store, KEYS, NODES, Accounts(10))
        assert counts(store) == [2, 10, 10, 3]
    finally:
        store.close()
        with psycopg.connect(database.conninfo, autocommit=True) as owner:
            owner.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
            owner.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def _never(*_: object) -> None:
    raise AssertionError("indexes were to be taken away")
