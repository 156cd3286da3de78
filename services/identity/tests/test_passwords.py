import unicodedata

import pytest
from argon2 import Parameters
from hypothesis import given
from hypothesis import strategies as st

from services.identity import passwords
from services.identity.passwords import (
    LONGEST,
    SHORTEST,
    check_password,
    hash_password,
    is_outdated,
    is_password,
)
from shared.errors import Rejected

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


def refusal(password: str, user_id: str = "m.laurent", *names: str) -> str | None:
    """Return the code with which a password is refused, None where it is taken."""
    try:
        check_password(password, user_id=user_id, names=names or ("Marie Laurent", "Nordlicht Handel"))
    except Rejected as refused:
        return refused.code
    return None


def test_a_refusal_names_the_field_and_says_what_to_do() -> None:
    with pytest.raises(Rejected) as refusal:
        check_password("short", user_id="anna", names=())
    assert refusal.value.field == "password"
    assert refusal.value.message.startswith("Choose at least 12 characters")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("eleven char", "password_too_short"),
        ("twelve chars", None),
        ("x7" * 64, None),
        ("x7" * 64 + "x", "password_too_long"),
        ("SonnenSchein", "password_breached"),
        ("sonnenschein", "password_breached"),
        ("SonnenSchein1!", "password_breached"),
        ("12sonnenschein", "password_breached"),
        ("i am m.laurent today", "password_too_personal"),
        ("my name is LAURENT", "password_too_personal"),
        ("the northern nordlicht", "password_too_personal"),
        ("CardWork is what I use", "password_too_personal"),
        ("no capital no digit no sign", None),
        ("\u5bc6\u7801" * 6, None),
    ],
)
def test_a_password_must_be_long_unknown_and_impersonal_and_nothing_else(
    password: str, code: str | None
) -> None:
    assert refusal(password) == code


def test_what_is_counted_and_compared_is_how_the_password_is_kept() -> None:
    """A letter that a keyboard spells as two is one, and a full-width letter is the plain one."""
    assert refusal("e\u0301" * 11) == "password_too_short"
    assert refusal("\uff33onnenschein") == "password_breached"


def test_short_parts_of_names_are_no_reason_to_refuse() -> None:
    assert refusal("a lion in the garden", "ann", "Ann Li", "The A Co") is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=12, max_size=100))
def test_whatever_is_accepted_is_long_enough_and_holds_no_name(password: str) -> None:
    if refusal(password) is None:
        spelled = unicodedata.normalize("NFKC", password)
        assert SHORTEST <= len(spelled) <= LONGEST
        assert not any(name in spelled.casefold() for name in ("laurent", "nordlicht", "cardwork", "marie"))


@given(
    st.text(min_size=0, max_size=20), st.sampled_from(["laurent", "Marie", "HANDEL", "cardwork", "m.laurent"])
)
def test_a_name_is_found_wherever_it_stands(rest: str, name: str) -> None:
    half = len(rest) // 2
    # A space keeps a combining mark from changing the name's own letters.
    assert refusal(f"{rest[:half]} {name} {rest[half:]}") is not None


@given(st.from_regex(r"[a-z]{4,8}( [a-z]{4,8}){3}", fullmatch=True))
def test_four_words_in_a_row_do_whatever_they_are_made_of(password: str) -> None:
    assert refusal(password, "zzzz", "Zzzz") is None or "zzzz" in password or "cardwork" in password
