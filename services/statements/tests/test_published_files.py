"""The shipped layouts read the files that they are for: as many rows, and as much money, as their publishers say.

The files are no part of Cardwork; without them these tests skip. Where they are: CARDWORK_TEST_PUBLISHED, or /work/shared/data.
"""

import csv
import json
import os
import tarfile
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from pathlib import Path

import pytest

from services.statements.imports.layout_file import find_layout
from services.statements.imports.reading import Reader
from services.statements.imports.rows import Incoming, Refused
from services.statements.tests.files import BASIC, Files
from shared.errors import Rejected

PUBLISHED = Path(os.environ.get("CARDWORK_TEST_PUBLISHED", "/work/shared/data"))


@pytest.fixture(scope="module")
def published() -> Path:
    if not PUBLISHED.is_dir():
        pytest.skip(f"the published files are not in {PUBLISHED}")
    return PUBLISHED


def packed(file: Path) -> Mapping[str, bytes]:
    """Return the files in an archive by name, those with rows."""
    with tarfile.open(file) as archive:
        contents = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {
            name: stream.read()
            for name, stream in sorted(contents.items())
            if stream and not name.endswith(".json")
        }


def read(name: str, content: bytes) -> tuple[Reader, list[Incoming], list[Refused]]:
    reader = Reader(find_layout(name, Path("none")), lambda number: f"{'0' * 64}:{number[-4:]}")
    rows = list(reader.read(BytesIO(content)))
    return reader, [r for r in rows if isinstance(r, Incoming)], [r for r in rows if isinstance(r, Refused)]


def money(rows: Sequence[Incoming | Refused]) -> Decimal:
    return Decimal(sum(row.amount or 0 for row in rows)).scaleb(-2)


def totals(file: Path) -> list[tuple[int, Decimal]]:
    """Return rows and sum of each month, in order."""
    with file.open(encoding="utf-8") as lines:
        rows = [list(row.values()) for row in csv.DictReader(lines)]
    return [(int(row[1]), Decimal(row[2])) for row in rows]


@pytest.mark.slow
def test_toronto_comes_to_what_was_published_month_by_month(published: Path) -> None:
    folder = published / "toronto_pcard"
    files = packed(folder / "toronto_pcard_2015_2018_as_published.tar.xz")
    found, differing = Counter[tuple[int, Decimal]](), Counter[str]()
    keys: set[str] = set()
    refusals = []
    for name, content in files.items():
        reader, good, refused = read("toronto", content)
        found[len(good) + len(refused), money(good) + money(refused)] += 1
        keys |= {row.key for row in good}
        differing.update(each.measure for each in reader.differences)
        refusals += [(name[:4], row.line, row.findings[0].column) for row in refused]
        assert reader.compared > 1000
    assert found == Counter(totals(folder / "toronto_pcard_2015_2018_monthly_totals.csv"))
    # Some batches are published in two months; the second time, none of it would be posted.
    assert len(keys) == 213_821 - len(refusals) - 561
    # One purchase has no day; three were made in dong, which has no hundredths, but are written with some.
    assert refusals == [
        ("2016", 3893, "transacted_on"),
        ("2017", 78, "original_amount"),
        ("2017", 79, "original_amount"),
        ("2017", 80, "original_amount"),
    ]
    # One published subtotal stands below no row; of the others those in the merchants' currencies do not always hold.
    assert differing["amount"] == 1
    assert differing["original_amount"] == 8


@pytest.mark.slow
def test_birmingham_comes_to_what_was_published_and_one_month_twice(published: Path) -> None:
    folder = published / "birmingham_pcard"
    files = packed(folder / "birmingham_pcard_2014_2016_by_month.tar.xz")
    months = {name: read("birmingham", content) for name, content in files.items()}
    found = [(len(good), money(good)) for _, good, _ in months.values()]
    assert found == totals(folder / "birmingham_pcard_2014_2016_monthly_totals.csv")
    assert not any(refused for _, _, refused in months.values())
    may, june = (content for name, content in files.items() if "2014-05" in name or "2014-06" in name)
    assert may == june


@pytest.mark.slow
def test_a_batch_that_is_published_twice_is_posted_once(published: Path, files: Files) -> None:
    """Toronto has the purchases posted on 3 October 2016 in September's file and in October's."""
    months = packed(published / "toronto_pcard" / "toronto_pcard_2015_2018_as_published.tar.xz")
    september, october = (
        content for month in ("201609", "201610") for name, content in months.items() if month in name
    )
    layout = find_layout("toronto", Path("none"))
    first = files.one(files.load(september, layout))
    second = files.one(files.load(october, layout))
    assert (first.posted, first.seen) == (3913, 0)
    assert (second.posted, second.seen) == (4605 - 367, 367)
    assert first.suspended + second.suspended == first.posted + second.posted
    files.assert_balanced()


@pytest.mark.slow
def test_a_month_that_is_published_twice_is_posted_once(published: Path, files: Files) -> None:
    """Birmingham has May 2014 again as June; even where a file is not the very same, none of its rows is posted again."""
    months = packed(published / "birmingham_pcard" / "birmingham_pcard_2014_2016_by_month.tar.xz")
    may, june = (content for name, content in months.items() if "2014-05" in name or "2014-06" in name)
    layout = find_layout("birmingham", Path("none"))
    files.bill_in(BASIC, "GBP")
    cards = {row.last_four for row in read("birmingham", may)[1]}
    account = files.open("1", card="411111111111" + min(filter(None, cards)))
    files.load(may, layout)
    with pytest.raises(Rejected, match="imported before"):
        files.take_in(june, layout)
    again = files.one(files.load(june + b"\n", layout))
    assert (again.posted, again.seen) == (0, 4573)
    assert files.balances()[account] + files.balances()["suspense:GBP"] == 602_791_92
    files.assert_balanced()


def test_barnet_comes_to_its_grand_totals(published: Path) -> None:
    files = packed(published / "small_councils" / "barnet_pcard_2014_2018.tar.xz")
    rows = 0
    for name, content in files.items():
        layout = "barnet_transactions" if "1718" in name else "barnet_ledger"
        reader, good, refused = read(layout, content)
        rows += len(good) + len(refused)
        assert {each.code for row in refused for each in row.findings} <= {"zero_amount"}
        assert reader.differing == 0
    assert rows == 17_520 - 2  # as many lines, of which two are grand totals


def test_oxford_is_read_whole(published: Path) -> None:
    files = packed(published / "small_councils" / "oxford_procurement_card_2017_2018.tar.xz")
    found = [read("oxford", content) for content in files.values()]
    assert sum(len(good) for _, good, _ in found) == 4368
    assert not any(refused for _, _, refused in found)


def test_the_schemes_own_formats_are_read_as_expected(published: Path) -> None:
    for layout, folder in (("vcf4", "vcf4_p1"), ("cdf3", "cdf3_p3"), ("gl1025", "amex_gl1025_p1")):
        feed = published / "card_feeds" / folder
        _, good, refused = read(layout, (feed / "data").read_bytes())
        expected = json.loads((feed / "expected.json").read_text("utf-8"))
        assert not refused
        assert [
            (Decimal(row.amount).scaleb(-2), row.currency, str(row.transacted_on), str(row.posted_on), row.merchant_category)
            for row in good
        ] == [
            (
                Decimal(each["amount"]), each["currency"], each["transaction_dt"][:10], each["post_date"][:10],
                each["merchant_category_code"],
            )
            for each in expected
        ]  # fmt: skip
        assert [row.card_number and row.card_number[-4:] for row in good] == [
            e["account_number"][-4:] for e in expected
        ]


def test_a_scheme_file_without_transactions_or_with_a_wrong_amount_says_so(published: Path) -> None:
    _, good, refused = read("vcf4", (published / "card_feeds" / "vcf4_n1" / "data").read_bytes())
    assert not good
    assert next((each.column, each.code) for row in refused for each in row.findings) == (
        "amount",
        "unreadable",
    )
    _, good, refused = read("cdf3", (published / "card_feeds" / "cdf3_p1_empty" / "data").read_bytes())
    assert not good + refused


def test_payments_of_bank_statements_are_read(published: Path) -> None:
    folder = published / "bank_statements"
    _, (payment,), _ = read("camt053", (folder / "camt053.v2.multi.statement.xml").read_bytes())
    assert (payment.kind, payment.amount, payment.currency) == ("payment", -885, "EUR")
    assert (str(payment.posted_on), str(payment.transacted_on)) == ("2014-12-31", "2015-01-02")
    _, payments, _ = read("camt054", (folder / "camt054.v8.xml").read_bytes())
    assert [row.amount for row in payments] == [-310, -320, -320]
