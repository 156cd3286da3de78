"""Files become postings: to whom, once, resumed, and what is said of every row that is not posted as it stands."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.statements.imports.posting import post_imports
from services.statements.tests.files import BASIC, CENTRAL, CSV, MASTER, OTHER_BASIC, Files
from shared.errors import NotFound, Rejected, Unavailable
from shared.messaging.transaction import Transaction

CARD, OTHER_CARD = "4111111111111111", "5555555555554444"


def test_rows_are_posted_to_the_account_of_the_card(files: Files) -> None:
    account = files.open("1", card=CARD)
    import_id = files.load(
        f"Id,Date,Amount,Merchant,Card\na,2026-02-01,12.50,Café,{CARD}\nb,2026-02-02,-2,Café,{CARD}\n"
    )
    one = files.one(import_id)
    assert (one.state, one.rows, one.posted, one.seen, one.suspended, one.refused) == (
        "posted",
        2,
        2,
        0,
        0,
        0,
    )
    assert files.balances() == {account: 1050, "purchases:EUR": -1050}
    assert [(row.kind, row.amount, row.merchant, row.source_key) for row in files.postings()] == [
        ("purchase", 1250, "Café", "a"),
        ("refund", -200, "Café", "b"),
    ]
    files.assert_balanced()


def test_what_a_company_pays_is_posted_to_its_control_account(files: Files) -> None:
    files.load(f"Id,Date,Amount,Kind,Company\np,2026-02-01,-100,payment,{CENTRAL}\n")
    assert files.balances() == {CENTRAL: -10000, "payments:EUR": 10000}


def test_a_card_account_that_is_billed_centrally_is_posted_to_its_control_account(files: Files) -> None:
    account = files.open("1", CENTRAL, card=CARD, cost_centre="C1")
    files.load(f"Id,Date,Amount,Card\na,2026-02-01,5,{CARD}\n")
    (row,) = files.postings()
    assert (row.account_id, row.ledger_account, row.cost_centre) == (account, CENTRAL, "C1")
    assert files.balances() == {CENTRAL: 500, "purchases:EUR": -500}


def test_an_account_is_found_by_the_first_way_that_names_just_one(files: Files) -> None:
    first = files.open("1", card=CARD, cost_centre="C1", employee_id="E1")
    second = files.open("2", card="4012888888881111", cost_centre="C2")
    files.load(
        "Id,Date,Amount,Four,Centre,Employee\na,2026-02-01,1,1111,C1,\nb,2026-02-01,2,1111,C2,E1\nc,2026-02-01,3,1111,C3,E1\n"
    )
    assert files.balances() == {first: 400, second: 200, "purchases:EUR": -600}


def test_rows_that_nobody_can_be_found_for_stand_in_suspense(files: Files) -> None:
    files.open("1", card=CARD, cost_centre="C1")
    files.open("2", card="4012888888881111", cost_centre="C1")
    import_id = files.load(
        f"Id,Date,Amount,Card,Four,Centre\na,2026-02-01,1,{OTHER_CARD},,\nb,2026-02-01,2,,1111,C1\nc,2026-02-01,3,,,\n"
    )
    assert files.balances() == {"suspense:EUR": 600, "purchases:EUR": -600}
    assert files.findings(import_id) == [
        (2, "suspended", "unknown_account"),
        (3, "suspended", "several_accounts"),
        (4, "suspended", "unknown_account"),
    ]
    assert files.one(import_id).suspended == 3
    files.assert_balanced()


def test_what_is_not_in_the_currency_of_its_account_stands_in_suspense(files: Files) -> None:
    files.open("1", card=CARD)
    import_id = files.load(f"Id,Date,Amount,Currency,Card\na,2026-02-01,1000,JPY,{CARD}\n")
    assert files.findings(import_id) == [(2, "suspended", "other_currency")]
    assert files.balances() == {"suspense:JPY": 1000, "purchases:JPY": -1000}


def test_accounts_are_looked_for_below_the_control_account_of_the_file(files: Files) -> None:
    own = files.open("1", BASIC, employee_id="E1")
    files.open("2", OTHER_BASIC, employee_id="E1")
    files.load("Id,Date,Amount,Employee\na,2026-02-01,1,E1\n", control_account=MASTER)
    assert files.balances() == {own: 100, "purchases:EUR": -100}
    files.load("Id,Date,Amount,Employee\nb,2026-02-01,1,E1\n")
    assert files.balances()["suspense:EUR"] == 100


def test_two_companies_may_number_their_transactions_alike(files: Files) -> None:
    own, other = files.open("1", BASIC, employee_id="E1"), files.open("2", OTHER_BASIC, employee_id="E1")
    files.load("Id,Date,Amount,Employee\n1,2026-02-01,1,E1\n", control_account=MASTER)
    files.load("Id,Date,Amount,Employee\n1,2026-02-01,2,E1\n", control_account=OTHER_BASIC)
    assert (files.balances()[own], files.balances()[other]) == (100, 200)


def test_a_control_account_that_is_not_there_is_refused(files: Files) -> None:
    with pytest.raises(NotFound):
        files.take_in("Id,Date,Amount\n1,2026-02-01,1\n", control_account="9" * 15)


def test_several_workers_post_a_file_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.statements.imports.posting.BATCH", 20)
    import_id = files.take_in("Id,Date,Amount\n" + "".join(f"{i},2026-02-01,1\n" for i in range(300)))
    files.submit(import_id)

    def work() -> None:
        while files.one(import_id).state != "posted":
            try:
                post_imports(files.transact)
            except Unavailable:
                continue  # another was quicker; a worker's next turn comes

    with ThreadPoolExecutor(3) as workers:
        for done in [workers.submit(work) for _ in range(3)]:
            done.result()
    one = files.one(import_id)
    assert (one.posted, one.seen, one.suspended) == (300, 0, 300)
    assert len(files.postings()) == 300
    files.assert_balanced()


def test_a_file_that_was_posted_before_is_refused(files: Files) -> None:
    content = "Id,Date,Amount\na,2026-02-01,1\n"
    first = files.load(content)
    with pytest.raises(Rejected, match=first) as refused:
        files.take_in(content)
    assert refused.value.code == "file_seen"
    assert len(files.postings()) == 1


def test_a_file_that_was_not_posted_yet_can_be_sent_again(files: Files) -> None:
    content = "Id,Date,Amount\na,2026-02-01,1\n"
    first = files.take_in(content)
    second = files.load(content)
    assert (files.one(first).state, files.one(second).state) == ("discarded", "posted")
    assert len(files.postings()) == 1


def test_a_row_that_was_posted_before_posts_nothing_and_says_so(files: Files) -> None:
    files.load("Id,Date,Amount\na,2026-02-01,1\nb,2026-02-01,1\n")
    again = files.load("Id,Date,Amount\nb,2026-02-01,1\nc,2026-02-01,1\nc,2026-02-01,1\n")
    assert (files.one(again).posted, files.one(again).seen) == (1, 2)
    outcomes = [outcome for _, outcome, _ in files.findings(again)]
    assert outcomes[0] == "seen"
    assert sorted(outcomes[1:]) == ["seen", "suspended"]
    files.assert_balanced()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    brought=st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=8), min_size=1, max_size=3),
    batch=st.integers(1, 4),
)
def test_whatever_files_have_in_common_is_posted_once(
    files: Files, monkeypatch: pytest.MonkeyPatch, brought: list[list[int]], batch: int
) -> None:
    """Whether all, some or none of a batch are new: each key moves money once, here as many cents as its number."""
    monkeypatch.setattr("services.statements.imports.posting.BATCH", batch)
    run = secrets.token_hex(4)
    accounts = [files.open(f"{run}{part}", employee_id=f"{run}{part}") for part in range(2)]
    posted = seen = 0
    for number, keys in enumerate(brought):
        rows = [f"{run}-{key},2026-02-01,0.0{key},{number},{run}{key % 2}" for key in keys]
        import_id = files.load("\n".join(["Id,Date,Amount,Merchant,Employee", *rows]))
        one = files.one(import_id)
        posted, seen = posted + one.posted, seen + one.seen
        assert [outcome for _, outcome, _ in files.findings(import_id)] == ["seen"] * one.seen
    known = {key for keys in brought for key in keys}
    assert (posted, posted + seen) == (len(known), sum(map(len, brought)))
    balances = files.balances()
    for part, account in enumerate(accounts):
        assert balances.get(account, 0) == sum(key for key in known if key % 2 == part)
    files.assert_balanced()


def test_rows_that_are_alike_are_each_posted_once_however_often_the_file_comes(files: Files) -> None:
    layout = CSV.replace('columns = "id"', 'columns = ["transacted_on", "amount"]\nrepeats = true').replace(
        'id = "Id"\n', ""
    )
    head = "Date,Amount,Merchant\n"
    coffee, other = "2026-02-01,2,\n", "2026-02-01,3,\n"
    files.load(head + coffee + coffee + other, layout)
    again = files.load(head + other + coffee + coffee + coffee, layout)
    assert [row.amount for row in files.postings()] == [200, 200, 300, 200]
    assert (files.one(again).posted, files.one(again).seen) == (1, 3)


def test_a_file_goes_on_where_it_broke_off(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.statements.imports.posting.BATCH", 2)
    monkeypatch.setattr("services.statements.short_runs.LONGEST_RUN_SECONDS", 600)
    rows = "".join(f"{i},2026-02-01,1\n" for i in range(7))
    import_id = files.take_in("Id,Date,Amount\n" + rows)
    files.submit(import_id)

    tries = count()

    def transact() -> AbstractContextManager[Transaction]:
        if next(tries) == 3:
            raise KeyboardInterrupt
        return files.transact()

    with pytest.raises(KeyboardInterrupt):
        post_imports(transact)
    assert files.one(import_id).position == 7
    assert len(files.postings()) == 6
    while post_imports(files.transact):
        pass
    assert (files.one(import_id).state, files.one(import_id).posted, files.one(import_id).seen) == (
        "posted",
        7,
        0,
    )
    files.assert_balanced()
