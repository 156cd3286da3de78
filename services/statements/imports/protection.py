"""Card numbers in files: neither a table nor a file of refused rows ever holds one, but what finds its account."""

from services.statements.imports.rows import Protect
from shared.card_numbers import hash_number, lookup_key
from shared.settings import BadSettings, Settings


def protection_of(settings: Settings) -> Protect:
    """Return what takes the place of a card number; raises BadSettings, once there is one, where there is no key."""
    text = settings.card_lookup_key
    key = lookup_key(text) if text else None

    def protect(number: str) -> str:
        if key is None:
            raise BadSettings(
                "CARDWORK_CARD_LOOKUP_KEY is not set; accounts are found by card numbers with it."
            )
        return f"{hash_number(number, key)}:{number[-4:]}"

    return protect
