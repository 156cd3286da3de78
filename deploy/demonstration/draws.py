"""Chance that is the same every time, on every machine and Python: numbers drawn from what they are drawn for.

Drawing by subject, not one after the other, lets any account be made without those before it.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from itertools import product
from struct import Struct
from typing import TypeVar

T = TypeVar("T")

_SEED = b"Cardwork demonstration"
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_AS_LETTERS = bytes(ord(_LETTERS[byte % 32]) for byte in range(256))
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
_IDS_BEGIN = 1_767_225_600_000  # milliseconds: the first instant of 2026
_PER_MILLISECOND = 1000

_SERIALS = 10**9
_STRIDE = (
    618_033_989  # has no divisor in common with 10**9, so that steps of it meet every number before any twice
)


def draw(subject: str) -> tuple[int, ...]:
    """Return 32 numbers of 16 bits."""
    return numbers_in(digest(subject))


def digest(subject: str) -> bytes:
    """Return 64 bytes."""
    return blake2b(subject.encode(), key=_SEED).digest()


numbers_in = Struct("<32H").unpack


def one_of(things: Sequence[T], drawn: int) -> T:
    """Return the thing that a drawn number falls on."""
    return things[drawn % len(things)]


def ids(number: int, drawn: bytes) -> tuple[str, str, str]:
    """Return three different spellings of what follows the prefix of an id (26 characters), for one account.

    They are of the form that `shared.ids` makes, and in the order of ``number``; the time that they begin with and the
    place within it make each unique, whatever was drawn. ``drawn`` is at least 42 bytes.
    """
    millisecond, place = divmod(number, _PER_MILLISECOND)
    begin = _spelled_time(millisecond) + _PAIRS[place]
    letters = drawn.translate(_AS_LETTERS).decode()
    return begin + letters[:14], begin + letters[14:28], begin + letters[28:42]


@cache
def _spelled_time(millisecond: int) -> str:
    value = _IDS_BEGIN + millisecond
    return "".join(_LETTERS[(value >> shift) & 31] for shift in range(45, -1, -5))


def card_number(number: int, prefix: int) -> str:
    """Return a number of 16 digits with a valid check digit; any 10**9 numbers in a row give different ones.

    ``prefix`` has six digits.
    """
    payload = prefix * _SERIALS + number * _STRIDE % _SERIALS
    return f"{payload}{check_digit(payload)}"


def check_digit(payload: int) -> int:
    """Return the Luhn check digit of at most 16 digits."""
    sums = _luhn_sums()
    high, low = divmod(payload, 100_000_000)
    return -(sums[high // 10_000] + sums[high % 10_000] + sums[low // 10_000] + sums[low % 10_000]) % 10


@cache
def _luhn_sums() -> list[int]:
    """Return what each group of four digits adds to the sum: a digit at a time takes too long for a million."""
    doubled = [sum(divmod(2 * digit, 10)) for digit in range(10)]
    return [a + doubled[b] + c + doubled[d] for a, b, c, d in product(range(10), repeat=4)]
