"""Sealed texts: a secret that has to pass through messages and tables travels as one, readable only with the key.

The gateway seals what a contract marks as `Sealed`; identity seals the codes that notifications puts into mails.
"""

import hmac
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken

from shared.settings import BadSettings, Settings


class BrokenSeal(ValueError):
    """The text was not sealed with this key, or it was tampered with."""


class Seal:
    """Seals and opens short texts. ``key`` is 32 random bytes in URL-safe base 64."""

    def __init__(self, key: str) -> None:
        self._key = Fernet(key)
        self._secret = key.encode()

    def close(self, text: str) -> str:
        """Return the sealed form of a text, another one each time."""
        return self._key.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the text in a sealed form; raises BrokenSeal."""
        try:
            return self._key.decrypt(sealed).decode()
        except InvalidToken as error:
            raise BrokenSeal("a sealed text cannot be opened with this key") from error

    def mark(self, content: bytes) -> str:
        """Return what tells two contents apart and lets nobody without the key guess at them."""
        return hmac.new(self._secret, content, sha256).hexdigest()


def seal_of(settings: Settings) -> Seal:
    """Return the seal of this installation; raises BadSettings where the process was not given its key."""
    if not settings.sealing_key:
        raise BadSettings("CARDWORK_SEALING_KEY is not set; `cardwork provision` makes keys.")
    return Seal(settings.sealing_key)


def new_seal_key() -> str:
    """Return a new key."""
    return Fernet.generate_key().decode()
