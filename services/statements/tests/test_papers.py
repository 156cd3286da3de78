"""The paper of a statement: what stands on it in each language, that it can be read out, and that it stays the same."""

import csv
import io
from dataclasses import replace
from datetime import date
from typing import Any

import openpyxl
import pypdf
import pytest

from services.statements.papers.pdf import as_pdf
from services.statements.papers.tables import as_csv, as_xlsx
from services.statements.papers.words import words_of
from services.statements.queries.paper import Paper, paper_of
from services.statements.tests.programme import KUWAIT, KYOTO, SALES, TRAVEL, Programme
from shared.actor import Actor, Party
from shared.contracts.cards import CardIssued
from shared.contracts.statements import TransactionKind
from shared.contracts.types import Language, Money
from shared.errors import NotFound
from shared.ids import new_id
from shared.messaging.transaction import Reader

CLOSING, NEXT = date(2026, 3, 10), date(2026, 4, 10)
ADDRESS = ["Ada Lovelace", "Analytical Ltd", "12 Mill Lane", "1000 Bruxelles"]


def paper(programme: Programme, account: str, grants: frozenset[str] | None = None, place: int = 0) -> Paper:
    """Return the paper of the account's latest statement, by default as the issuer sees it."""
    made = programme.statements(account)[place]
    party = Party.ISSUER if grants is None else Party.CLIENT
    actor = Actor(
        user_id="u", party=party, grants={"statements.view": frozenset({"*"}) if grants is None else grants}
    )
    with programme.database.read() as session:
        reader = Reader(session, actor, "statements.view", programme.now, programme.settings)
        return paper_of(made.statement_id, reader)


def printed(programme: Programme, found: Paper, language: str = "en", **settings: Any) -> pypdf.PdfReader:
    made = as_pdf(found, ADDRESS, Language(language), replace(programme.settings, **settings))
    return pypdf.PdfReader(io.BytesIO(made))


def text_of(pages: pypdf.PdfReader) -> str:
    """Return what can be searched for, however the spaces in it are written."""
    return " ".join(" ".join(page.extract_text() for page in pages.pages).split())


@pytest.fixture
def account(programme: Programme) -> str:
    """An account with a purchase abroad, a refund and a cycle that closed."""
    id_ = programme.open(employee_id="E77")
    programme.spend(
        id_, 611, merchant="Café Kyōto", city="Kyoto", country="JP", original=Money(amount=100000, currency="JPY"),
        rate="0.00611",
    )  # fmt: skip
    programme.spend(id_, 1234567, merchant="=HYPERLINK(1)")
    programme.spend(id_, 5000, "refund", merchant="Hôtel de la Gare")
    programme.go_to(CLOSING)
    return id_


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Account statement", "12,301.78", "10/03/2026", "Page 1 of 1", "¥100,000", "0.00611"]),
        ("fr", ["Relevé de compte", "12 301,78", "10/03/2026", "Page 1 sur 1", "0,00611", "7 avril 2026"]),
        ("es", ["Extracto de cuenta", "12.301,78", "10/03/2026", "Página 1 de 1", "7 de abril de 2026"]),
        ("de", ["Kontoauszug", "12.301,78", "10.03.2026", "Seite 1 von 1", "7. April 2026"]),
    ],
)
def test_each_language_writes_numbers_and_days_its_own_way(
    programme: Programme, account: str, language: str, words: list[str]
) -> None:
    pages = printed(
        programme, paper(programme, account), language, issuer_name="Northern Bank",
        issuer_address="1 Quay, 1000 Brussels", issuer_iban="BE71096123456769",
    )  # fmt: skip
    text = text_of(pages)
    expected = [
        *words,
        "Ada Lovelace",
        "12 Mill Lane",
        "Northern Bank",
        "1000 Brussels",
        "BE71 0961 2345 6769",
    ]
    expected += ["Café Kyōto", "E77", account, programme.statements(account)[0].statement_id]
    assert [word for word in expected if word not in text] == []


def test_it_can_be_read_out(programme: Programme, account: str) -> None:
    """A tagged file says its language and what is a heading, a table, a cell."""
    root: Any = printed(programme, paper(programme, account), "fr").trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]).startswith("fr")
    assert "/StructTreeRoot" in root


def test_printed_later_it_is_the_same(programme: Programme, account: str) -> None:
    """What is paid, or falls due, after the closing does not change what was sent out."""
    before = as_pdf(paper(programme, account), ADDRESS, Language.ENGLISH, programme.settings)
    programme.pay(account, 900)
    programme.spend(account, 50)
    programme.go_to(NEXT)
    after = as_pdf(paper(programme, account, place=1), ADDRESS, Language.ENGLISH, programme.settings)
    assert before == after
    assert "60 to 89 days" in text_of(printed(programme, paper(programme, account)))


def test_a_text_of_several_lines_gets_the_room_for_them(programme: Programme) -> None:
    """Rows whose text fits have a height that is known beforehand; one too low would have lines on top of each other."""
    accounts = []
    for merchant in (
        "Shop",
        "A shop whose name goes on and on, and on, until it needs a second line and a third",
    ):
        account = programme.open()
        for amount in range(60):
            programme.spend(account, 100 + amount, merchant=merchant)
        accounts.append(account)
    programme.go_to(CLOSING)
    short, long = (len(printed(programme, paper(programme, account)).pages) for account in accounts)
    assert long > short


def test_letters_that_the_typeface_has_not_stand_as_question_marks(programme: Programme) -> None:
    """A merchant may write as it likes, in any alphabet; the files beside the paper have it in full."""
    account = programme.open()
    merchants = {
        "東京タワー Nº 7": "????? Nº 7",
        "한국관": "???",
        "🍣 Łódź": "? Łódź",
        "Ресторан": "Ресторан",
        "Ψαράς": "Ψαράς",
    }
    for merchant in merchants:
        programme.spend(account, 100, merchant=merchant)
    programme.go_to(CLOSING)
    found = paper(programme, account)
    text = text_of(printed(programme, found))
    assert [shown for shown in merchants.values() if shown not in text] == []
    assert [merchant for merchant in merchants if merchant not in as_csv(found).decode()] == []


def test_many_lines_take_many_pages(programme: Programme) -> None:
    account = programme.open()
    for number in range(60):
        programme.spend(account, 100 + number, merchant=f"Shop {number:02}")
    programme.go_to(CLOSING)
    pages = printed(programme, paper(programme, account))
    text = text_of(pages)
    assert f"Page 1 of {len(pages.pages)}" in text
    assert len(pages.pages) > 1
    assert [number for number in range(60) if f"Shop {number:02}" not in text] == []
    assert text.count("Total") == 1


def test_a_central_statement_shows_each_holder_with_a_total(programme: Programme) -> None:
    for name, amounts in (("ADA LOVELACE", (100, 250)), ("ALAN TURING", (777,))):
        account = programme.open(TRAVEL, embossed_name=name, last_name=name.split()[1])
        for amount in amounts:
            programme.spend(account, amount)
    programme.go_to(CLOSING)
    text = text_of(printed(programme, paper(programme, TRAVEL)))
    assert [
        word
        for word in ("Company statement", "ADA LOVELACE", "3.50", "ALAN TURING", "7.77", "11.27")
        if word not in text
    ] == []


@pytest.mark.parametrize(
    ("number", "currency", "written"), [(KYOTO, "JPY", "1,234,567"), (KUWAIT, "KWD", "1,234.567")]
)
def test_amounts_have_the_decimals_of_their_currency(
    programme: Programme, number: str, currency: str, written: str
) -> None:
    account = programme.open(number)
    programme.spend(account, 1234567, currency=currency)
    programme.go_to(CLOSING)
    found = paper(programme, account)
    assert written in text_of(printed(programme, found))
    (row,) = csv.DictReader(io.StringIO(as_csv(found).decode()))
    assert row["amount"] == written.replace(",", "")
    assert row["currency"] == currency


def test_the_card_is_shown_by_its_last_digits(programme: Programme, account: str) -> None:
    issued = CardIssued(
        account_id=account,
        control_account=SALES,
        card_id=new_id("crd"),
        expires_on=NEXT,
        last_four="0018",
        number_hash="0" * 64,
    )
    programme.hear(issued)
    assert "•••• 0018" in text_of(printed(programme, paper(programme, account)))


def test_who_owes_nothing_is_told_so(programme: Programme) -> None:
    account = programme.open()
    programme.spend(account, 100, "refund")
    programme.go_to(CLOSING)
    assert "there is nothing to pay" in text_of(printed(programme, paper(programme, account)))


def test_rows_can_be_read_by_programs_and_run_nothing_in_a_spreadsheet(
    programme: Programme, account: str
) -> None:
    found = paper(programme, account)
    rows = list(csv.DictReader(io.StringIO(as_csv(found).decode())))
    assert sorted(row["amount"] for row in rows) == ["-50.00", "12345.67", "6.11"]
    assert {row["merchant"] for row in rows} == {"Café Kyōto", "'=HYPERLINK(1)", "Hôtel de la Gare"}
    abroad = next(row for row in rows if row["original_currency"])
    assert (abroad["original_amount"], abroad["original_currency"]) == ("100000", "JPY")


def test_a_workbook_has_a_summary_and_the_lines(programme: Programme, account: str) -> None:
    book = openpyxl.load_workbook(io.BytesIO(as_xlsx(paper(programme, account), Language.GERMAN)))
    summary = {row[0]: row[1] for row in book["Übersicht"].iter_rows(values_only=True)}
    assert (summary["Gutschriften"], summary["Neuer Saldo"]) == (50, 12301.78)
    lines = list(book["Umsätze"].iter_rows(values_only=True))
    amount, merchant = (lines[0].index(name) for name in ("amount", "merchant"))
    assert {line[amount] for line in lines[1:]} == {-50, 6.11, 12345.67}
    assert {line[merchant] for line in lines[1:]} == {"Café Kyōto", "'=HYPERLINK(1)", "Hôtel de la Gare"}


def test_it_is_there_for_those_who_may_see_the_account(programme: Programme, account: str) -> None:
    assert paper(programme, account, frozenset({programme.holder(account).control_account})).lines
    with pytest.raises(NotFound):
        paper(programme, account, frozenset({TRAVEL}))


def test_every_language_has_all_the_words() -> None:
    english = words_of(Language.ENGLISH)
    for language in Language:
        words = words_of(language)
        assert words.labels.keys() == english.labels.keys()
        assert all(words.labels.values())
        assert words.kinds.keys() == set(TransactionKind)
