"""An uploaded file is tried out row by row, and nothing is changed (Part 2 no. 8)."""

import pytest

from services.accounts.tests.bulk.files import NOBODY, PA, cancellations, items, upload
from services.accounts.tests.bulk.test_files import workbook
from services.accounts.tests.programme import RETAIL, Programme
from shared.contracts.accounts import AccountStatus
from shared.contracts.bulk import XLSX


def test_every_row_is_tried_out_and_nothing_is_changed(programme: Programme) -> None:
    """Part 2 no. 8: a finding per row; what is not the caller's own is unknown."""
    good, other = programme.insert_account(), programme.insert_account()
    gone, theirs = programme.insert_account(status=AccountStatus.CANCELLED), programme.insert_account(RETAIL)
    text = (
        "Account ID;Reason;Comment\r\n"
        f"{good};not_needed;\r\n"
        f"{gone};not_needed;\r\n"
        "\r\n"
        f"{theirs};not_needed;\r\n"
        f"{NOBODY};not_needed;\r\n"
        f"{other};tired_of_it;\r\n"
        f"{other};other;\r\n"
        f"{good};fraud;\r\n"
        ";fraud;\r\n"
        f"{other};fraud;;more\r\n"
        f'{other};other;"two\r\nlines"\r\n'
    )
    bulk = upload(programme, "cancellations", b"\xef\xbb\xbf" + text.encode())
    assert (bulk["state"], bulk["rows"], bulk["waiting"], bulk["refused"]) == ("checked", 10, 1, 9)
    found = {item["row"]: (item["code"], item["column"]) for item in items(programme, bulk["bulk_id"])}
    assert found == {
        2: (None, None),
        3: ("account_cancelled", "account_id"),
        5: ("not_found", "account_id"),
        6: ("not_found", "account_id"),
        7: ("invalid_input", "reason"),
        8: ("comment_required", "comment"),
        9: ("duplicate_row", None),
        10: ("invalid_input", "account_id"),
        11: ("too_many_cells", None),
        12: ("invalid_input", "comment"),
    }
    named = {item["row"]: item["account_id"] for item in items(programme, bulk["bulk_id"])}
    assert (named[2], named[7], named[10]) == (good, other, None), "also where something else is wrong"
    assert programme.status(good) is AccountStatus.ACTIVE
    assert programme.changes(good) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "column_missing"),
        ("account_id,reason\n", "no_rows"),
        ("account_id\nx\n", "column_missing"),
        ("account_id,reason,colour\nx,fraud,red\n", "unknown_column"),
        ("account_id,reason,reason\nx,fraud,fraud\n", "column_named_twice"),
        ("account_id,reason\nx,fr\xe4ud\n".encode("latin-1"), "not_utf8"),
        ('account_id,reason\n"x"y,fraud\n', "not_csv"),
        ('account_id,reason\n"x,fraud\n', "not_csv"),
        ("account_id,reason\n" + "x" * 70_000, "line_too_long"),
        ("account_id,reason\n" + "x,fraud\n" * 2_001, "too_many_rows"),
    ],
)
def test_a_file_that_cannot_be_read_leaves_nothing(
    programme: Programme, text: str | bytes, code: str
) -> None:
    before = programme.get("/bulk", PA)["data"]
    assert upload(programme, "cancellations", text, status=422)["code"] == code
    assert programme.get("/bulk", PA)["data"] == before


def test_what_is_no_file_of_ours_is_refused(programme: Programme) -> None:
    assert upload(programme, "cancellations", "{}", media_type="application/json", status=422)["code"] == (
        "unknown_format"
    )
    assert upload(programme, "holidays", "x", status=404)["code"] == "not_found"
    assert upload(programme, "openings", "x", status=403)["code"] == "function_not_granted"


def test_a_file_that_says_the_same_over_many_portions_is_found_out(programme: Programme) -> None:
    """A row is compared with all before it, not only with those that are in memory with it."""
    account = programme.insert_account()
    bulk = upload(programme, "cancellations", cancellations(*([account] * 450)))
    assert (bulk["waiting"], bulk["refused"]) == (1, 449)
    late = items(programme, bulk["bulk_id"])[-1]
    assert (late["row"], late["code"]) == (451, "duplicate_row")
    assert late["message"].startswith("Row 2 ")


def test_a_workbook_is_as_good_as_a_csv_file(programme: Programme) -> None:
    account = programme.insert_account()
    cell = '<c t="inlineStr"><is><t>{}</t></is></c>'.format
    sheet = f"<row>{cell('Account ID')}{cell('Reason')}</row><row>{cell(account)}{cell('fraud')}</row>"
    bulk = upload(programme, "cancellations", workbook(sheet).read(), media_type=XLSX)
    assert (bulk["waiting"], bulk["refused"]) == (1, 0)
    assert [item["account_id"] for item in items(programme, bulk["bulk_id"])] == [account]
