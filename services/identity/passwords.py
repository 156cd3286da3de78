"""Passwords: which are good enough, and how they are kept: as argon2id hashes only.

They are checked so that an unknown user takes as long as a known one. Length counts, not composition; the list of those
that guessers try first ships with a package, so that nothing is asked over a network.
"""

import re
import secrets
import threading
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from importlib import import_module

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import ARGON2_VERSION, Type

from shared.errors import Rejected

SHORTEST, LONGEST = 12, 128

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

_PRODUCT = "cardwork"
_SHORTEST_PART = 4
"""Shorter parts of names turn up in words that have nothing to do with them."""

# Many sign-ins at once wait for their turn, so that they do not claim that much memory all together.
_turns = threading.BoundedSemaphore(4)


def check_password(password: str, *, user_id: str, names: Iterable[str]) -> None:
    """Raise Rejected, naming the field, where a password that somebody chose is too easy to guess (IDN-02).

    ``names`` are those of the person and of the company.
    """
    password = _spelled(password)
    if len(password) < SHORTEST:
        raise _refused("too_short", f"Choose at least {SHORTEST} characters; a few words in a row do well.")
    if len(password) > LONGEST:
        raise _refused("too_long", f"Choose at most {LONGEST} characters.")
    if not _forms(password).isdisjoint(_breached()):
        raise _refused(
            "breached", "This password is on the lists that guessers try first. Choose another one."
        )
    found = next((part for part in _parts(user_id, *names) if part in password.casefold()), None)
    if found:
        raise _refused("too_personal", f"Leave out \u201c{found}\u201d: names are what guessers begin with.")


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


def _refused(why: str, advice: str) -> Rejected:
    return Rejected(f"password_{why}", advice, "password")


@lru_cache(maxsize=1)
def _breached() -> frozenset[str]:
    # Loaded when the first password is chosen: it takes some megabytes, which most processes never need.
    lists = import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS
    return frozenset(password.casefold() for password in lists["passwords"])


def _forms(password: str) -> set[str]:
    """Return what a list of passwords is searched for: digits or signs at either end disguise nothing."""
    folded = password.casefold()
    return {folded, re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)}


def _parts(user_id: str, *names: str) -> list[str]:
    words = [word for name in (user_id, *names) for word in re.split(r"[\W_]+", _spelled(name))]
    found = {part.casefold() for part in (_PRODUCT, user_id, *words) if len(part) >= _SHORTEST_PART}
    return sorted(found, key=len, reverse=True)


def _spelled(password: str) -> str:
    # Keyboards spell one and the same letter in several ways.
    return unicodedata.normalize("NFKC", password)
