"""Names are found however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.folding import LONGEST_NAME_KEY, fold_name, name_key


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Søren  Ærø", "soren aero"),
        ("ŁUKASZ", "lukasz"),
        ("Þór Đặng", "thor dang"),
        ("Zoë ÅNGSTRÖM", "zoe angstrom"),
        ("Groß", "gross"),
        ("Œuvrard", "oeuvrard"),
        ("İnan", "inan"),
    ],
)
def test_letters_are_those_that_somebody_would_type(name: str, folded: str) -> None:
    assert fold_name(name) == folded


@given(name=st.text(max_size=100))
def test_what_is_folded_stays_as_it_is(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)
    assert "\n" not in fold_name(name)


def test_a_key_fits_its_column() -> None:
    assert len(name_key("ß" * 100, "ﷺ" * 100)) == LONGEST_NAME_KEY
