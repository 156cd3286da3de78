"""Suspense matches itself: what became known later gets what waited for it, once, by the layout's ways, within the file's bounds."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import count
from typing import Any

import pytest

from services.statements.imports import looking_again
from services.statements.imports import posting as import_posting
from services.statements.imports.layout_file import read_layout
from services.statements.imports.looking_again import match_suspense
from services.statements.imports.matching import find_accounts
from services.statements.imports.protection import protection_of
from services.statements.imports.suspense import look_again
from services.statements.imports.taking_in import take_in
from services.statements.model import entry, ledger_account, suspended, suspense_due
from services.statements.tests.files import CSV, Files
from services.statements.tests.programme import ABOVE, KYOTO, MASTER, SALES, TRAVEL, Programme
from shared.contracts.accounts import AccountingChanged, AccountOpened, AccountTransferred, Product
from shared.contracts.cards import CardIssued
from shared.contracts.imports import (
    GetImport,
    ImportRow,
    ListImportFindings,
    ListSuspense,
    MatchTransaction,
    PostImport,
)
from shared.contracts.reconciliation import ListCodingHistory
from shared.contracts.statements import CorrectTransaction, PaymentPosted
from shared.contracts.structure import (
    BillingModel,
    ControlAccountOpened,
    ControlAccountSettingsChanged,
    Level,
)
from shared.contracts.types import Money
from shared.ids import new_id
from shared.messaging.transaction import Transaction
from shared.service import Running
from shared.testing.eventually import eventually

HEAD = "Id,Date,Amount,Currency,Card,Four,Centre,Employee,Company,Kind\n"
CARD = "4111111111111111"
ELSEWHERE = "200000000000001"


def load(programme: Programme, *rows: str, below: str | None = None) -> str:
    """Post a file of which nothing is known yet; a row is ``amount[,currency[,card[,four[,centre[,employee[,…]]]]]]``."""
    running = Running(database=programme.database, settings=programme.settings, clock=lambda: programme.now)
    lines = (f"{new_id('txn')},2026-02-01,{row}{',' * (7 - row.count(','))}\n" for row in rows)
    import_id = take_in(
        BytesIO((HEAD + "".join(lines)).encode()),
        read_layout(CSV, "test"),
        running,
        uploaded_by="op",
        control_account=below,
    )
    programme.send(PostImport(import_id=import_id))
    return import_id


def issue(programme: Programme, account: str, number: str = CARD, place: str = SALES) -> CardIssued:
    """Return the event of a card that was made."""
    number_hash, _, last_four = protection_of(programme.settings)(number).partition(":")
    return CardIssued(
        account_id=account, control_account=place, card_id=new_id("crd"), expires_on=programme.today,
        number_hash=number_hash, last_four=last_four,
    )  # fmt: skip


def balances(programme: Programme) -> Mapping[str, int]:
    return {row.id: row.balance for row in programme.rows(ledger_account)}


def look(programme: Programme, import_id: str) -> ImportRow:
    found: ImportRow = programme.ask(GetImport(import_id=import_id))
    return found


def reasons(programme: Programme) -> list[str]:
    return [one.reason for one in programme.ask(ListSuspense()).data]


def waits_for_a_lock(programme: Programme) -> bool:
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with programme.database.read() as session:
        return bool(session.connection().exec_driver_sql(waiting).scalar())


def test_what_waited_for_a_card_is_posted_when_the_card_is_known(programme: Programme) -> None:
    import_id = load(programme, f"12.50,EUR,{CARD}", f"-2,EUR,{CARD}", "3,EUR,5555555555554444")
    assert (look(programme, import_id).suspended, look(programme, import_id).matched) == (3, 0)
    account = programme.open()
    assert balances(programme) == {"suspense:EUR": 1350, "purchases:EUR": -1350}
    issued = issue(programme, account)
    programme.hear(issued)

    assert balances(programme) == {account: 1050, "suspense:EUR": 300, "purchases:EUR": -1350}
    found = look(programme, import_id)
    assert (found.posted, found.suspended, found.matched) == (3, 1, 2)
    outcomes = [
        (one.line, one.outcome) for one in programme.ask(ListImportFindings(import_id=import_id)).data
    ]
    assert outcomes == [(2, "matched"), (3, "matched"), (4, "suspended")]
    assert not programme.rows(suspense_due)
    bought = next(one for one in programme.transactions(account) if one.amount.amount == 1250)
    (change,) = programme.ask(ListCodingHistory(transaction_id=bought.transaction_id)).data
    assert (change.field, change.old, change.new) == ("account", "suspense", account)
    assert (change.actor, change.channel, change.command) == ("system", "system", "accounts.card-issued")
    programme.check_the_books()


def test_what_is_heard_again_posts_nothing_more(programme: Programme) -> None:
    load(programme, f"5,EUR,{CARD}")
    account = programme.open()
    programme.hear(issue(programme, account))
    programme.hear(issue(programme, account))
    programme.pass_by(minutes=5)
    assert balances(programme)[account] == 500
    assert len(programme.rows(entry)) == 2


def test_an_account_is_found_by_nothing_but_the_ways_of_the_layout(programme: Programme) -> None:
    """Four digits alone are no way of this layout, and a cost centre is none."""
    load(programme, "1,EUR,,1111,C1", "2,EUR,,1111,C2", "3,EUR,,,C1")
    account = programme.open(cost_centre="C1")
    programme.hear(issue(programme, account))
    assert balances(programme)[account] == 100
    assert reasons(programme) == ["unknown_account"] * 2


def test_two_that_fit_are_nobodys_until_one_does_not(programme: Programme) -> None:
    import_id = load(programme, "1,EUR,,,,E1")
    programme.hear(*(opened(SALES, employee_id="E1") for _ in range(2)))
    assert reasons(programme) == ["several_accounts"]
    (finding,) = programme.ask(ListImportFindings(import_id=import_id)).data
    assert (finding.outcome, finding.code) == ("suspended", "several_accounts")
    assert "More than one" in finding.message


def opened(number: str, **facts: Any) -> AccountOpened:
    given = {"account_id": new_id("acc"), **facts}
    return AccountOpened(control_account=number, product=Product.CORPORATE_GOLD, **given)


def test_a_file_of_one_company_never_posts_outside_it(programme: Programme) -> None:
    programme.hear(ControlAccountOpened(number=ELSEWHERE, parent=None, level=Level.BASIC))
    import_id = load(programme, "1,EUR,,,,E1", f"2,EUR,{CARD}", below=MASTER)
    stranger = programme.open(ELSEWHERE, employee_id="E1")
    programme.hear(issue(programme, stranger, place=ELSEWHERE))
    assert look(programme, import_id).suspended == 2
    assert stranger not in balances(programme)
    own = programme.open(SALES, employee_id="E1")
    assert balances(programme)[own] == 100
    programme.hear(
        AccountTransferred(
            account_id=stranger, control_account=SALES, former_control_account=ELSEWHERE, version=2
        )
    )
    assert balances(programme)[stranger] == 200
    programme.check_the_books()


def test_what_is_billed_in_another_currency_stays_and_says_so(programme: Programme) -> None:
    load(programme, "1,EUR,,,,E1")
    yen = programme.open(KYOTO, employee_id="E1")
    assert reasons(programme) == ["other_currency"]
    programme.hear(
        AccountTransferred(account_id=yen, control_account=SALES, former_control_account=KYOTO, version=2)
    )
    assert balances(programme)[yen] == 100


def test_fields_of_the_books_may_be_what_was_missing(programme: Programme) -> None:
    load(programme, "1,EUR,,,,E1")
    account = programme.open()
    programme.hear(
        AccountingChanged(
            account_id=account, control_account=SALES, employee_id="E1", cost_centre=None,
            universal_number=None, version=2,
        )
    )  # fmt: skip
    assert balances(programme)[account] == 100


def test_a_payment_that_leaves_suspense_is_told_and_counts_as_one(programme: Programme) -> None:
    """By itself, of a card account and of a control account that is billed centrally from now on, and by hand."""
    load(programme, "-5,EUR,,,,E1,,payment", f"-7,EUR,,,,,{SALES},payment", "-9,EUR,,,,E9,,payment")
    account = programme.open(TRAVEL, employee_id="E1")
    programme.hear(ControlAccountSettingsChanged(number=SALES, version=2, billing_model=BillingModel.CENTRAL))
    (left,) = programme.ask(ListSuspense()).data
    programme.send(MatchTransaction(transaction_id=left.transaction_id, control_account=TRAVEL))
    told = sorted(
        (one.account_id or "", one.control_account, one.amount) for one in programme.events(PaymentPosted)
    )
    assert told == [("", SALES, 700), ("", TRAVEL, 900), (account, TRAVEL, 500)]
    assert {row.id: row.payments for row in programme.rows(ledger_account) if row.control_account} == {
        TRAVEL: 1400, SALES: 700,
    }  # fmt: skip
    programme.check_the_books()


def test_settings_are_inherited_by_what_waits_for_a_control_account(programme: Programme) -> None:
    load(programme, f"-7,EUR,,,,,{SALES},payment")
    programme.hear(ControlAccountSettingsChanged(number=ABOVE, version=1, billing_model=BillingModel.CENTRAL))
    assert balances(programme)[SALES] == -700


def test_an_account_may_be_heard_of_before_the_control_account_above_it(programme: Programme) -> None:
    load(programme, "1,EUR,,,,E1")
    account = programme.open(ELSEWHERE, employee_id="E1")
    assert reasons(programme) == ["unknown_account"]
    programme.hear(ControlAccountOpened(number=ELSEWHERE, parent=None, level=Level.BASIC))
    assert balances(programme)[account] == 100


def test_what_left_suspense_is_corrected_where_it_came_from(programme: Programme) -> None:
    load(programme, "5,EUR,,,,E1")
    (waiting,) = programme.ask(ListSuspense()).data
    wrong = CorrectTransaction(
        transaction_id=waiting.transaction_id, amount=Money(amount=300, currency="EUR"), comment="less"
    )
    assert programme.send(wrong)["code"] == "in_suspense"
    account = programme.open(employee_id="E1")
    (posted,) = programme.transactions(account)
    programme.send(
        CorrectTransaction(
            transaction_id=posted.transaction_id, amount=Money(amount=300, currency="EUR"), comment="less"
        )
    )
    assert balances(programme) == {account: 300, "suspense:EUR": 0, "purchases:EUR": -300}
    programme.check_the_books()


# Much of it, several at once, and in the middle


def test_much_is_taken_a_part_at_a_time_and_gone_on_with_after_a_crash(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_again, "LOOKED_AT_ONCE", 4)
    monkeypatch.setattr("services.statements.short_runs.LONGEST_RUN_SECONDS", 600)
    rows = "".join(f"{i},2026-02-01,1,{'E1' if i % 3 else 'E2'}\n" for i in range(20))
    import_id = files.load(f"Id,Date,Amount,Employee\n{rows}")
    account = files.open("1", employee_id="E1")
    with files.transact() as tx:
        look_again(account, tx)
    tries = count()

    @contextmanager
    def killed() -> Iterator[Transaction]:
        with files.transact() as tx:
            yield tx
            if next(tries) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        match_suspense(killed)
    assert 0 < files.balances()[account] <= 2 * 400
    assert match_suspense(files.transact)
    assert files.balances() == {account: 1300, "suspense:EUR": 700, "purchases:EUR": -2000}
    assert len(files.postings()) == 20 + 13
    assert [outcome for _, outcome, _ in files.findings(import_id)].count("matched") == 13
    files.assert_balanced()


def test_several_workers_that_hear_of_it_at_once_post_it_once(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_again, "LOOKED_AT_ONCE", 7)
    account = new_id("acc")
    load(programme, *(f"1,EUR,{CARD}" if place % 2 else "1,EUR,,,,E1" for place in range(60)))
    heard: list[Callable[[], object]] = [
        partial(programme.hear, opened(SALES, account_id=account, employee_id="E1")),
        partial(programme.hear, issue(programme, account)),
        partial(programme.hear, issue(programme, account)),
        programme.work,
    ]
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(one) for one in heard]:
            done.result()
    programme.pass_by(minutes=1)
    assert balances(programme) == {account: 6000, "suspense:EUR": 0, "purchases:EUR": -6000}
    assert len(programme.rows(entry)) == 120
    assert not programme.rows(suspended)
    programme.check_the_books()


def test_the_second_of_two_workers_sees_what_the_first_could_not(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has the posting locked, and has not found its account, when the card becomes known."""
    if not programme.database.is_postgresql:
        pytest.skip("one writer at a time")
    load(programme, f"1,EUR,{CARD},,,E1")
    account = programme.open()
    calls = count()
    with ThreadPoolExecutor() as pool:

        def meanwhile(*args: Any) -> None:
            find_accounts(*args)
            if next(calls) == 0:
                second = pool.submit(programme.hear, issue(programme, account))
                eventually(lambda: second.done() or waits_for_a_lock(programme), describe="the second waits")

        monkeypatch.setattr(looking_again, "find_accounts", meanwhile)
        programme.hear(opened(KYOTO, employee_id="E1"))
    programme.pass_by(minutes=1)
    assert balances(programme) == {account: 100, "suspense:EUR": 0, "purchases:EUR": -100}


def test_an_account_that_becomes_known_while_its_file_is_posted_is_not_missed(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither sees the other: the rows go to suspense after the errand has found nothing there."""
    if not programme.database.is_postgresql:
        pytest.skip("one writer at a time")
    calls = count()
    account = new_id("acc")

    def meanwhile(*args: Any) -> None:
        find_accounts(*args)
        if next(calls) == 0:
            programme.hear(opened(SALES, account_id=account, employee_id="E1"))
            assert not programme.rows(suspense_due), "it was looked for"

    monkeypatch.setattr(import_posting, "find_accounts", meanwhile)
    import_id = load(programme, "1,EUR,,,,E1", "2,EUR,,,,E1")
    assert balances(programme) == {account: 300, "suspense:EUR": 0, "purchases:EUR": -300}
    assert look(programme, import_id).matched == 2
