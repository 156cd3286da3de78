"""Cancellations that are to come: visible, withdrawable, carried out once, and overtaken (ACC-12, Part 2 no. 1)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from services.accounts.model import Cancellation, Order
from services.accounts.tests.programme import MASTER, Programme, user
from shared.contracts.accounts import (
    AccountCancelled,
    CancelAccount,
    CancelReason,
    SuspendAccount,
    WithdrawCancellation,
)
from shared.contracts.cards import ActivateCard
from shared.contracts.tracking import Decision

PA = user(MASTER)


def cancelling(programme: Programme, account: str, *, days: float = 0) -> CancelAccount:
    return CancelAccount(
        account_id=account,
        reason=CancelReason.EMPLOYMENT_ENDED,
        effective_at=programme.now + timedelta(days=days) if days else None,
    )


@pytest.fixture
def account(programme: Programme) -> str:
    """An account whose card is active."""
    id_ = programme.open()
    programme.send(ActivateCard(account_id=id_))
    return id_


def test_a_cancellation_waits_for_its_time_and_is_carried_out_once(
    programme: Programme, account: str
) -> None:
    asked = programme.send(cancelling(programme, account, days=30), PA)
    assert programme.outcomes(asked) == ["scheduled"]
    (change,) = programme.pending(account)
    assert (change.kind, change.status, change.withdrawable) == ("cancellation", "scheduled", True)
    assert (change.command_id, change.actor) == (asked, "a-client")

    programme.pass_by(days=29)
    assert programme.profile(account).status == "active"
    programme.pass_by(days=9)  # the system was down when its time came
    programme.run_jobs()

    assert programme.outcomes(asked) == ["scheduled", "completed"]
    profile = programme.profile(account)
    assert (profile.status, profile.cancel_reason) == ("cancelled", "employment_ended")
    assert programme.states(account) == ["closed"]
    assert len(programme.events(AccountCancelled, account)) == 1
    assert programme.pending(account) == []


def test_a_cancellation_is_taken_back(programme: Programme, account: str) -> None:
    asked = programme.send(cancelling(programme, account, days=30))
    programme.decide(asked, CancelAccount, Decision.WITHDRAW)
    assert programme.outcomes(asked) == ["scheduled", "withdrawn"]
    assert programme.pending(account) == []
    programme.pass_by(days=31)
    assert programme.profile(account).status == "active"


def test_a_cancellation_is_taken_back_by_its_account(programme: Programme, account: str) -> None:
    """ACC-12: whichever request scheduled it; that one is withdrawn."""
    asked = programme.send(cancelling(programme, account, days=30))

    taken_back = programme.send(WithdrawCancellation(account_id=account), PA)
    again = programme.send(WithdrawCancellation(account_id=account), PA)

    assert programme.outcomes(asked) == ["scheduled", "withdrawn"]
    assert programme.outcomes(taken_back) == ["completed"]
    assert programme.outcomes(again) == ["nothing_scheduled"]
    (removed, put) = programme.changes(account)[:2]
    assert (put.field, put.old, put.command_id) == ("scheduled_cancellation", None, asked)
    assert (removed.field, removed.old, removed.new) == (put.field, put.new, None)
    assert (removed.command_id, removed.actor) == (taken_back, PA.user_id)
    assert programme.pending(account) == []
    programme.pass_by(days=31)
    assert programme.profile(account).status == "active"


def test_an_immediate_cancellation_overtakes_a_scheduled_one(programme: Programme, account: str) -> None:
    """No request waits for ever."""
    later = programme.send(cancelling(programme, account, days=30))
    at_once = programme.send(cancelling(programme, account))
    assert programme.outcomes(later) == ["scheduled", "superseded"]
    assert programme.outcomes(at_once) == ["completed"]
    programme.pass_by(days=31)
    assert len(programme.events(AccountCancelled, account)) == 1


def test_of_two_scheduled_cancellations_the_later_word_counts(programme: Programme, account: str) -> None:
    first = programme.send(cancelling(programme, account, days=30))
    second = programme.send(cancelling(programme, account, days=10))
    assert programme.outcomes(first) == ["scheduled", "superseded"]
    programme.pass_by(days=11)
    assert programme.outcomes(second) == ["scheduled", "completed"]


def test_what_waits_is_listed_in_order_of_time(programme: Programme, account: str) -> None:
    programme.send(cancelling(programme, account, days=30))
    start, end = (programme.now + timedelta(days=days) for days in (5, 50))
    programme.send(SuspendAccount(account_id=account, effective_at=start, ends_at=end))
    assert programme.kinds(account) == ["suspension", "cancellation", "end_of_suspension"]


@pytest.mark.parametrize(("days", "code"), [(-1, "effective_at_in_past"), (185, "effective_at_too_far")])
def test_an_impossible_time_is_refused(programme: Programme, account: str, days: int, code: str) -> None:
    asked = programme.send(cancelling(programme, account, days=days))
    assert programme.outcomes(asked) == [code]
    assert programme.pending(account) == []


def test_several_workers_carry_each_out_once(programme: Programme) -> None:
    """Each takes locks, so what one is at work on, another waits for and then finds done."""
    accounts = [programme.open() for _ in range(6)]
    for id_ in accounts:
        programme.send(cancelling(programme, id_, days=1))
    programme.now += timedelta(days=2)
    workers = [programme.new_worker() for _ in range(3)]
    with ThreadPoolExecutor(len(workers)) as pool:
        for processed in pool.map(lambda worker: worker.run_jobs(), workers):
            programme.hear(processed)
    assert [len(programme.events(AccountCancelled, id_)) for id_ in accounts] == [1] * 6
    with programme.database.read() as session:
        assert session.scalars(sa.select(Cancellation)).all() == []


def test_the_issuer_hears_of_a_cancellation_when_it_is_back(programme: Programme, account: str) -> None:
    programme.close_the_issuer()
    asked = programme.send(cancelling(programme, account))
    assert programme.outcomes(asked) == ["completed"]
    programme.pass_by(seconds=1)
    assert notices(programme) == [account]
    programme.open_the_issuer()
    programme.pass_by(minutes=5)
    assert notices(programme) == []


def notices(programme: Programme) -> list[str]:
    """Return the accounts that the issuer is still to close."""
    with programme.database.read() as session:
        return list(session.scalars(sa.select(Order.account_id)))


def test_cancelling_many_costs_no_statement_for_each(programme: Programme) -> None:
    """The cards, what was scheduled and the notices to the issuer of a whole batch take one statement each."""
    few, many = ([programme.open() for _ in range(count)] for count in (8, 24))
    assert statements(programme, few) == statements(programme, many)


def statements(programme: Programme, accounts: list[str]) -> int:
    """Return how many statements it takes to cancel these accounts in one batch."""
    deliveries = [programme.delivery(cancelling(programme, account)) for account in accounts]
    (engine, *_) = programme.database.engines
    seen: list[str] = []

    def note(*event: Any) -> None:
        seen.append(event[2])

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        programme.deliver(*deliveries)
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    asked = [str(one.message_id) for one in deliveries]
    assert [programme.outcomes(one) for one in asked] == [["completed"]] * len(accounts)
    return len(seen)
