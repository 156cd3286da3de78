"""Whatever is posted, in whatever order and by however many at once: the books balance (a ledger's whole promise)."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import given as given_
from hypothesis import strategies as st

from services.statements.model import ledger_account, posting
from services.statements.tests.programme import KUWAIT, KYOTO, SALES, TRAVEL, Programme
from shared.contracts.statements import CorrectTransaction, PostTransactions
from shared.messaging.envelope import decode

CURRENCIES = {SALES: "EUR", TRAVEL: "EUR", KYOTO: "JPY", KUWAIT: "KWD"}
STEP = st.tuples(
    st.sampled_from(["purchase", "refund", "fee", "cash_advance", "payment", "again", "correct", "month"]),
    st.integers(0, 3),
    st.integers(1, 10_000),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given_(steps=st.lists(STEP, min_size=1, max_size=12))
def test_any_sequence_leaves_the_books_in_balance(
    programme: Programme, steps: list[tuple[str, int, int]]
) -> None:
    accounts = [programme.open(number) for number in CURRENCIES]
    for what, which, amount in steps:
        _do(what, accounts[which], list(CURRENCIES)[which], amount, programme)
        programme.check_the_books()


def _do(what: str, account: str, number: str, amount: int, programme: Programme) -> None:
    currency = CURRENCIES[number]
    mine = [row for row in programme.rows(posting) if row.account_id == account]
    match what:
        case "month":
            programme.pass_by(days=31)
        case "payment":
            programme.pay(account, amount, currency=currency)
        case "again":
            for row in mine[:1]:
                programme.spend(account, amount, currency=currency, source_key=row.source_key)
        case "correct":
            for row in mine[-1:]:
                programme.send(CorrectTransaction(transaction_id=row.id, comment="?"))
        case kind:
            programme.spend(account, amount, kind, currency=currency)


def test_many_at_once_leave_the_books_in_balance(programme: Programme) -> None:
    """Workers post to the same accounts, some of it twice, while a cycle closes."""
    accounts = [programme.open(number) for number in (SALES, SALES, TRAVEL, TRAVEL)]
    chance = random.Random(1)
    batches = []
    for batch in range(12):
        some: list[Any] = [
            programme.transaction(
                chance.choice(accounts), chance.randint(1, 999), source_key=f"{batch % 9}/{n}"
            )
            for n in range(8)
        ]
        batches.append(programme.command(PostTransactions(transactions=some)))
    programme.now += timedelta(days=9)  # it is the tenth

    def work(part: int) -> None:
        worker = programme.new_worker()
        for delivery in batches[part::3]:
            said = worker.process([delivery])
            said.add(worker.run_jobs())
            programme.said += [decode(publication.body) for publication in said.publications]

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, range(3)))
    programme.work()

    assert len(programme.rows(posting)) == 9 * 8
    billed = [row for row in programme.rows(ledger_account) if row.control_account]
    assert {row.id for row in billed} == {*accounts[:2], TRAVEL}
    programme.check_the_books()
