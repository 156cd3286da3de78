"""The tracking number: short, speakable, unique, not to be guessed, and it notices typing mistakes (TRK-01)."""

from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from services.tracking.rules import ALPHABET, new_tracking_number, read_tracking_number, spoken

numbers = st.builds(new_tracking_number)
places = st.integers(0, 9)


@given(numbers)
def test_it_is_ten_characters_without_vowels(number: str) -> None:
    """Two groups of five, nothing that could be misheard or make a word."""
    assert len(number) == 10
    assert set(number) <= set(ALPHABET)
    assert not set(ALPHABET) & set("AEIOUL")
    assert spoken(number) == f"{number[:5]}-{number[5:]}"


@given(numbers, st.sampled_from(["", " ", "-", " - "]), st.booleans())
def test_it_is_read_however_it_was_typed(number: str, between: str, low: bool) -> None:
    """Spaces, hyphens and small letters do not matter, nor O for 0 and I for 1."""
    typed = between.join(number).replace("0", "O").replace("1", "l")
    assert read_tracking_number(typed.lower() if low else typed) == number


@given(numbers, places, st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(number: str, place: int, other: str) -> None:
    """Whichever it is, the check character's own included."""
    assume(number[place] != other)
    assert read_tracking_number(number[:place] + other + number[place + 1 :]) is None


@given(numbers, places, places)
def test_two_swapped_characters_are_noticed(number: str, one: int, other: int) -> None:
    """Wherever the two stand."""
    assume(number[one] != number[other])
    letters = list(number)
    letters[one], letters[other] = letters[other], letters[one]
    assert read_tracking_number("".join(letters)) is None


def test_numbers_do_not_follow_each_other() -> None:
    """Of ten thousand none comes twice, and no two neighbours begin alike more often than chance has it."""
    drawn = [new_tracking_number() for _ in range(10_000)]
    assert len(set(drawn)) == len(drawn)
    alike = sum(a[:2] == b[:2] for a, b in pairwise(drawn))
    assert alike < 40  # expected 11; more than 40 is less likely than one in a million
