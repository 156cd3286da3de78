"""How a card number is found without being kept: by a hash that nobody can try numbers against who lacks the key."""

import hmac
from base64 import b64decode

KEY_BYTES = 32


def lookup_key(text: str) -> bytes:
    """Return the key that ``card_lookup_key`` holds: 32 bytes in base64; raises ValueError."""
    key = b64decode(text)
    if len(key) != KEY_BYTES:
        raise ValueError("card_lookup_key must be 32 bytes in base64")
    return key


def hash_number(number: str, key: bytes) -> str:
    """Return the keyed hash of a card number, in hexadecimal."""
    return hmac.digest(key, number.encode(), "sha256").hex()
