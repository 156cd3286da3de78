"""Exports for the client's books: every transaction in one of them, locked, and the file for ever the same (STM-06)."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import given as given_
from hypothesis import strategies as st

from services.statements.exports import making, writing
from services.statements.handlers import coding as coding_handler
from services.statements.model import export_piece, exported, posting
from services.statements.tests.programme import ABOVE, KUWAIT, KYOTO, MASTER, SALES, TRAVEL, Programme
from services.statements.tests.test_coding import code, spent
from shared.actor import Actor, Party
from shared.contracts.reconciliation import (
    CancelExport,
    CodeTransactions,
    ExportCancelled,
    ExportRow,
    ExportState,
    ExportTransactions,
    GetExport,
    ListExportLayouts,
    ListExports,
    TransactionsExported,
)
from shared.contracts.statements import CorrectTransaction, FindTransactions
from shared.errors import NotFound
from shared.messaging.envelope import decode
from shared.testing.eventually import eventually

ELSEWHERE = "9" * 15


def asked(programme: Programme, number: str = MASTER, **facts: Any) -> ExportTransactions:
    given: dict[str, Any] = {"layout": "csv", "posted_from": date(2026, 1, 1), "posted_to": programme.today}
    return ExportTransactions(control_account=number, **{**given, **facts})


def make(
    programme: Programme, number: str = MASTER, actor: Actor | None = None, **facts: Any
) -> dict[str, Any]:
    """Have an export made, and return what became of the command."""
    return programme.send(asked(programme, number, **facts), actor)


def cancel(programme: Programme, export_id: str, actor: Actor | None = None) -> dict[str, Any]:
    return programme.send(CancelExport(export_id=export_id, comment="Booked in the wrong period."), actor)


def look(programme: Programme, export_id: str) -> ExportRow:
    found: ExportRow = programme.ask(GetExport(export_id=export_id))
    return found


def content_of(programme: Programme, export_id: str) -> bytes:
    """Return the file, whose pieces follow each other without a gap."""
    content = b""
    for row in sorted(programme.rows(export_piece), key=lambda row: row.begins_at):
        if row.export_id == export_id:
            assert row.begins_at == len(content)
            content += row.content
    assert look(programme, export_id).bytes == len(content)
    return content


def lines_of(programme: Programme, export_id: str, delimiter: str = ",") -> list[dict[str, str]]:
    text = content_of(programme, export_id).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def exporter(number: str) -> Actor:
    grants = dict.fromkeys(("transactions.code", "transactions.export"), frozenset({number}))
    return Actor(user_id="pia", party=Party.CLIENT, grants=grants)


def test_an_export_has_everything_below_its_control_account_as_it_is_coded(programme: Programme) -> None:
    ada, bob = programme.open(cost_centre="CC1", employee_id="E1"), programme.open(TRAVEL)
    programme.open(KYOTO)
    bought = spent(programme, ada, 1250, merchant="Café de Flore, Paris")
    spent(programme, bob, 300, "refund")
    programme.pay(TRAVEL, 100)
    code(programme, bought, cost_centre="CC2", ledger_code="6000", project="P-7")

    done = make(programme, ABOVE)

    assert done["transactions"] == 3
    first, second, third = lines_of(programme, done["export_id"])
    assert (first["transaction_id"], first["amount"], first["currency"]) == (bought, "12.50", "EUR")
    assert (first["cost_centre"], first["ledger_code"], first["project"]) == ("CC2", "6000", "P-7")
    assert (first["merchant"], first["holder"], first["employee_id"]) == (
        "Café de Flore, Paris",
        "ADA LOVELACE",
        "E1",
    )
    assert (second["amount"], second["account_id"], second["control_account"]) == ("-3.00", bob, TRAVEL)
    assert (third["kind"], third["amount"], third["account_id"], third["control_account"]) == (
        "payment",
        "-1.00",
        "",
        TRAVEL,
    )
    made = look(programme, done["export_id"])
    assert (made.state, made.transactions, made.asked_by) == (ExportState.READY, 3, "op")
    (total,) = made.totals
    assert (total.currency, total.transactions, total.amount, total.debits, total.credits) == (
        "EUR",
        3,
        850,
        1250,
        400,
    )
    (told,) = programme.events(TransactionsExported)
    assert (told.export_id, told.transactions, told.totals) == (made.export_id, 3, made.totals)


def test_what_is_exported_is_not_exported_again_and_what_is_new_is(programme: Programme) -> None:
    account = programme.open()
    first = spent(programme, account)
    early = make(programme)
    assert make(programme)["code"] == "nothing_to_export"
    second = spent(programme, account)
    late = make(programme)
    assert [row["transaction_id"] for row in lines_of(programme, early["export_id"])] == [first]
    assert [row["transaction_id"] for row in lines_of(programme, late["export_id"])] == [second]
    rows = programme.ask(FindTransactions(exported=True)).data
    assert [row.export_id for row in rows] == [late["export_id"], early["export_id"]]
    assert rows[0].exported_at == programme.now
    assert programme.ask(FindTransactions(exported=False)).data == []


def test_an_export_has_its_days_only(programme: Programme) -> None:
    account = programme.open()
    first = spent(programme, account)
    programme.go_to(date(2026, 3, 5))
    second = spent(programme, account)
    programme.go_to(date(2026, 3, 6))
    spent(programme, account)
    day = date(2026, 3, 5)
    done = make(programme, posted_from=day, posted_to=day)
    assert [row["transaction_id"] for row in lines_of(programme, done["export_id"])] == [second]
    done = make(programme, posted_to=day)
    assert [row["transaction_id"] for row in lines_of(programme, done["export_id"])] == [first]
    refused = make(programme, posted_from=day, posted_to=day - timedelta(days=1))
    assert refused == {"code": "period_ends_before_it_begins", "field": "posted_to"}


def test_what_nobody_has_coded_can_wait(programme: Programme) -> None:
    account = programme.open()
    ready, _ = spent(programme, account), spent(programme, account)
    assert make(programme, coded_only=True)["code"] == "nothing_to_export"
    code(programme, ready, ledger_code="6000")
    done = make(programme, coded_only=True)
    assert [row["transaction_id"] for row in lines_of(programme, done["export_id"])] == [ready]


def test_what_is_exported_is_locked_until_the_export_is_cancelled(programme: Programme) -> None:
    """Part 2 no. 15: the refusal names the export; a cancelled one lets go, and keeps its file."""
    account = programme.open()
    free, held = spent(programme, account), spent(programme, account)
    code(programme, held, ledger_code="6000")
    done = make(programme)
    later = spent(programme, account)
    refused = code(programme, later, free, ledger_code="7000")
    assert refused == {"code": "transaction_exported", "field": "transaction_ids/1"}
    content = content_of(programme, done["export_id"])

    assert cancel(programme, done["export_id"]) == {}

    made = look(programme, done["export_id"])
    assert (made.state, made.cancelled_by, made.transactions) == (ExportState.CANCELLED, "op", 2)
    assert len(programme.events(ExportCancelled)) == 1
    assert code(programme, held, ledger_code="7000") == {"transactions": 1}
    again = make(programme)
    assert [row["ledger_code"] for row in lines_of(programme, again["export_id"])] == ["", "7000", ""]
    assert content_of(programme, done["export_id"]) == content
    assert cancel(programme, done["export_id"])["code"] == "export_holds_nothing"


def test_a_file_stays_the_same_to_the_byte(programme: Programme) -> None:
    account = programme.open(cost_centre="CC1")
    wrong = spent(programme, account, 500)
    done = make(programme)
    content = content_of(programme, done["export_id"])
    correction = programme.send(CorrectTransaction(transaction_id=wrong, comment="Not theirs."))[
        "transaction_id"
    ]
    assert content_of(programme, done["export_id"]) == content
    next_one = make(programme)
    (row,) = lines_of(programme, next_one["export_id"])
    assert (row["transaction_id"], row["amount"]) == (correction, "-5.00")


def test_nobody_exports_outside_the_own_control_accounts(programme: Programme) -> None:
    spent(programme, programme.open())
    assert make(programme, SALES, exporter(TRAVEL)) == {"code": "not_found", "field": "control_account"}
    assert make(programme, MASTER, exporter(SALES))["code"] == "not_found", "it has more than they may see"
    assert make(programme, ELSEWHERE)["code"] == "not_found"
    done = make(programme, SALES, exporter(SALES))
    assert cancel(programme, done["export_id"], exporter(TRAVEL)) == {
        "code": "not_found",
        "field": "export_id",
    }
    with pytest.raises(NotFound):
        programme.ask(GetExport(export_id=done["export_id"]), exporter(TRAVEL))
    assert programme.ask(ListExports(), exporter(TRAVEL)).data == []
    assert [one.export_id for one in programme.ask(ListExports(), exporter(ABOVE)).data] == [
        done["export_id"]
    ]


def test_exports_are_listed_page_by_page(programme: Programme) -> None:
    account, yen = programme.open(), programme.open(KYOTO)
    ids = []
    for number, payer in ((SALES, account), (KYOTO, yen), (SALES, account)):
        spent(programme, payer, currency="JPY" if payer == yen else "EUR")
        ids.append(make(programme, number)["export_id"])
    cancel(programme, ids[0])
    newest_first = ids[::-1]
    page = programme.ask(ListExports(limit=2))
    rest = programme.ask(ListExports(limit=2, cursor=page.next_cursor))
    assert [one.export_id for one in (*page.data, *rest.data)] == newest_first
    assert [one.export_id for one in programme.ask(ListExports(control_account=KYOTO)).data] == [ids[1]]
    assert [one.export_id for one in programme.ask(ListExports(state=ExportState.CANCELLED)).data] == [ids[0]]


def test_an_operator_adds_a_layout_of_the_own(programme: Programme, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'title = "Ours"\n[file]\nform = "delimited"\nheader = false\n[[lines]]\ncolumns = [{ fact = "amount" }]\n'
    )
    (tmp_path / "broken.toml").write_text("title = 1\n")
    programme.settings = type(programme.settings)(
        assertion_public_key=programme.settings.assertion_public_key, export_layouts_directory=tmp_path
    )
    listed = {one.name: one.title for one in programme.ask(ListExportLayouts()).data}
    assert listed["own"] == "Ours"
    assert {"csv", "journal", "fixed"} <= listed.keys()
    assert "broken" not in listed
    spent(programme, programme.open(), 1250)
    assert make(programme, layout="unknown") == {"code": "unknown_layout", "field": "layout"}
    assert make(programme, layout="broken") == {"code": "bad_layout", "field": "layout"}
    done = make(programme, layout="own")
    assert content_of(programme, done["export_id"]) == b"12.50\r\n"


def test_what_does_not_fit_its_layout_is_given_up_and_lets_go(programme: Programme, tmp_path: Path) -> None:
    (tmp_path / "tight.toml").write_text(
        '[file]\nform = "fixed"\n[[lines]]\ncolumns = [{ fact = "amount", width = 4 }]\n'
    )
    programme.settings = type(programme.settings)(
        assertion_public_key=programme.settings.assertion_public_key, export_layouts_directory=tmp_path
    )
    account = programme.open()
    spent(programme, account, 999)
    big = spent(programme, account, 10_00)
    assert make(programme, layout="tight") == {"code": "does_not_fit", "field": "layout"}
    (failed,) = programme.ask(ListExports()).data
    assert (failed.state, failed.bytes) == (ExportState.FAILED, 0)
    assert "10.00" in (failed.problem or "")
    assert programme.rows(exported) == []
    assert code(programme, big, note="free") == {"transactions": 1}


def test_a_journal_debits_the_expense_and_credits_the_clearing_account(programme: Programme) -> None:
    account = programme.open()
    bought = spent(programme, account, 1250, merchant="=cmd()")
    spent(programme, account, 200, "refund")
    programme.pay(account, 100)
    code(programme, bought, ledger_code="6000", tax_code="V1")
    done = make(programme, layout="journal")
    assert done["transactions"] == 2, "payments are booked where they are made"
    rows = lines_of(programme, done["export_id"], ";")
    assert [(row["Account"], row["Debit"], row["Credit"], row["Tax code"]) for row in rows] == [
        ("6000", "12.50", "", "V1"), ("2300", "", "12.50", ""), ("6999", "", "2.00", ""), ("2300", "2.00", "", ""),
    ]  # fmt: skip
    assert rows[0]["Text"] == "'=cmd()", "a spreadsheet would run it"
    debits, credits_ = (sum(Decimal(row[side] or 0) for row in rows) for side in ("Debit", "Credit"))
    assert debits == credits_


def test_fixed_width_lines_have_control_totals_for_each_currency(programme: Programme) -> None:
    yen, dinar = programme.open(KYOTO), programme.open(KUWAIT, employee_id="E1")
    spent(programme, yen, 1250, currency="JPY", merchant="東京 Métro de très loin")
    spent(programme, dinar, 1250, "refund", currency="KWD")
    done = make(programme, layout="fixed")
    head, first, second, *ends = content_of(programme, done["export_id"]).decode("latin-1").split("\r\n")
    assert head == f"H{done['export_id']}{MASTER}20260101" + 2 * "20260301"
    assert [len(line) for line in (first, second)] == [200, 200]
    assert (first[0], first[1:10], first[56], first[57:72], first[72:75]) == (
        "T",
        "000000001",
        "D",
        "000000000001250",
        "JPY",
    )
    assert first[185:] == "?? Métro de trè"
    assert (second[56], second[57:72], second[72:75], second[75:85]) == (
        "C",
        "000000000001250",
        "KWD",
        "E1        ",
    )
    nothing, some = "0" * 18, "1250".rjust(18, "0")
    assert ends == [f"E000000001JPY{some}{nothing}", f"E000000001KWD{nothing}{some}", ""]


def test_an_export_that_is_killed_goes_on_where_it_was(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "PORTION", 2)
    account = programme.open()
    ids = [spent(programme, account, 100 + place) for place in range(7)]
    times = iter([None, None])

    def killed(*args: Any) -> bytes:
        next(times)  # StopIteration, the third time
        return writing.lines_of(*args)

    with monkeypatch.context() as during:
        during.setattr(making, "lines_of", killed)
        worker = programme.new_worker()
        worker.process([programme.command(asked(programme))])
        worker.run_jobs()
    (half,) = programme.ask(ListExports()).data
    assert (half.state, half.transactions) == (ExportState.MAKING, 4)
    assert cancel(programme, half.export_id)["code"] == "export_not_ready"
    programme.pass_by(minutes=1)
    made = look(programme, half.export_id)
    assert (made.state, made.transactions, made.totals[0].amount) == (
        ExportState.READY,
        7,
        sum(range(100, 107)),
    )
    assert [row["transaction_id"] for row in lines_of(programme, half.export_id)] == ids


def test_two_exports_at_once_never_have_one_transaction_in_both(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several workers make several exports of the same control account, while somebody codes."""
    monkeypatch.setattr(making, "PORTION", 3)
    account = programme.open()
    ids = [spent(programme, account, 100 + place) for place in range(20)]
    commands = [programme.command(asked(programme)) for _ in range(4)]
    codings = [programme.command(_coding(id_)) for id_ in ids[::3]]

    def work(part: int) -> None:
        worker = programme.new_worker()
        for delivery in (*commands[part::4], *codings[part::4]):
            said = worker.process([delivery])
            said.add(worker.run_jobs())
            programme.said += [decode(publication.body) for publication in said.publications]

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, range(4)))
    programme.pass_by(minutes=1)
    assert_each_in_one(programme)
    assert len(programme.rows(exported)) == 20
    now = {row.transaction_id: row.ledger_code or "" for row in programme.ask(FindTransactions()).data}
    for one in programme.ask(ListExports()).data:
        for row in lines_of(programme, one.export_id):
            assert row["ledger_code"] == now[row["transaction_id"]], "coded behind the lock"


def test_nothing_is_coded_between_what_is_written_and_its_lock(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that begins while somebody codes waits for that; on SQLite nobody else writes meanwhile anyway."""
    if not programme.database.is_postgresql:
        pytest.skip("one writer at a time")
    transaction = spent(programme, programme.open())
    worker = programme.new_worker()
    worker.process([programme.command(asked(programme))])
    check = coding_handler._must_be_free
    with ThreadPoolExecutor() as pool:

        def meanwhile(*args: Any) -> None:
            check(*args)
            making_it = pool.submit(worker.run_jobs)
            eventually(lambda: making_it.done() or waits_for_a_lock(programme), describe="the export waits")

        with monkeypatch.context() as during:
            during.setattr(coding_handler, "_must_be_free", meanwhile)
            assert code(programme, transaction, ledger_code="6000") == {"transactions": 1}
    programme.pass_by(minutes=1)
    (made,) = programme.ask(ListExports()).data
    assert [row["ledger_code"] for row in lines_of(programme, made.export_id)] == ["6000"]


def waits_for_a_lock(programme: Programme) -> bool:
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with programme.database.read() as session:
        return bool(session.scalar(sa.text(waiting)))


def _coding(id_: str) -> CodeTransactions:
    return CodeTransactions(transaction_ids=[id_], ledger_code="6000")


STEP = st.tuples(
    st.sampled_from(["purchase", "refund", "pay", "correct", "code", "export", "cancel"]),
    st.sampled_from([SALES, TRAVEL, KYOTO, KUWAIT]),
    st.sampled_from([MASTER, SALES, TRAVEL]),
    st.integers(1, 10_000),
)
CURRENCIES = {SALES: "EUR", TRAVEL: "EUR", KYOTO: "JPY", KUWAIT: "KWD"}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given_(steps=st.lists(STEP, min_size=1, max_size=15))
def test_any_sequence_leaves_every_transaction_in_one_live_export_at_most(
    programme: Programme, steps: list[tuple[str, str, str, int]]
) -> None:
    accounts = {number: programme.open(number) for number in CURRENCIES}
    for what, number, below, amount in steps:
        _do(what, number, below, amount, accounts[number], programme)
        assert_each_in_one(programme)
    programme.pass_by(days=1)
    make(programme)
    assert_each_in_one(programme)
    assert {row.posting_id for row in programme.rows(exported)} == {row.id for row in programme.rows(posting)}


def _do(what: str, number: str, below: str, amount: int, account: str, programme: Programme) -> None:
    match what:
        case "export":
            programme.pass_by(days=1)
            make(programme, below, posted_from=programme.today - timedelta(days=amount % 3))
        case "cancel":
            for one in programme.ask(ListExports(state=ExportState.READY)).data[-1:]:
                cancel(programme, one.export_id)
        case "code" | "correct":
            for row in [row for row in programme.rows(posting) if row.account_id == account][-1:]:
                if what == "code":
                    code(programme, row.id, ledger_code=str(amount))
                else:
                    programme.send(CorrectTransaction(transaction_id=row.id, comment="?"))
        case "pay":
            programme.pay(TRAVEL if number == TRAVEL else account, amount, currency=CURRENCIES[number])
        case kind:
            programme.spend(account, amount, kind, currency=CURRENCIES[number])


def assert_each_in_one(programme: Programme) -> None:
    """Every transaction is in one live export at most, and each export's totals are those of its transactions."""
    postings = {row.id: row for row in programme.rows(posting)}
    held = {row.posting_id: row.export_id for row in programme.rows(exported)}
    live = programme.ask(ListExports(state=ExportState.READY, limit=500)).data
    seen: set[str] = set()
    for one in live:
        ids = [row["transaction_id"] for row in lines_of(programme, one.export_id)]
        assert len(ids) == len(set(ids)) == one.transactions
        assert not seen & set(ids)
        seen |= set(ids)
        assert {held[id_] for id_ in ids} <= {one.export_id}
        for total in one.totals:
            amounts = [postings[id_].amount for id_ in ids if postings[id_].currency == total.currency]
            assert (total.transactions, total.amount) == (len(amounts), sum(amounts))
            assert total.amount == total.debits - total.credits
        assert sum(total.transactions for total in one.totals) == one.transactions
    assert seen == held.keys()
