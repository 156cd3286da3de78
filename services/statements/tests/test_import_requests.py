"""What is asked of a file over the queues: it is posted once its findings are accepted, its refused rows mended, suspense matched."""

import csv
from io import BytesIO, StringIO

import pytest

from services.statements.imports.layout_file import read_layout
from services.statements.imports.mending import refused_rows
from services.statements.imports.taking_in import take_in
from services.statements.model import import_row, ledger_account
from services.statements.tests.files import CSV
from services.statements.tests.programme import KYOTO, MASTER, SALES, TRAVEL, Programme
from shared.contracts.imports import (
    GetImport,
    ImportState,
    ListImportFindings,
    ListImports,
    ListSuspense,
    MatchTransaction,
    PostImport,
    RowOutcome,
)
from shared.contracts.statements import PaymentPosted
from shared.service import Running

HEAD = "Id,Date,Amount,Currency,Employee,Kind,Company\n"
TOTALS = CSV + '[[totals]]\nwhen = { id = "" }\nof = "file"\namount = "amount"\n'


def upload(programme: Programme, content: str, *, mended: bool = False) -> str:
    running = Running(database=programme.database, settings=programme.settings, clock=lambda: programme.now)
    layout = read_layout(TOTALS, "test")
    return take_in(BytesIO(content.encode()), layout, running, uploaded_by="op", mended=mended)


def balance(programme: Programme, ledger_account_id: str) -> int:
    return sum(row.balance for row in programme.rows(ledger_account) if row.id == ledger_account_id)


def test_a_file_with_findings_is_posted_only_when_they_are_accepted(programme: Programme) -> None:
    account = programme.open(employee_id="E1")
    import_id = upload(programme, f"{HEAD}a,2026-02-01,5,EUR,E1,,\nb,x,1,EUR,E1,,\n,,7,EUR,,,\n")
    found = programme.ask(GetImport(import_id=import_id))
    assert (found.state, found.rows, found.refused, found.control_totals, found.differing) == (
        "checked",
        2,
        1,
        1,
        1,
    )
    assert programme.send(PostImport(import_id=import_id))["code"] == "has_refused_rows"
    assert programme.send(PostImport(import_id=import_id, skip_refused=True))["code"] == "totals_differ"
    assert balance(programme, account) == 0
    done = programme.send(PostImport(import_id=import_id, skip_refused=True, skip_differences=True))
    assert {name: done[name] for name in ("rows", "posted", "refused", "seen", "suspended")} == {
        "rows": 2, "posted": 1, "refused": 1, "seen": 0, "suspended": 0,
    }  # fmt: skip
    assert balance(programme, account) == 500
    assert programme.send(PostImport(import_id=import_id, skip_refused=True))["code"] == "totals_differ"


def test_what_was_refused_is_mended_and_loaded_again(programme: Programme) -> None:
    account = programme.open(employee_id="E1")
    first = upload(programme, f'{HEAD}a,x,-5,EUR,E1,,\n"b ""1""",2026-02-01,1.005,EUR,E1,,\n')
    with programme.database.read() as session:
        rows = list(csv.DictReader(StringIO("".join(refused_rows(first, session)))))
    assert [row["line"] for row in rows] == ["2", "3"]
    assert "1.005" in rows[1]["reason"]
    rows[0]["transacted_on"], rows[1]["amount"] = "2026-02-01", "1.00"
    out = StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    second = upload(programme, out.getvalue(), mended=True)
    assert programme.send(PostImport(import_id=second))["posted"] == 2
    assert balance(programme, account) == -400


def test_what_there_is_to_say_of_rows_is_listed_page_by_page(programme: Programme) -> None:
    import_id = upload(programme, HEAD + "".join(f"{i},x,1,EUR,,,\n" for i in range(5)))
    first = programme.ask(ListImportFindings(import_id=import_id, outcome=RowOutcome.REFUSED, limit=3))
    rest = ListImportFindings(import_id=import_id, limit=3, cursor=first.next_cursor)
    second = programme.ask(rest)
    assert [row.line for row in (*first.data, *second.data)] == [2, 3, 4, 5, 6]
    assert second.next_cursor is None
    (listed,) = programme.ask(ListImports(state=ImportState.CHECKED)).data
    assert (listed.import_id, listed.refused) == (import_id, 5)


def test_a_payment_in_a_file_is_told_like_any_other(programme: Programme) -> None:
    account = programme.open(employee_id="E1")
    import_id = upload(
        programme, f"{HEAD}a,2026-02-01,-5,EUR,E1,payment,\nb,2026-02-01,-7,EUR,,payment,{TRAVEL}\n"
    )
    programme.send(PostImport(import_id=import_id))
    told = programme.events(PaymentPosted)
    assert sorted((one.account_id or "", one.control_account, one.amount) for one in told) == [
        ("", TRAVEL, 700),
        (account, SALES, 500),
    ]


def test_what_stands_in_suspense_goes_to_whose_it_is(programme: Programme) -> None:
    account = programme.open()
    import_id = upload(programme, f"{HEAD}a,2026-02-01,5,EUR,E9,,\nb,2026-02-01,-3,EUR,,payment,\n")
    programme.send(PostImport(import_id=import_id))
    bought, paid = programme.ask(ListSuspense()).data
    assert (bought.amount.amount, bought.employee_id, bought.reason) == (500, "E9", "unknown_account")
    done = programme.send(MatchTransaction(transaction_id=bought.transaction_id, account_id=account))
    assert "transaction_id" in done
    programme.send(MatchTransaction(transaction_id=paid.transaction_id, control_account=TRAVEL))
    assert (balance(programme, account), balance(programme, TRAVEL), balance(programme, "suspense:EUR")) == (
        500,
        -300,
        0,
    )
    assert not programme.ask(ListSuspense()).data
    again = programme.send(MatchTransaction(transaction_id=bought.transaction_id, account_id=account))
    assert again["code"] == "not_found"
    programme.check_the_books()


@pytest.mark.parametrize(
    ("place", "code"), [({}, "one_account"), ({"control_account": MASTER}, "not_found"), ({"control_account": SALES}, "not_found")],
    ids=["nobody", "master", "billed each"],
)  # fmt: skip
def test_what_cannot_be_its_account_is_refused(
    programme: Programme, place: dict[str, str], code: str
) -> None:
    programme.send(PostImport(import_id=upload(programme, f"{HEAD}a,2026-02-01,5,EUR,E9,,\n")))
    (waiting,) = programme.ask(ListSuspense()).data
    assert programme.send(MatchTransaction(transaction_id=waiting.transaction_id, **place))["code"] == code
    yen = programme.open(KYOTO)
    assert (
        programme.send(MatchTransaction(transaction_id=waiting.transaction_id, account_id=yen))["code"]
        == "wrong_currency"
    )


def test_the_rows_of_a_posted_file_are_forgotten_and_its_findings_kept(programme: Programme) -> None:
    import_id = upload(programme, f"{HEAD}a,2026-02-01,5,EUR,E9,,\n")
    programme.send(PostImport(import_id=import_id))
    programme.work()
    assert not programme.rows(import_row)
    assert programme.ask(GetImport(import_id=import_id)).posted == 1
    assert programme.ask(ListImportFindings(import_id=import_id)).data
