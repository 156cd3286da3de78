"""Dates and amounts out of texts: exact, or refused with words that say what is wrong."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.statements.imports.currencies import EXPONENTS, currency_of
from services.statements.imports.values import AmountForm, DateForms, Unreadable

PLAIN = AmountForm(thousands=",")
CONTINENTAL = AmountForm(decimal=",", thousands=".")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12.50", 1250),
        ("12", 1200),
        (".5", 50),
        ("5.", 500),
        ("1,234,567.80", 123456780),
        ("-3.10", -310),
        ("3.10-", -310),
        ("(3.10)", -310),
        ("+3.1", 310),
        ("$1,525.50", 152550),
        ("($1,525.50)", -152550),
        ("-$2.00", -200),
        ("0.00", 0),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, amount: int) -> None:
    assert AmountForm(thousands=",", signs=("$",)).read(text, 2) == amount


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1.2.3", "1,2", "1,23.00", "12a", "1 2", "--1", "1e3", "٣", "NaN"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match=r"is no amount such as 1,234\.50"):
        PLAIN.read(text, 2)


@pytest.mark.parametrize(
    ("text", "exponent"), [("1.005", 2), ("1.0050", 2), ("12.5", 0), ("1.2345", 3), ("0.001", 2)]
)
def test_a_decimal_too_many_is_never_rounded_away(text: str, exponent: int) -> None:
    with pytest.raises(Unreadable, match="decimals"):
        PLAIN.read(text, exponent)


def test_a_mark_for_thousands_is_not_taken_for_that_of_decimals() -> None:
    with pytest.raises(Unreadable, match="is no decimal mark"):
        PLAIN.read("1.000", 2)
    assert CONTINENTAL.read("1.000", 2) == 100000
    assert CONTINENTAL.read("1.234,5", 2) == 123450


@pytest.mark.parametrize(
    ("currency", "text", "amount"),
    [
        ("JPY", "1234", 1234),
        ("JPY", "1234.00", 1234),
        ("KWD", "1.234", 1234),
        ("EUR", "1.2", 120),
        ("CLF", "1.2345", 12345),
    ],
)
def test_each_currency_has_its_own_decimals(currency: str, text: str, amount: int) -> None:
    assert PLAIN.read(text, EXPONENTS[currency]) == amount


@pytest.mark.parametrize(
    ("text", "implied", "amount"),
    [
        ("0000000000008998", 2, 8998),
        ("0000000000050000", 4, 500),
        ("7", 2, 7),
        ("12", 0, 1200),
        ("-5", 1, -50),
    ],
)
def test_decimals_can_be_implied(text: str, implied: int, amount: int) -> None:
    assert PLAIN.read(text, 2, implied) == amount


def test_implied_decimals_are_not_rounded_away_either() -> None:
    with pytest.raises(Unreadable, match="more than the 2 decimals"):
        PLAIN.read("0000000000050001", 2, 4)


@given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(EXPONENTS)))
def test_whatever_is_written_in_full_is_read_as_it_was(amount: int, currency: str) -> None:
    exponent = EXPONENTS[currency]
    written = f"{Decimal(amount).scaleb(-exponent):,.{exponent}f}"
    assert PLAIN.read(written, exponent) == amount


@pytest.mark.parametrize(
    ("form", "text"),
    [("YYYY-MM-DD", "2026-02-28"), ("DD/MM/YYYY", "28/02/2026"), ("DD/MM/YY", "28/02/26"), ("MMDDYYYY", "02282026"),
     ("DD MMM YYYY", "28 Feb 2026"), ("YYYYDDD", "2026059")],
)  # fmt: skip
def test_dates_are_read_in_the_form_of_the_layout(form: str, text: str) -> None:
    assert DateForms((form,)).read(text) == date(2026, 2, 28)


@pytest.mark.parametrize("text", ["31/02/2026", "2026-02-01", "01/13/2026", "01/01/0226", ""])
def test_days_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="DD/MM/YYYY"):
        DateForms(("DD/MM/YYYY",)).read(text)


@pytest.mark.parametrize(("text", "code"), [("EUR", "EUR"), ("978", "EUR"), ("00978", "EUR"), ("036", "AUD")])
def test_currencies_are_known_by_letters_and_by_number(text: str, code: str) -> None:
    assert currency_of(text) == code


@pytest.mark.parametrize("text", ["", "eur", "XXQ", "000", "1978978"])
def test_what_is_no_currency_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="ISO 4217"):
        currency_of(text)
