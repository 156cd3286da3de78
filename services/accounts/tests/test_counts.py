"""The number of live card accounts under each control account is right at every moment, whoever changes it (PRG-01)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.accounts.counts import LIVE, count_change
from services.accounts.model import CardAccount, live_accounts
from services.accounts.tests.programme import (
    FIELD,
    LEGAL,
    MASTER,
    NORTH,
    RETAIL,
    SALES,
    SOUTH,
    START,
    Programme,
    opening,
)
from shared.contracts.accounts import CancelAccount, CancelReason, SuspendAccount, TransferAccount
from shared.contracts.base import Message
from shared.contracts.structure import MoveControlAccount
from shared.messaging.envelope import Envelope
from shared.messaging.transaction import Batch, Transaction
from shared.settings import Settings

BASICS = (SALES, FIELD, LEGAL, RETAIL)


def cancelling(account: str) -> CancelAccount:
    return CancelAccount(account_id=account, reason=CancelReason.NOT_NEEDED)


def told(programme: Programme) -> dict[str, int]:
    """Return the counts as readers see them, but for those of nothing."""
    return {node.number: node.accounts for node in programme.tree() if node.accounts}


def from_scratch(programme: Programme) -> dict[str, int]:
    """Return what the counts have to be."""
    counts: Counter[str] = Counter()
    with programme.database.read() as session:
        found = session.scalars(
            sa.select(CardAccount).join(CardAccount.structure).where(CardAccount.status.in_(LIVE))
        )
        for account in found:
            counts.update(programme.node(account.control_account).path)
    return dict(counts)


def fold(programme: Programme) -> int:
    """Let the clock do its work, and return how many rows are left."""
    programme.new_worker().run_jobs()
    with programme.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(live_accounts)) or 0


def test_each_way_in_and_out_is_counted(programme: Programme) -> None:
    stays, goes, moves = (programme.open(SALES) for _ in range(3))
    programme.done(SuspendAccount(account_id=stays))
    programme.done(cancelling(goes))
    programme.done(TransferAccount(account_id=moves, control_account=LEGAL))
    assert told(programme) == {MASTER: 2, NORTH: 1, SALES: 1, SOUTH: 1, LEGAL: 1}


def test_what_is_refused_is_not_counted(programme: Programme) -> None:
    account = programme.open(SALES)
    programme.ended(*(programme.delivery(cancelling(account)) for _ in range(3)))
    assert told(programme) == {}


def test_folding_changes_no_count_and_leaves_a_row_each(programme: Programme) -> None:
    accounts = [programme.open(number) for number in (SALES, SALES, SALES, FIELD)]
    programme.done(cancelling(accounts[0]))
    before = told(programme)
    assert fold(programme) == 2
    assert told(programme) == before
    programme.ended(*(programme.delivery(cancelling(account)) for account in accounts[1:]))
    assert told(programme) == {}
    assert fold(programme) == 0


@pytest.mark.parametrize("tables", ["postgresql"], indirect=True)
def test_nobody_waits_for_another_who_counts_under_the_same_control_account(programme: Programme) -> None:
    """If anybody did, the batch would only end with the transaction that is open meanwhile: never."""
    first, second = programme.open(SALES), programme.open(SALES)
    with programme.database.write() as session:
        batch = Batch(session, "accounts", START, Settings(), {})
        tx = Transaction(batch, Envelope(id="1", key="", source="", time=START, data={}, correlation_id="1"))
        account = session.get_one(CardAccount, first, with_for_update=True)
        before = dict(vars(account))
        account.cancel(reason=CancelReason.OTHER, now=START)
        count_change(tx, account, before)
        batch.flush()
        programme.done(cancelling(second))
        programme.new_worker().run_jobs()
        assert told(programme)[SALES] == 1
    assert told(programme) == {}


_STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "cancel", "suspend", "transfer", "move", "fold"]), st.integers(0, 9)),
    min_size=4,
    max_size=16,
)


def _message(kind: str, n: int, accounts: list[str]) -> Message:
    account = accounts[n % len(accounts)]
    match kind:
        case "open":
            return opening(BASICS[n % 4])
        case "cancel":
            return cancelling(account)
        case "suspend":
            return SuspendAccount(account_id=account)
        case "move":
            return MoveControlAccount(number=BASICS[n % 4], parent=(NORTH, SOUTH)[n % 2])
    return TransferAccount(account_id=account, control_account=BASICS[n % 4])


@given(scripts=st.lists(_STEPS, min_size=4, max_size=4))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_are_those_from_scratch_whatever_four_workers_do_at_once(
    programme: Programme, scripts: list[list[tuple[str, int]]]
) -> None:
    """All four work on the same few accounts under the same few control accounts."""
    accounts = [programme.open(BASICS[n % 2]) for n in range(6)]

    def work(script: list[tuple[str, int]]) -> list[str]:
        worker, ended = programme.new_worker(), []
        for start in range(0, len(script), 4):
            part = script[start : start + 4]
            batch = [programme.delivery(_message(kind, n, accounts)) for kind, n in part if kind != "fold"]
            ended += [one["ended"] for one in programme.ended(*batch, by=worker)]
            if len(batch) < len(part):
                worker.run_jobs()
        return ended

    with ThreadPoolExecutor(4) as pool:
        ended = [one for some in pool.map(work, scripts) for one in some]

    assert "failed" not in ended
    assert told(programme) == from_scratch(programme)
    fold(programme)
    assert told(programme) == from_scratch(programme)
