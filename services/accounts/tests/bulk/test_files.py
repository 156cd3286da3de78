"""The rows of an uploaded file, whatever program wrote it, and no more of it in memory than a row (Part 2 no. 8)."""

import io
import random
import tracemalloc
import zipfile
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.accounts.bulk.columns import Columns
from services.accounts.bulk.files import rows_of
from services.accounts.bulk.kinds import KINDS, Kind
from shared.contracts.bulk import CSV, XLSX, BulkKind
from shared.errors import Rejected

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_WORKBOOK = f"""<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets><sheet name="Cards" sheetId="4" r:id="rId7"/>
<sheet name="Notes" sheetId="5" r:id="rId8"/></sheets></workbook>"""
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_TYPES = f"""<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>
<Override PartName="/xl/sharedStrings.xml" ContentType="{_TYPE}.sharedStrings+xml"/></Types>"""
_RELATIONS = """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId8" Type="{links}/worksheet" Target="worksheets/sheet1.xml"/>
<Relationship Id="rId7" Type="{links}/worksheet" Target="{target}"/></Relationships>"""


def workbook(sheet: str, shared: str = "", target: str = "worksheets/sheet2.xml") -> io.BytesIO:
    """Return a workbook of two sheets, the first of which holds these rows."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", _TYPES)
        book.writestr("xl/workbook.xml", _WORKBOOK)
        book.writestr("xl/_rels/workbook.xml.rels", _RELATIONS.format(links=_LINKS, target=target))
        book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{_MAIN}">{shared}</sst>')
        book.writestr(
            "xl/worksheets/sheet2.xml",
            f'<worksheet xmlns="{_MAIN}"><sheetData>{sheet}</sheetData></worksheet>',
        )
    file.seek(0)
    return file


def read(file: Any, media_type: str) -> list[tuple[int, list[str]]]:
    return list(rows_of(file, media_type))


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
        ("a;b\r\n1;2,5", [(1, ["a", "b"]), (2, ["1", "2,5"])]),
        ("\ufeffa,b\n\n , \nÉ, 2 \n", [(1, ["a", "b"]), (4, ["É", "2"])]),
        (
            'a,b\n"x, ""y""","two\nlines"\n1,\n',
            [(1, ["a", "b"]), (2, ['x, "y"', "two\nlines"]), (3, ["1", ""])],
        ),
        ("", []),
    ],
)
def test_csv_as_spreadsheets_write_it(text: str, rows: list[Any]) -> None:
    assert read(io.BytesIO(text.encode()), CSV) == rows


def test_a_character_may_lie_across_two_pieces_of_the_file() -> None:
    text = "a\n" + "é" * 32_767 + "\n" + "é" * 32_766 + "x\n"
    assert [len(cells[0]) for _, cells in read(io.BytesIO(text.encode()), CSV)] == [1, 32_767, 32_767]


def test_a_sheet_with_every_sort_of_cell() -> None:
    shared = (
        "<si><t>account_id</t></si><si><r><t>two </t></r><r><t>formats</t></r></si>"
        "<si><t>東京</t><rPh sb='0' eb='2'><t>とうきょう</t></rPh></si>"
    )
    sheet = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>reason</t></is></c></row>'
        '<row r="3"><c r="B3" t="s"><v>1</v></c><c r="AA3"><v>4.1E3</v></c></row>'
        '<row r="4"><c r="A4"><v>12.5</v></c><c r="B4" t="b"><v>1</v></c><c r="C4" t="str"><f>A4</f><v>x</v></c>'
        '<c r="D4"/><c r="E4" t="s"><v>2</v></c></row>'
        '<row r="5"><c r="A5" s="1"/></row>'
        "<row><c><v>100000000000003</v></c><c><v>2</v></c></row>"
    )
    assert read(workbook(sheet, shared), XLSX) == [
        (1, ["account_id", "reason"]),
        (3, ["", "two formats", *[""] * 24, "4100"]),
        (4, ["12.5", "true", "x", "", "東京"]),
        (6, ["100000000000003", "2"]),
    ]


def test_a_sheet_may_be_linked_from_the_root() -> None:
    sheet = '<row r="1"><c r="A1"><v>1</v></c></row>'
    assert read(workbook(sheet, target="/xl/worksheets/sheet2.xml"), XLSX) == [(1, ["1"])]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (io.BytesIO(b"account_id,reason\n"), "not_xlsx"),
        (io.BytesIO(b""), "not_xlsx"),
        (workbook("<row>"), "not_xlsx"),
        (workbook('<row r="1"><c r="A1" t="s"><v>9</v></c></row>'), "not_xlsx"),
        (workbook("", target="worksheets/sheet9.xml"), "not_xlsx"),
        (workbook('<row r="1"><c r="ZZZ1"><v>9</v></c></row>'), "too_many_columns"),
        (workbook("", "<si><t>" + "x" * 33 * 1024 * 1024 + "</t></si>"), "too_much_text"),
    ],
)
def test_what_is_no_workbook_that_we_read(file: io.BytesIO, code: str) -> None:
    file.seek(0)
    with pytest.raises(Rejected) as refusal:
        read(file, XLSX)
    assert refusal.value.code == code


def test_a_workbook_cannot_blow_itself_up() -> None:
    """Entities within entities: whatever the parser makes of them, it is not gigabytes."""
    file = io.BytesIO()
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "{"x" * 1000}">{entities}]><sst xmlns="{_MAIN}"><si><t>&e12;</t></si></sst>'
    with zipfile.ZipFile(file, "w") as book:
        book.writestr("[Content_Types].xml", _TYPES)
        book.writestr("xl/workbook.xml", _WORKBOOK)
        book.writestr(
            "xl/_rels/workbook.xml.rels", _RELATIONS.format(links=_LINKS, target="worksheets/sheet2.xml")
        )
        book.writestr("xl/sharedStrings.xml", bomb)
    with pytest.raises(Rejected):
        read(file, XLSX)


def test_nothing_of_a_row_is_kept_but_its_empty_element() -> None:
    """So a file with as many rows as are allowed takes some megabytes to go through, whatever stands in them."""

    def peak(rows: int) -> int:
        draw = random.Random(1)
        cell = '<c r="A{0}" t="inlineStr"><is><t>acc_{1}</t></is></c>'
        sheet = "".join(f'<row r="{n}">{cell.format(n, draw.getrandbits(64))}</row>' for n in range(1, rows))
        file = workbook(sheet)
        del sheet
        tracemalloc.start()
        try:
            count = sum(1 for _ in rows_of(file, XLSX))
            assert count == rows - 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    spooled = 1024 * 1024
    assert peak(20_000) - peak(1_000) < 19_000 * 200 + spooled


@pytest.mark.parametrize(
    ("cell", "instant"),
    [
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T09:30:00+01:00", datetime(2026, 12, 1, 8, 30, tzinfo=UTC)),
        ("2026-12-01 09:30", datetime(2026, 12, 1, 9, 30, tzinfo=UTC)),
        ("46357", datetime(2026, 12, 1, tzinfo=UTC)),
        ("46357.5", datetime(2026, 12, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_date_is_read_however_a_spreadsheet_writes_it(cell: str, instant: datetime) -> None:
    columns = Columns.read(KINDS[BulkKind.SUSPENSIONS], ["Account ID", "effective-at"], UTC)
    message = columns.message(["acc_" + "0" * 26, cell])
    assert getattr(message, "effective_at", None) == instant


def test_a_day_begins_where_the_programme_is() -> None:
    columns = Columns.read(
        KINDS[BulkKind.SUSPENSIONS], ["account_id", "effective_at"], ZoneInfo("America/Toronto")
    )
    message = columns.message(["acc_" + "0" * 26, "2026-12-01"])
    assert getattr(message, "effective_at", None) == datetime(2026, 12, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize("cell", ["tomorrow", "12/01/2026", "9999999"])
def test_what_is_no_date_is_a_finding_that_names_the_column(cell: str) -> None:
    columns = Columns.read(KINDS[BulkKind.SUSPENSIONS], ["account_id", "effective_at"], UTC)
    with pytest.raises(Rejected, match=r"^effective_at: Must be a date and time [^;]*\.$") as refusal:
        columns.message(["acc_" + "0" * 26, cell])
    assert refusal.value.field == "effective_at"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_is_submitted_under_the_function_of_its_rows(kind: Kind) -> None:
    """Nobody reaches by a file what one could not do one by one, and whatever can be lent can be lent for a file."""
    single, many = kind.item.contract, kind.submission.contract
    assert (many.function, many.lendable, many.bulk) == (single.function, single.lendable, True)
    assert many.route == f"/bulk/{kind.name}/{{bulk_id}}/submit"
    assert set(KINDS) == set(BulkKind)
