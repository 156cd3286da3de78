"""Card numbers at rest: encrypted with AES-256-GCM, found by a keyed hash, shown masked."""

import os
from base64 import b64decode
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared import card_numbers
from shared.settings import Settings

_NONCE_BYTES = 12


class Vault:
    """Encrypts and finds card numbers. Both keys are 32 bytes in base64 and never the same."""

    def __init__(self, encryption_key: str, lookup_key: str) -> None:
        self._cipher = AESGCM(_key(encryption_key, "card_encryption_key"))
        self._lookup = card_numbers.lookup_key(lookup_key)

    def encrypt(self, number: str, card_id: str) -> bytes:
        """Return a card number encrypted for one card; the bytes are of no use with another card's id."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, number.encode(), card_id.encode())

    def decrypt(self, encrypted: bytes, card_id: str) -> str:
        """Return the card number; raises cryptography's InvalidTag where bytes, card or key do not belong together."""
        nonce, rest = encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:]
        return self._cipher.decrypt(nonce, rest, card_id.encode()).decode()

    def hash(self, number: str) -> str:
        """Return the keyed hash by which a card is found; without the key nobody can try numbers against it."""
        return card_numbers.hash_number(number, self._lookup)


def _key(text: str, name: str) -> bytes:
    key = b64decode(text)
    if len(key) != 32:
        raise ValueError(f"{name} must be 32 bytes in base64")
    return key


def vault_of(settings: Settings) -> Vault:
    """Return the vault that these settings hold the keys of."""
    return _vault(settings.card_encryption_key or "", settings.card_lookup_key or "")


_vault = lru_cache(maxsize=4)(Vault)


def mask(last_four: str) -> str:
    """Return a card number as people see it."""
    return f"•••• •••• •••• {last_four}"
