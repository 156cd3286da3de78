"""Secrets that Cardwork makes: tokens for programs to carry, codes for people to type. Only hashes of them are kept.

Each is random enough that a plain hash of it cannot be turned back.
"""

import hashlib
import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_MISREAD = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})
_GROUPS, _IN_GROUP = 4, 4


def new_token() -> str:
    """Return a new token of 256 bits."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_code() -> str:
    """Return a new code of 80 bits, such as ``7kq2-m9xt-04fa-bc8d``."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_IN_GROUP)) for _ in range(_GROUPS))


def hash_code(code: str) -> str:
    """Return what is stored of a code; capitals, spaces, hyphens and letters like digits make no difference."""
    return hash_token(code.lower().translate(_MISREAD))
