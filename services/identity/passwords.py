"""Passwords: kept as argon2id hashes only, and checked so that an unknown user takes as long as a known one."""

import secrets
import threading
import unicodedata
from functools import lru_cache

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import ARGON2_VERSION, Type

PARAMETERS = Parameters(
    type=Type.ID,
    version=ARGON2_VERSION,
    salt_len=16,
    hash_len=32,
    time_cost=2,
    memory_cost=19 * 1024,  # KiB
    parallelism=1,
)
"""The cost of a guess. Raise it as machines grow: each hash is renewed when its user next signs in."""

# Many sign-ins at once wait for their turn, so that they do not claim that much memory all together.
_turns = threading.BoundedSemaphore(4)


def hash_password(password: str) -> str:
    """Return the hash to keep, with its salt and its parameters in it."""
    with _turns:
        return _hasher().hash(_spelled(password))


def is_password(password_hash: str | None, password: str) -> bool:
    """Return whether the password is the one that was hashed; without a hash it is not, at the same price."""
    stand_in = _hash_of_nothing(PARAMETERS.time_cost, PARAMETERS.memory_cost, PARAMETERS.parallelism)
    with _turns:
        try:
            _hasher().verify(password_hash or stand_in, _spelled(password))
        except VerifyMismatchError:
            return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Return whether a hash was made with other parameters than `PARAMETERS`."""
    return _hasher().check_needs_rehash(password_hash)


def _hasher() -> PasswordHasher:
    return PasswordHasher.from_parameters(PARAMETERS)


@lru_cache(maxsize=1)
def _hash_of_nothing(*_: int) -> str:
    """Return the hash of what nobody can know; made anew whenever the parameters change."""
    return hash_password(secrets.token_urlsafe())


def _spelled(password: str) -> str:
    # Keyboards spell one and the same letter in several ways.
    return unicodedata.normalize("NFKC", password)
