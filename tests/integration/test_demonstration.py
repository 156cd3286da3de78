"""The demonstration programme: the same every time, believable, and loaded once into either kind of database."""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import gcd
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from stdnum import luhn

from deploy.cli import cardwork
from deploy.compose import Distributed, Embedded, Shape
from deploy.demonstration import demo_users, draws, load_demonstration
from deploy.demonstration.accounts import DemonstrationAccounts
from deploy.demonstration.structure import COMPANIES, nodes, shares
from deploy.demonstration.users import users
from services.accounts.demonstration import Account
from services.accounts.embossing import embossed
from services.accounts.issuer import TEST_RANGE
from services.accounts.model import CardAccount
from services.accounts.rules import card_expiry
from services.identity.rules import ROLES, functions_of
from services.identity.sign_in import Visit, sign_in
from services.statements.model import ledger_account
from services.statements.trial_balance import differences, totals
from services.tracking.model import account as tracked_account
from services.tracking.model import control_account as tracked_control_account
from shared.actor import EVERYWHERE
from shared.contracts.accounts import AccountStatus, CancelReason, OpenAccount, PaymentStatus, Product
from shared.contracts.schema import strict
from shared.contracts.structure import Level, OpenControlAccount
from shared.settings import BadSettings, Settings
from shared.testing.databases import Postgres

TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
OTHER_KEY = b64encode(bytes(32)).decode()
KEY = b64encode(bytes(range(32))).decode()
DATABASES = ("accounts", "identity", "statements", "tracking")


@pytest.fixture(scope="module")
def accounts() -> list[Account]:
    return list(DemonstrationAccounts(2000, TODAY))


# What is generated


def test_it_is_the_same_every_time(accounts: list[Account]) -> None:
    assert accounts == list(DemonstrationAccounts(2000, TODAY))


def test_an_account_is_the_same_however_many_are_asked_for(accounts: list[Account]) -> None:
    assert accounts[:50] == list(DemonstrationAccounts(50, TODAY))


def test_it_stays_as_it_was_first_published(accounts: list[Account]) -> None:
    """People write these down; draw something else only on purpose."""
    first = accounts[0]
    assert (first.id, first.holder.first_name, first.holder.last_name, first.control_account) == (
        "acc_01kdvdna0001kgdadvvcrwrtwp",
        "Benoît",
        "Girard",
        "999901003000025",
    )
    assert demo_users()[1]["password"] == "heather-cinder-maple-copper-5126"


def test_only_dates_move_with_the_day(accounts: list[Account]) -> None:
    later = next(iter(DemonstrationAccounts(1, TODAY + timedelta(days=7))))
    first = accounts[0]
    moved = later._replace(
        opened_at=first.opened_at, issued_on=first.issued_on, last_used_on=first.last_used_on
    )
    assert moved == accounts[0]
    assert later.opened_at - accounts[0].opened_at == timedelta(days=7)


def test_no_two_share_an_id_or_a_card_number() -> None:
    many = 20_000
    seen = [{a.id[4:], a.card_id[4:], a.card_number} for a in DemonstrationAccounts(many, TODAY)]
    assert len(set().union(*seen)) == 3 * many


def test_card_numbers_can_never_meet() -> None:
    """Steps that share no divisor with the size of the range visit all of it before they return."""
    assert gcd(draws._STRIDE, draws._SERIALS) == 1
    assert draws._SERIALS > 10**6


def test_ids_are_in_order_and_of_the_usual_form(accounts: list[Account]) -> None:
    ids = [account.id for account in accounts]
    assert ids == sorted(ids)
    late = draws.ids(9_999_999, bytes(64))
    assert len(late[0]) == 26
    assert late[0][:12] > ids[-1][4:16]


def test_cards_are_valid_and_of_the_range_without_real_cards(accounts: list[Account]) -> None:
    for account in accounts:
        assert account.card_number.startswith(TEST_RANGE)
        assert len(account.card_number) == 16
        assert luhn.is_valid(account.card_number)


def test_accounts_keep_to_the_rules_of_the_language(accounts: list[Account]) -> None:
    """What the issuer could not have opened by command is not loaded past it."""
    schema = strict(OpenAccount)
    for account in accounts:
        holder = account.holder
        given = {name: value for name, value in holder._asdict().items() if value is not None}
        schema.load(
            {
                **given,
                "control_account": account.control_account,
                "product": account.product,
                "embossed_name": embossed(holder.first_name, holder.last_name),
            }
        )


def test_statuses_dates_and_holds_fit_together(accounts: list[Account]) -> None:
    for account in accounts:
        status = AccountStatus(account.status)
        assert (status is AccountStatus.CANCELLED) == (account.cancel_reason is not None)
        assert (status is AccountStatus.SUSPENDED) == (account.hold is not None)
        assert account.opened_at.date() <= account.issued_on < TODAY <= card_expiry(account.issued_on)
        if account.cancel_reason:
            assert CancelReason(account.cancel_reason)
            assert account.cancelled_at
            assert account.opened_at < account.cancelled_at < NOW
        if account.hold:
            assert account.opened_at < account.hold.effective_at < NOW
            assert timedelta(days=30) < account.hold.ends_at - NOW
            assert account.hold.ends_at - account.hold.effective_at <= timedelta(days=365)
            assert account.hold.actor in {user.user_id for user in users()}


def test_there_is_some_of_everything(accounts: list[Account]) -> None:
    statuses = Counter(account.status for account in accounts)
    assert statuses[AccountStatus.ACTIVE] > 0.85 * len(accounts)
    assert min(statuses[AccountStatus.SUSPENDED], statuses[AccountStatus.CANCELLED]) > 20
    assert {account.product for account in accounts} == set(Product)
    assert {account.payment_status for account in accounts} == set(PaymentStatus)
    assert len({account.holder.country for account in accounts}) == 3
    assert {account.hold.origin for account in accounts if account.hold} == {
        "programme_administrator",
        "issuer",
    }


def test_each_company_has_a_tree_of_control_accounts() -> None:
    """PRG-01: master > 2 to 4 intermediate > several basic."""
    by_number = {node.number: node for node in nodes()}
    schema = strict(OpenControlAccount)
    children = Counter(node.parent for node in nodes())
    assert Counter(node.level for node in nodes())[Level.MASTER] == len(COMPANIES) == 3
    assert len(by_number) == len(nodes())
    for place, node in enumerate(nodes()):
        schema.load({"number": node.number, "name": node.name, "level": node.level, "contact": node.contact})
        above = by_number[node.parent] if node.parent else None
        assert node.path == (f"{above.path}/{node.number}" if above else node.number)
        assert above is None or nodes().index(above) < place
        assert luhn.is_valid(node.number)
        assert node.level != Level.MASTER or 2 <= children[node.number] <= 4
        assert node.level != Level.INTERMEDIATE or children[node.number] >= 3


def test_every_department_has_accounts(accounts: list[Account]) -> None:
    departments = {node.number for node in nodes() if node.level == Level.BASIC}
    assert {account.control_account for account in accounts} == departments
    assert {department.number for department in shares()} == departments


# Who can sign in


def test_every_user_can_be_listed() -> None:
    listed = demo_users()
    assert all(user.keys() == {"user_id", "password", "role"} for user in listed)
    assert len({user["user_id"] for user in listed}) == len(listed)
    assert len({user["password"] for user in listed}) == len(listed)
    assert min(len(user["password"]) for user in listed) > 20


def test_there_is_a_user_of_each_role() -> None:
    """IDN-06."""
    assert {user["role"] for user in demo_users()} == set(ROLES)
    numbers = {node.number for node in nodes()} | {EVERYWHERE}
    for user in users():
        functions_of(user.role, user.party)  # raises where the party has no such role
        assert numbers.issuperset(user.control_accounts)


def test_each_company_has_its_administrators() -> None:
    wanted = {
        "programme_manager",
        "principal_programme_administrator",
        "programme_administrator",
        "alternate_programme_administrator",
    }
    for company in COMPANIES:
        assert {user.role for user in users() if user.company == company.number} >= wanted


# Loading


@pytest.fixture
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shape]:
    kind = getattr(request, "param", "embedded")
    if kind == "embedded":
        made: Shape = Embedded(Settings(data_directory=tmp_path))
    else:
        made = _distributed(request)
    for service in DATABASES:
        made.migrate(service)
    yield made
    made.close()


def _distributed(request: pytest.FixtureRequest) -> Shape:
    server: Postgres = request.getfixturevalue("postgres")
    databases = {name: server.new_database() for name in DATABASES}
    for fresh in databases.values():
        request.addfinalizer(fresh.drop)
    settings = Settings(
        broker_url="amqp://nobody@nowhere/", card_encryption_key=KEY, card_lookup_key=OTHER_KEY
    )
    made = Distributed(settings)
    made.database_url = lambda service: databases[service].url  # type: ignore[method-assign]
    return made


both_shapes = pytest.mark.parametrize("shape", ["embedded", "distributed"], indirect=True)


@both_shapes
def test_it_is_loaded_once_with_the_right_number_below_each_node(shape: Shape) -> None:
    seen: list[int] = []
    loaded = load_demonstration(shape, 300, seen.append)
    assert (loaded.accounts, loaded.control_accounts, loaded.users) == (300, len(nodes()), len(users()))
    assert sum(seen) == 300
    again = load_demonstration(shape, 999)
    assert not again.changed

    expected = Counter(account.control_account for account in DemonstrationAccounts(300, TODAY))
    with shape.database("accounts").read() as session:
        found = session.execute(
            sa.select(CardAccount.control_account, sa.func.count()).group_by(CardAccount.control_account)
        )
        assert Counter({row[0]: row[1] for row in found}) == expected


@both_shapes
def test_tracking_knows_the_accounts_by_name_and_kind(shape: Shape) -> None:
    """They tell no events; a programme that was loaded before tracking knew them is made up for."""
    load_demonstration(shape, 50)
    with shape.database("accounts").read() as session:
        expected = {
            (one.id, one.product, one.name_key, one.embossed_name, 1, one.control_account, 1)
            for one in session.scalars(sa.select(CardAccount))
        }
    assert _known_to_tracking(shape) == expected
    with shape.database("tracking").write() as session:
        session.execute(sa.delete(tracked_account))
    assert not load_demonstration(shape, 50).changed
    assert _known_to_tracking(shape) == expected


def _known_to_tracking(shape: Shape) -> set[tuple[Any, ...]]:
    with shape.database("tracking").read() as session:
        return {tuple(row) for row in session.execute(sa.select(tracked_account))}


@both_shapes
def test_tracking_knows_where_control_accounts_lie(shape: Shape) -> None:
    load_demonstration(shape, 1)
    with shape.database("tracking").read() as session:
        known = {tuple(row) for row in session.execute(sa.select(tracked_control_account))}
    assert known == {(node.number, node.parent, node.level, 1) for node in nodes()}


@both_shapes
def test_statements_owes_what_accounts_says_is_late(shape: Shape) -> None:
    """RPT-05: the figures of the home page count what a search among card accounts lists."""
    load_demonstration(shape, 300)
    with shape.database("accounts").read() as session:
        late = CardAccount.payment_status != PaymentStatus.CURRENT
        expected = {
            (one.id, one.payment_status.value) for one in session.scalars(sa.select(CardAccount).where(late))
        }
    with shape.database("statements").read() as session:
        in_debt = sa.select(ledger_account.c.id, ledger_account.c.payment_status)
        found = {
            tuple(row) for row in session.execute(in_debt.where(ledger_account.c.due_since.is_not(None)))
        }
        assert sum(total.balance for total in totals(session)) == 0
        assert differences(session) == []
    assert found == expected


def test_users_can_sign_in_with_the_listed_passwords(shape: Shape) -> None:
    load_demonstration(shape, 1)
    for user in demo_users():
        visit = Visit(user_id=user["user_id"], password=user["password"])
        opened = sign_in(shape.database("identity"), visit, now=shape.clock(), settings=shape.settings)
        assert opened.token
        assert opened.session.role == user["role"]


def test_without_keys_for_card_numbers_nothing_is_loaded(shape: Shape) -> None:
    shape.settings = replace(shape.settings, card_lookup_key=None)
    with pytest.raises(BadSettings, match="CARDWORK_CARD_LOOKUP_KEY"):
        load_demonstration(shape)


# The command


def test_the_command_loads_once_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWORK_DATA_DIRECTORY", str(tmp_path))
    first = CliRunner().invoke(cardwork, ["demo", "--accounts", "20"], catch_exceptions=False)
    assert "20 card accounts" in first.output
    second = CliRunner().invoke(cardwork, ["demo", "--accounts", "30"], catch_exceptions=False)
    assert "loaded already; nothing was changed" in second.output


def test_the_command_lists_the_users_without_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWORK_DATA_DIRECTORY", str(tmp_path))
    answer = CliRunner().invoke(cardwork, ["demo", "--list-users"], catch_exceptions=False)
    assert json.loads(answer.output) == demo_users()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", ["0", "-1", "10000001", "many"])
def test_an_impossible_number_is_refused(count: str) -> None:
    answer = CliRunner().invoke(cardwork, ["demo", "--accounts", count])
    assert answer.exit_code == 2
    assert "--accounts" in answer.output
