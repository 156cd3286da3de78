"""Card numbers at rest."""

from base64 import b64encode

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from services.accounts.vault import Vault, mask

KEY, OTHER_KEY = (b64encode(bytes([n]) * 32).decode() for n in (1, 2))
numbers = st.text("0123456789", min_size=12, max_size=19)


@given(numbers)
def test_a_number_comes_back_only_for_its_own_card(number: str) -> None:
    """Bytes moved to another card's row are of no use."""
    vault = Vault(KEY, OTHER_KEY)
    encrypted = vault.encrypt(number, "crd_1")
    assert number.encode() not in encrypted
    assert vault.decrypt(encrypted, "crd_1") == number
    with pytest.raises(InvalidTag):
        vault.decrypt(encrypted, "crd_2")


def test_the_same_number_is_never_encrypted_alike() -> None:
    """Equal numbers cannot be told from equal bytes."""
    vault = Vault(KEY, OTHER_KEY)
    assert vault.encrypt("4111111111111111", "crd_1") != vault.encrypt("4111111111111111", "crd_1")


@given(numbers, numbers)
def test_a_number_is_found_by_a_hash_that_needs_the_key(one: str, other: str) -> None:
    """Without the key nobody can try all numbers."""
    vault = Vault(KEY, OTHER_KEY)
    assert (vault.hash(one) == vault.hash(other)) == (one == other)
    assert Vault(KEY, KEY).hash(one) != vault.hash(one)


def test_a_short_key_is_refused_by_name() -> None:
    """Said at the start, not at the first card."""
    with pytest.raises(ValueError, match="card_lookup_key"):
        Vault(KEY, b64encode(b"short").decode())


def test_people_see_four_digits() -> None:
    """Masked everywhere."""
    assert mask("1234") == "•••• •••• •••• 1234"
