"""Amounts as people write them (ISO 4217)."""

import pytest

from shared.money import in_major_units


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (123_456, "EUR", "1234.56"),
        (1980, "JPY", "1980"),
        (12_345, "KWD", "12.345"),
        (-5, "GBP", "-0.05"),
        (0, "CLF", "0.0000"),
        (100, "USD", "1.00"),
    ],
)
def test_every_currency_has_its_decimals(amount: int, currency: str, written: str) -> None:
    assert f"{in_major_units(amount, currency):f}" == written
