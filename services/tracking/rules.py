"""The tracking number: short, speakable, not to be guessed from the one before, with a check character."""

from random import SystemRandom

from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_37_2

# No vowels, so that no words arise, and no letter that is taken for a digit.
ALPHABET = "0123456789BCDFGHJKMNPQRSTVWXYZ"
_DRAWN = 9
_source = SystemRandom()
_MISHEARD = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_tracking_number() -> str:
    """Return a number of ten characters (TRK-01): nine drawn at random, then an ISO 7064 mod 37-2 check character.

    The check finds every single wrong character and every two swapped ones.
    """
    while True:
        drawn = "".join(_source.choices(ALPHABET, k=_DRAWN))
        check = mod_37_2.calc_check_digit(drawn)
        if check in ALPHABET:
            return drawn + check


def spoken(number: str) -> str:
    """Return a tracking number as it is printed: two groups of five."""
    return f"{number[:5]}-{number[5:]}"


def read_tracking_number(text: str) -> str | None:
    """Return the number that someone typed, whatever the spaces, hyphens and capitals; None where it is mistyped."""
    number = "".join(text.upper().split()).replace("-", "").translate(_MISHEARD)
    if len(number) != _DRAWN + 1:
        return None
    try:
        return str(mod_37_2.validate(number))
    except ValidationError:
        return None
