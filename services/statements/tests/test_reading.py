"""Files of every form become rows, each with the line that it stands on; what cannot be read is refused with its reason."""

import tracemalloc
from collections.abc import Callable
from io import BytesIO
from itertools import chain, islice
from typing import Any

import pytest

from services.statements.imports.layout import Layout
from services.statements.imports.layout_file import read_layout
from services.statements.imports.reading import Reader
from services.statements.imports.rows import Incoming, Refused
from shared.errors import Rejected

HEAD = 'dates = "YYYY-MM-DD"\nfind_account_by = []\n'
DELIMITED = (
    HEAD
    + """
[file]
form = "delimited"
encodings = ["utf-8", "windows-1252"]
[columns]
id = ["Id", "No."]
transacted_on = ["Date", "Trans. Date"]
amount = "Amount"
currency = { header = "Currency", optional = true, otherwise = "EUR" }
merchant = "Merchant"
card_number = { header = "Card", optional = true }
[amounts]
thousands = ","
[key]
columns = "id"
"""
)


def protect(number: str) -> str:
    return f"{'ab' * 32}:{number[-4:]}"


def read(content: str | bytes, layout: str | Layout = DELIMITED) -> tuple[Reader, list[Any]]:
    found = read_layout(layout, "test") if isinstance(layout, str) else layout
    reader = Reader(found, protect)
    return reader, list(reader.read(BytesIO(content.encode() if isinstance(content, str) else content)))


def refusals(rows: list[Any]) -> list[tuple[int, str | None, str]]:
    return [
        (row.line, each.column, each.code)
        for row in rows
        if isinstance(row, Refused)
        for each in row.findings
    ]


def test_columns_are_found_by_any_of_their_names_in_any_order() -> None:
    _, (row,) = read("merchant;x,TRANS DATE,no,Amount\nCafé,2026-02-01,7,1\n".replace(";x", ""))
    assert (row.merchant, row.key, row.amount, row.currency, row.line) == ("Café", "7", 100, "EUR", 2)


def test_a_column_that_is_missing_is_told_with_every_name_that_it_may_have() -> None:
    with pytest.raises(Rejected, match=r"“Date” or “Trans\. Date”"):
        read("Id,Amount,Merchant\n")


def test_the_header_is_looked_for_below_what_stands_above_it() -> None:
    layout = DELIMITED.replace('form = "delimited"', 'form = "delimited"\nheader_within = 5')
    _, (row,) = read("Report of the month\n\nId,Date,Amount,Merchant\n7,2026-02-01,1,Café\n", layout)
    assert row.line == 4


def test_a_row_knows_the_line_that_it_begins_on() -> None:
    _, rows = read('Id,Date,Amount,Merchant\n1,2026-02-01,1,"Café\nAda"\n\n2,2026-02-01,1,Bar\n')
    assert [(row.line, row.merchant) for row in rows] == [(2, "Café\nAda"), (5, "Bar")]


def test_each_line_is_in_the_first_encoding_that_it_fits() -> None:
    content = "Id,Date,Amount,Merchant\n1,2026-02-01,1,Café\n".encode() + "2,2026-02-01,1,Café\n".encode(
        "windows-1252"
    )
    _, rows = read(content)
    assert [row.merchant for row in rows] == ["Café", "Café"]


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    _, (row,) = read(b"\xef\xbb\xbfId,Date,Amount,Merchant\r\n1,2026-02-01,1,Bar\r\n")
    assert row.merchant == "Bar"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"Id,Date,Amount,Merchant\n1,2026-02-01,1,\x81\n", "wrong_encoding"),
        ("Id,Date,Amount,Merchant\n".encode("utf-16"), "not_text"),
        (b'Id,Date,Amount,Merchant\n1,2026-02-01,1,"' + b"x\n" * 100_000, "not_delimited"),
        (b"Id,Date,Amount,Merchant\n" + b"x" * 400_000, "line_too_long"),
    ],
    ids=["no encoding", "utf-16", "open quote", "long line"],
)
def test_a_file_that_is_none_is_refused_as_a_whole(content: bytes, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(content)
    assert refused.value.code == code


def test_everything_that_is_wrong_with_a_row_is_said_and_the_others_are_read() -> None:
    reader, rows = read(
        "Id,Date,Amount,Currency,Merchant\n"
        "1,2026-02-30,1.005,EUR,Bar\n2,2026-02-01,1,XXQ,Bar\n,2026-02-01,1,EUR,Bar\n3,,0,EUR,Bar\n4,2026-02-01,5,EUR,Bar\n"
    )
    assert refusals(rows) == [
        (2, "amount", "unreadable"),
        (2, "transacted_on", "unreadable"),
        (3, "currency", "unreadable"),
        (4, "id", "missing"),
        (5, "amount", "zero_amount"),
        (5, "transacted_on", "missing"),
    ]
    assert (reader.readable, reader.refused) == (1, 4)


def test_a_row_with_more_cells_than_the_header_is_refused() -> None:
    _, rows = read("Id,Date,Amount,Merchant\n1,2026-02-01,1,234,Bar\n")
    assert refusals(rows) == [(2, None, "too_many_cells")]


def test_no_card_number_is_readable_in_what_is_kept() -> None:
    number = "4111111111111111"
    _, rows = read(
        f"Id,Date,Amount,Merchant,Card\n1,2026-02-01,1,Bar,{number}\n2,x,1,Bar,{number}\n3,x,1,Bar,{number}9999\n"
    )
    assert number not in repr(rows)
    assert rows[0].card_number.endswith(":1111")


def test_refused_rows_are_read_again_as_they_were_once_they_are_mended() -> None:
    layout = read_layout(DELIMITED, "test")
    content = "No.,Date,Amount,Merchant,Card\n1,x,-1.50,Bar,4111111111111111\n"
    _, (refused,) = read(content, layout)
    cells = dict(zip(layout.columns, refused.cells, strict=True)) | {"transacted_on": "2026-02-01"}
    cells["amount"] = f"'{cells['amount']}"  # as a file for spreadsheets has it
    mended = ",".join(["line", "reason", *cells]) + "\n" + ",".join(["2", "x", *cells.values()]) + "\n"
    _, (row,) = read(mended, layout.mended())
    _, (right,) = read(content.replace(",x,", ",2026-02-01,"), layout)
    assert row == right


SIGNED = (
    HEAD
    + """
[file]
form = "fixed"
[columns]
record = [1, 1]
id = [2, 4]
transacted_on = [5, 14]
side = [15, 16]
amount = { at = [17, 22], decimals = 2 }
currency = [23, 25]
stated = { at = [2, 10], decimals = 2 }
rows = [11, 13]
[rows]
record = "1"
[amounts.sign]
column = "side"
debit = "DR"
credit = ["CR"]
[key]
columns = "id"
[[totals]]
when = { record = "9" }
of = "file"
rows = "rows"
debits = "stated"
"""
)


def test_cells_of_fixed_places_records_and_signs() -> None:
    content = "0HEAD\n1a012026-02-01DR000150978\n1a022026-02-02CR000050EUR\n1a032026-02-02XX000050EUR\n9000000150003\n"
    reader, rows = read(content, SIGNED)
    assert [(row.key, row.amount, row.kind) for row in rows if isinstance(row, Incoming)] == [
        ("a01", 150, "purchase"),
        ("a02", -50, "refund"),
    ]
    assert refusals(rows) == [(4, "amount", "unreadable")]
    assert (reader.compared, reader.differing, reader.passed_over) == (2, 0, 1)


def test_control_totals_that_differ_are_told_with_what_the_rows_come_to() -> None:
    reader, _ = read("1a012026-02-01DR000150EUR\n9000000151002\n", SIGNED)
    assert [(each.line, each.measure, each.stated, each.found) for each in reader.differences] == [
        (2, "rows", "002", "1"),
        (2, "debits", "000000151", "1.50"),
    ]


GROUPS = (
    DELIMITED + '[[totals]]\nwhen = { id = "", merchant = "" }\nof = ["group", "file"]\namount = "amount"\n'
)


def test_a_total_is_of_its_group_or_of_the_file() -> None:
    reader, _ = read(
        "Id,Date,Amount,Currency,Merchant\n1,2026-02-01,1,EUR,A\n2,2026-02-01,2,EUR,A\n,,3.00,EUR,\n"
        "3,2026-02-01,5,EUR,A\n,,5.00,EUR,\n,,8.00,EUR,\n",
        GROUPS,
    )
    assert (reader.compared, reader.differing) == (3, 0)


def test_a_refused_row_counts_for_its_total() -> None:
    reader, _ = read("Id,Date,Amount,Currency,Merchant\n1,x,1,EUR,A\n,,1.00,EUR,\n", GROUPS)
    assert (reader.refused, reader.compared, reader.differing) == (1, 1, 0)


XML = (
    HEAD
    + """
[file]
form = "xml"
entry = "Entry"
row = "Details/Part"
[columns]
id = ["Ref", "Entry/Ref"]
transacted_on = "Batch/Day"
amount = { path = "Amount", path_if_only = "Entry/Amount" }
currency = { path = "Amount/@Ccy", path_if_only = "Entry/Amount/@Ccy" }
[key]
columns = "id"
"""
)


def test_rows_of_xml_take_what_they_lack_from_what_they_stand_in() -> None:
    reader, rows = read(
        """<File xmlns="urn:x"><Batch><Day>2026-02-01</Day>
        <Entry><Ref>1</Ref><Amount Ccy="EUR">3</Amount></Entry>
        <Entry><Amount Ccy="EUR">4</Amount><Details><Part><Ref>2</Ref></Part></Details></Entry>
        <Entry><Amount Ccy="EUR">9</Amount><Details><Part><Ref>3</Ref><Amount Ccy="EUR">5</Amount></Part>
        <Part><Ref>4</Ref></Part></Details></Entry></Batch>
        <Batch><Day>2026-02-02</Day><Entry><Ref>5</Ref><Amount Ccy="EUR">6</Amount></Entry></Batch></File>""",
        XML,
    )
    good = [(row.key, row.amount, row.transacted_on.day) for row in rows if isinstance(row, Incoming)]
    assert good == [("1", 300, 1), ("2", 400, 1), ("3", 500, 1), ("5", 600, 2)]
    # What is booked for both is the amount of neither.
    assert refusals(rows) == [(4, "currency", "missing"), (4, "amount", "missing")]
    assert reader.readable == 4


@pytest.mark.parametrize("content", ["<File><Entry>", "no xml", "<File>&b;</File>"])
def test_what_is_no_xml_is_refused(content: str) -> None:
    with pytest.raises(Rejected, match="not well-formed"):
        read(content, XML)


def test_a_document_type_is_refused_before_it_can_define_anything() -> None:
    with pytest.raises(Rejected) as refused:
        read(
            '<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><File><Entry><Ref>&b;</Ref></Entry></File>',
            XML,
        )
    assert refused.value.code == "doctype"


class Made:
    """A file of so many rows that is made as it is read."""

    def __init__(self, head: str, row: Callable[[int], str], tail: str, count: int) -> None:
        self._parts = map(str.encode, chain([head], map(row, range(count)), [tail]))
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        while len(self._rest) < size and (more := b"".join(islice(self._parts, 1000))):
            self._rest += more
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


FORMS: dict[str, tuple[str, str, Callable[[int], str], str]] = {
    "delimited": (GROUPS, "Id,Date,Amount,Merchant\n", lambda i: f"{i},2026-02-01,1.50,Merchant {i}\n", ""),
    "fixed": (SIGNED, "", lambda i: f"1{i % 1000:03}2026-02-01DR000150EUR\n", ""),
    "xml": (
        XML,
        "<File><Batch><Day>2026-02-01</Day>",
        lambda i: f"<Other><Many>{i}</Many></Other><Entry><Ref>{i}</Ref><Amount Ccy='EUR'>1</Amount></Entry>",
        "</Batch></File>",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_memory_does_not_grow_with_the_file(form: str) -> None:
    layout, head, row, tail = FORMS[form]

    def peak(count: int) -> int:
        reader = Reader(read_layout(layout, "test"), protect)
        file = Made(head, row, tail, count)
        tracemalloc.start()
        try:
            assert sum(1 for _ in reader.read(file)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(30_000) < peak(15_000) + 300_000  # bytes: fifteen thousand rows more would take millions
