"""Names as they stand on cards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.accounts.embossing import LONGEST, embossed
from shared.errors import Rejected


@given(st.text(max_size=60), st.text(max_size=60))
def test_an_embossed_name_fits_the_plastic(first: str, last: str) -> None:
    """At most 26 characters that an embosser has, and something of the last name among them."""
    text = embossed(f"{first}É", f"N{last}")
    assert 1 <= len(text) <= LONGEST
    assert text.isascii()
    assert text == text.upper().strip()
    assert " " in text
    assert "N" in text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        ("Yasmin", "Øström-Çelik", "YASMIN OSTROM-CELIK"),
        ("Łukasz", "Groß", "LUKASZ GROSS"),
        ("Đorđe", "Sæther", "DORDE SAETHER"),
        ("Þóra", "D’Œuvre", "THORA D'OEUVRE"),
        ("İpek", "Işık", "IPEK ISIK"),
        ("Wolfeschlegelsteinhausen", "Bergerdorff", "W BERGERDORFF"),
    ],
)
def test_no_letter_of_a_name_is_lost_that_an_embosser_can_write(first: str, last: str, text: str) -> None:
    assert embossed(first, last) == text


@pytest.mark.parametrize(("first", "last"), [("明", "李"), ("Yasmin", "王"), ("明", "Li"), ("-", "Li")])
def test_where_a_name_cannot_be_embossed_somebody_is_asked(first: str, last: str) -> None:
    with pytest.raises(Rejected) as refused:
        embossed(first, last)
    assert (refused.value.code, refused.value.field) == ("embossed_name_required", "embossed_name")
