"""Cards expire, and are renewed before, by the clock and in the programme's time zone (ACC-06, Part 2 no. 12)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from services.accounts.tests.programme import Programme, running
from shared.contracts.accounts import CancelAccount, CancelReason, SuspendAccount
from shared.contracts.cards import AccountExpired, ActivateCard, CardIssued

EXPIRY = date(2029, 3, 31)  # of what is made in March 2026


@pytest.fixture
def account(programme: Programme) -> str:
    """An account whose card is active."""
    return active(programme)


def active(programme: Programme) -> str:
    id_ = programme.open()
    programme.send(ActivateCard(account_id=id_))
    return id_


def reach(programme: Programme, day: date, hour: int = 12) -> None:
    """Let it be this day in UTC, and do what has become due; twice, as a job that runs again must do nothing more."""
    programme.now = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    programme.run_jobs()
    programme.run_jobs()


def test_a_card_is_renewed_with_the_same_number(programme: Programme, account: str) -> None:
    before = programme.profile(account)
    assert before.expires_on == EXPIRY
    reach(programme, EXPIRY - timedelta(days=31))
    assert programme.states(account) == ["active"]
    reach(programme, EXPIRY - timedelta(days=30))
    assert programme.states(account) == ["shipped", "active"]
    programme.send(ActivateCard(account_id=account))
    after = programme.profile(account)
    assert (after.card_number, after.expires_on) == (before.card_number, date(2032, 3, 31))
    reach(programme, EXPIRY + timedelta(days=1))
    assert programme.states(account) == ["active", "closed"]
    assert programme.profile(account).status == "active"


def test_a_renewed_card_that_nobody_activated_can_still_be(programme: Programme, account: str) -> None:
    reach(programme, EXPIRY - timedelta(days=30))
    reach(programme, EXPIRY + timedelta(days=1))
    assert programme.states(account) == ["shipped", "expired"]
    profile = programme.profile(account)
    assert (profile.status, profile.card_state, profile.expires_on) == (
        "active",
        "shipped",
        date(2032, 3, 31),
    )
    programme.send(ActivateCard(account_id=account))
    assert [card.usable for card in programme.cards(account)] == [True, False]


def test_a_card_that_was_never_activated_ends_with_its_account(programme: Programme) -> None:
    """Nobody used it, so nobody gets another one."""
    id_ = programme.open()
    reach(programme, EXPIRY)
    assert programme.states(id_) == ["shipped"]
    reach(programme, EXPIRY + timedelta(days=1))
    assert programme.states(id_) == ["expired"]
    assert programme.profile(id_).status == "expired"
    assert len(programme.events(AccountExpired, id_)) == 1
    asked = programme.send(ActivateCard(account_id=id_))
    assert programme.outcomes(asked) == ["account_expired"]


def test_what_was_missed_is_made_up_for(programme: Programme, account: str) -> None:
    """The system was down from before the renewal until after the expiry; the issuer is away on top of it."""
    programme.close_the_issuer()
    reach(programme, EXPIRY + timedelta(days=10))
    assert programme.states(account) == ["expired"]
    assert programme.profile(account).status == "active"
    assert programme.kinds(account) == ["renewal"]
    programme.open_the_issuer()
    programme.pass_by(minutes=5)
    assert programme.states(account) == ["shipped", "expired"]
    assert programme.profile(account).card_state == "shipped"


def test_a_cancelled_account_is_never_renewed(programme: Programme, account: str) -> None:
    programme.send(CancelAccount(account_id=account, reason=CancelReason.FRAUD))
    reach(programme, EXPIRY - timedelta(days=30))
    reach(programme, EXPIRY + timedelta(days=1))
    assert programme.states(account) == ["closed"]
    assert programme.profile(account).status == "cancelled"


def test_a_suspended_account_is_renewed_like_others(programme: Programme, account: str) -> None:
    """A suspension ends; the new card is as unusable until then."""
    reach(programme, EXPIRY - timedelta(days=40))
    programme.send(SuspendAccount(account_id=account))
    reach(programme, EXPIRY - timedelta(days=30))
    programme.send(ActivateCard(account_id=account))
    assert programme.states(account) == ["active", "closed"]
    assert not any(card.usable for card in programme.cards(account))


def test_several_workers_renew_once(programme: Programme) -> None:
    accounts = [active(programme) for _ in range(5)]
    programme.now = datetime(2029, 3, 10, 12, tzinfo=UTC)
    workers = [programme.new_worker() for _ in range(3)]
    with ThreadPoolExecutor(len(workers)) as pool:
        for processed in pool.map(lambda worker: worker.run_jobs(), workers):
            programme.hear(processed)
    programme.run_jobs()
    assert [len(programme.events(CardIssued, id_)) for id_ in accounts] == [2] * 5
    assert [programme.states(id_) for id_ in accounts] == [["shipped", "active"]] * 5


@pytest.fixture
def in_auckland(tables: str, tmp_path: Path) -> Iterator[Programme]:
    """A programme at the other end of the world, thirteen hours ahead in March."""
    yield from running(tables, tmp_path, time_zone="Pacific/Auckland")


def test_days_are_those_of_the_programmes_time_zone(in_auckland: Programme) -> None:
    id_ = in_auckland.open()
    reach(in_auckland, EXPIRY, hour=10)
    assert in_auckland.states(id_) == ["shipped"]
    reach(in_auckland, EXPIRY, hour=12)
    assert in_auckland.states(id_) == ["expired"]
