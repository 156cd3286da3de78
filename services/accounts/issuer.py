"""The issuer's processor as accounts sees it: a small port, and a simulator that makes test cards behind it.

A processor's adapter is one module with a class that does what `Issuer` says, and a line in `_ADAPTERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from stdnum import luhn

from services.accounts.rules import card_expiry
from shared.contracts.accounts import Product
from shared.errors import Rejected, Unavailable
from shared.settings import BadSettings, Settings

# 9 as a first digit is left to national bodies, so no international scheme has a real card here.
TEST_RANGE = "999900"
_FREE_DIGITS = 9


class IssuerAway(Unavailable):
    """The processor does not answer; what it was asked may or may not be done, so it is asked again."""


class IssuerRefused(Rejected):
    """The processor will not do what it was asked, however often it is asked."""

    def __init__(self, why: str) -> None:
        super().__init__("issuer_refused", f"The issuer's processor refused this: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plastic:
    """A card as the issuer made it; ``number`` never leaves the accounts service in clear."""

    number: str = field(repr=False)
    issued_on: date
    expires_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCard:
    """A card that is to be made: with a new number, or with the ``number`` of the one that it replaces.

    ``details`` are the reason, the contact and the facts for an investigation, as the requester gave them.
    """

    account_id: str
    card_id: str
    product: Product
    embossed_name: str
    ordered_on: date
    good_for_months: int
    number: str | None = field(default=None, repr=False)
    good_after: date | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Issuer(Protocol):
    """What accounts asks of the issuer's processor.

    Each call bears a reference: under the same one nothing is done twice, and the answer is the same. Raises
    IssuerAway where there is no answer in time, IssuerRefused where there will never be another one.
    """

    def open(self, reference: str, wanted: WantedCard) -> Plastic:
        """Open an account and make its first card."""

    def replace(self, reference: str, wanted: WantedCard) -> Plastic:
        """Make a further card for an account; with a new number the cards before are closed."""

    def ship(self, reference: str, card_id: str, to: Mapping[str, str | None]) -> None:
        """Return once a card is on its way to this address; raises IssuerAway until then."""

    def activate(self, reference: str, card_id: str) -> None:
        """Make a card usable, and close those before it."""

    def cancel(self, reference: str, account_id: str) -> None:
        """Close every card of an account."""


class IssuerSimulator:
    """Makes cards with valid check digits in a range that holds no real cards; what it answers follows from what it is asked.

    While there is a file at ``away``, it does not answer.
    """

    def __init__(self, away: Path | None = None) -> None:
        self._away = away

    def open(self, reference: str, wanted: WantedCard) -> Plastic:
        """Return a card with a number drawn from the reference."""
        return self._make(reference, wanted)

    def replace(self, reference: str, wanted: WantedCard) -> Plastic:
        """Return a card with the number that is to be kept, or with one drawn from the reference."""
        return self._make(reference, wanted)

    def ship(self, reference: str, card_id: str, to: Mapping[str, str | None]) -> None:  # noqa: ARG002
        """Ship at once."""
        self._answer()

    def activate(self, reference: str, card_id: str) -> None:  # noqa: ARG002
        """Activate at once."""
        self._answer()

    def cancel(self, reference: str, account_id: str) -> None:  # noqa: ARG002
        """Close at once."""
        self._answer()

    def _make(self, reference: str, wanted: WantedCard) -> Plastic:
        self._answer()
        start = max(wanted.ordered_on, wanted.good_after or wanted.ordered_on)
        return Plastic(
            number=wanted.number or _drawn(reference),
            issued_on=wanted.ordered_on,
            expires_on=card_expiry(start, wanted.good_for_months),
        )

    def _answer(self) -> None:
        if self._away and self._away.exists():
            raise IssuerAway(f"the simulator is away while there is a file {self._away}")


def _drawn(reference: str) -> str:
    drawn = int.from_bytes(sha256(reference.encode()).digest()[:8]) % 10**_FREE_DIGITS
    number = f"{TEST_RANGE}{drawn:0{_FREE_DIGITS}d}"
    return number + luhn.calc_check_digit(number)


def _simulator(url: SplitResult) -> Issuer:
    return IssuerSimulator(Path(unquote(url.path)) if url.path.strip("/") else None)


_ADAPTERS: Mapping[str, Callable[[SplitResult], Issuer]] = {"simulator": _simulator}


def issuer_of(settings: Settings) -> Issuer:
    """Return the processor that CARDWORK_ISSUER_URL names; raises BadSettings where there is no adapter for it."""
    url = urlsplit(settings.issuer_url)
    adapter = _ADAPTERS.get(url.scheme)
    if adapter is None:
        known = ", ".join(f"{scheme}://" for scheme in sorted(_ADAPTERS))
        raise BadSettings(
            f"CARDWORK_ISSUER_URL names no processor that Cardwork can speak to; it can to: {known}"
        )
    return adapter(url)


def check(settings: Settings) -> None:
    """Raise BadSettings where there is no way to the issuer's processor with these settings."""
    issuer_of(settings)
