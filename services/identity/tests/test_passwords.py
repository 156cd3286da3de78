import pytest
from argon2 import Parameters

from services.identity import passwords
from services.identity.passwords import hash_password, is_outdated, is_password

AS_SHIPPED = passwords.PARAMETERS  # before any test makes them cheap


def test_the_price_of_a_guess_is_not_below_what_is_recommended() -> None:
    """19 MiB and two passes of argon2id, or dearer."""
    assert AS_SHIPPED.type.name == "ID"
    assert AS_SHIPPED.memory_cost >= 19 * 1024
    assert AS_SHIPPED.time_cost >= 2
    assert AS_SHIPPED.salt_len >= 16
    assert AS_SHIPPED.hash_len >= 32


def test_a_hash_at_the_shipped_price_is_argon2id_and_found_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PARAMETERS", AS_SHIPPED)
    kept = hash_password("open sesame")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert len(kept) <= 200
    assert is_password(kept, "open sesame")
    assert not is_password(kept, "open sesam")
    assert not is_outdated(kept)


def test_the_same_password_never_has_the_same_hash() -> None:
    assert hash_password("x") != hash_password("x")


def test_nothing_is_the_password_of_nobody() -> None:
    assert not is_password(None, "")
    assert not is_password(None, "x")


def test_a_hash_made_at_another_price_is_outdated(
    monkeypatch: pytest.MonkeyPatch, cheap_hashes: Parameters
) -> None:
    kept = hash_password("x")
    monkeypatch.setattr(passwords, "PARAMETERS", AS_SHIPPED)
    assert is_outdated(kept)
    assert is_password(kept, "x")
