"""The number of live card accounts under each control account is right at every moment, whoever changes it (PRG-01)."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.accounts.counts import LIVE, count_change
from services.accounts.model import CardAccount, live_accounts
from services.accounts.tests.company import (
    FIELD,
    LEGAL,
    MASTER,
    NORTH,
    NOW,
    RETAIL,
    SALES,
    SOUTH,
    Companies,
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


def told(companies: Companies) -> dict[str, int]:
    """Return the counts as readers see them, but for those of nothing."""
    return {node.number: node.accounts for node in companies.tree() if node.accounts}


def from_scratch(companies: Companies) -> dict[str, int]:
    """Return what the counts have to be."""
    counts: Counter[str] = Counter()
    with companies.database.read() as session:
        found = session.scalars(
            sa.select(CardAccount).join(CardAccount.structure).where(CardAccount.status.in_(LIVE))
        )
        for account in found:
            counts.update(companies.node(account.control_account).path)
    return dict(counts)


def fold(companies: Companies) -> int:
    """Let the clock do its work, and return how many rows are left."""
    companies.dispatcher().run_jobs()
    with companies.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(live_accounts)) or 0


def test_each_way_in_and_out_is_counted(companies: Companies) -> None:
    stays, goes, moves = (companies.new_account(SALES) for _ in range(3))
    companies.done(SuspendAccount(account_id=stays))
    companies.done(cancelling(goes))
    companies.done(TransferAccount(account_id=moves, control_account=LEGAL))
    assert told(companies) == {MASTER: 2, NORTH: 1, SALES: 1, SOUTH: 1, LEGAL: 1}


def test_what_is_refused_is_not_counted(companies: Companies) -> None:
    account = companies.new_account(SALES)
    companies.outcomes(*(companies.delivery(cancelling(account)) for _ in range(3)))
    assert told(companies) == {}


def test_folding_changes_no_count_and_leaves_a_row_each(companies: Companies) -> None:
    accounts = [companies.new_account(number) for number in (SALES, SALES, SALES, FIELD)]
    companies.done(cancelling(accounts[0]))
    before = told(companies)
    assert fold(companies) == 2
    assert told(companies) == before
    companies.outcomes(*(companies.delivery(cancelling(account)) for account in accounts[1:]))
    assert told(companies) == {}
    assert fold(companies) == 0


@pytest.mark.parametrize("tables", ["postgresql"], indirect=True)
def test_nobody_waits_for_another_who_counts_under_the_same_control_account(companies: Companies) -> None:
    """If anybody did, the batch would only end with the transaction that is open meanwhile: never."""
    first, second = companies.new_account(SALES), companies.new_account(SALES)
    with companies.database.write() as session:
        batch = Batch(session, "accounts", NOW, Settings(), {})
        tx = Transaction(batch, Envelope(id="1", key="", source="", time=NOW, data={}, correlation_id="1"))
        account = session.get_one(CardAccount, first, with_for_update=True)
        before = dict(vars(account))
        account.cancel(reason=CancelReason.OTHER, now=NOW)
        count_change(tx, account, before)
        batch.flush()
        companies.done(cancelling(second))
        companies.dispatcher().run_jobs()
        assert told(companies)[SALES] == 1
    assert told(companies) == {}


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
    companies: Companies, scripts: list[list[tuple[str, int]]]
) -> None:
    """All four work on the same few accounts under the same few control accounts."""
    accounts = [companies.new_account(BASICS[n % 2]) for n in range(6)]

    def work(script: list[tuple[str, int]]) -> list[str]:
        worker, ended = companies.dispatcher(), []
        for start in range(0, len(script), 4):
            part = script[start : start + 4]
            batch = [companies.delivery(_message(kind, n, accounts)) for kind, n in part if kind != "fold"]
            ended += [one["ended"] for one in companies.outcomes(*batch, by=worker)]
            if len(batch) < len(part):
                worker.run_jobs()
        return ended

    with ThreadPoolExecutor(4) as pool:
        ended = [one for some in pool.map(work, scripts) for one in some]

    assert "failed" not in ended
    assert told(companies) == from_scratch(companies)
    fold(companies)
    assert told(companies) == from_scratch(companies)
