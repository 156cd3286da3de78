"""The issuer's processor as accounts sees it: a small port, and a simulator that makes test cards behind it."""

import secrets
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from stdnum import luhn

from services.accounts.rules import card_expiry

# 9 as a first digit is left to national bodies, so no international scheme has a real card here.
TEST_RANGE = "999900"
_FREE_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Plastic:
    """A card as the issuer made it; ``number`` never leaves the accounts service in clear."""

    number: str
    issued_on: date
    expires_on: date


class Issuer(Protocol):
    """What accounts asks of the issuer's processor."""

    def make_card(self, today: date) -> Plastic:
        """Return a new card with a number that was never given out."""


class IssuerSimulator:
    """Makes cards with valid check digits in a range that holds no real cards."""

    def make_card(self, today: date) -> Plastic:
        """Return a new card; a number met twice is caught by the unique index and drawn anew."""
        number = TEST_RANGE + f"{secrets.randbelow(10**_FREE_DIGITS):0{_FREE_DIGITS}d}"
        return Plastic(number + luhn.calc_check_digit(number), today, card_expiry(today))
