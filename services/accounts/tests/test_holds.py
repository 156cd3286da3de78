"""Holds in the history: who put which, until when, and who lifted it, also where the account stays unusable (ACC-18)."""

from datetime import timedelta

from services.accounts.tests.programme import MASTER, OPERATOR, START, Programme, user
from shared.contracts.accounts import SuspendAccount, UnsuspendAccount

PA = user(MASTER, user_id="pa")
WEEK = START + timedelta(days=7)


def test_each_hold_stands_in_the_history_whoever_put_or_lifted_it(programme: Programme) -> None:
    account = programme.insert_account()
    ours = programme.send(SuspendAccount(account_id=account, ends_at=WEEK), PA)
    theirs = programme.send(SuspendAccount(account_id=account, ends_at=WEEK), OPERATOR)
    lifted = programme.send(UnsuspendAccount(account_id=account), PA)

    changes = [(row.command_id, row.actor, row.field, row.old, row.new) for row in programme.changes(account)]

    times = f"{START.isoformat()} to {WEEK.isoformat()}"
    own, issuers = f"programme_administrator: {times}", f"issuer: {times}"
    assert changes[0] == (lifted, "pa", "hold", own, None)
    assert changes[1] == (theirs, OPERATOR.user_id, "hold", None, issuers)
    assert sorted(changes[2:]) == sorted(
        [(ours, "pa", "hold", None, own), (ours, "pa", "status", "active", "suspended")]
    )


def test_a_hold_that_ends_or_is_replaced_leaves_the_history_complete(programme: Programme) -> None:
    account = programme.insert_account()
    programme.send(
        SuspendAccount(account_id=account, effective_at=WEEK, ends_at=WEEK + timedelta(days=1)), PA
    )
    programme.send(SuspendAccount(account_id=account, ends_at=WEEK), PA)
    programme.pass_by(days=8)

    steps = [(old is None, new is None) for field, old, new in programme.history(account) if field == "hold"]

    put, removed = (True, False), (False, True)
    assert steps == [removed, put, removed, put]
