from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import Parameters
from argon2.profiles import CHEAPEST

from services.identity import passwords, sign_in
from services.identity.model import Session, SignInAttempts, User
from services.identity.tests.conftest import PASSWORD, Identity
from services.identity.tests.statements import statements_of
from shared.contracts.identity import UserStatus


def deactivate(identity: Identity, user_id: str) -> None:
    with identity.store.write() as session:
        session.execute(sa.update(User).where(User.user_id == user_id).values(status=UserStatus.INACTIVE))


def fail(identity: Identity, times: int, user_id: str = "anna") -> None:
    for _ in range(times):
        assert identity.sign_in(user_id, "wrong").status_code == 401


def told(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.get_json().items() if name != "request_id"}


def test_the_right_password_opens_a_session(identity: Identity) -> None:
    answer = identity.sign_in()
    assert answer.status_code == 201
    body = answer.get_json()
    assert identity.check(body["token"]) == [body["session"]]


def test_a_user_id_is_the_same_in_capitals(identity: Identity) -> None:
    assert identity.sign_in("ANNA").status_code == 201


def test_a_password_is_the_same_however_a_keyboard_spells_it(identity: Identity) -> None:
    identity.enrol(user_id="rene", password="caf\u00e9 au lait")
    assert identity.sign_in("rene", "cafe\u0301 au lait").status_code == 201


def test_every_failure_looks_the_same(identity: Identity) -> None:
    identity.enrol(user_id="idle")
    deactivate(identity, "idle")
    answers = [
        identity.sign_in("nobody", PASSWORD),
        identity.sign_in("anna", "wrong"),
        identity.sign_in("anna", PASSWORD + " "),
        identity.sign_in("idle", PASSWORD),
        identity.sign_in("idle", "wrong"),
        identity.sign_in("' or 1=1 --", PASSWORD),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].get_json()["code"] == "sign_in_failed"
    assert all(told(answer) == told(answers[0]) for answer in answers)
    assert len({frozenset(dict(answer.headers)) for answer in answers}) == 1


def test_every_failure_costs_the_same_work(identity: Identity, verifications: list[str]) -> None:
    identity.enrol(user_id="idle")
    deactivate(identity, "idle")
    work = []
    for user_id, password in [("nobody", PASSWORD), ("anna", "wrong"), ("idle", PASSWORD), ("idle", "wrong")]:
        verifications.clear()
        with statements_of(identity.store) as statements:
            assert identity.sign_in(user_id, password).status_code == 401
        work.append((list(verifications), [statement.split()[0] for statement in statements]))
    assert len(work[0][0]) == 1
    # The second attempt under one user ID finds a row where the first made one; the statements are the same.
    assert all(each == work[0] for each in work)


def test_after_five_failures_a_user_id_is_closed_for_longer_and_longer(identity: Identity) -> None:
    fail(identity, 5)
    waits = []
    for _ in range(12):
        answer = identity.sign_in()
        assert (answer.status_code, answer.get_json()["code"]) == (429, "too_many_attempts")
        wait = answer.get_json()["retry_after"]
        assert answer.headers["Retry-After"] == str(wait)
        waits.append(wait)
        identity.pass_by(seconds=wait - 1)
        assert identity.sign_in().status_code == 429
        identity.pass_by(seconds=1)
        fail(identity, 1)
    assert waits[:4] == [5, 10, 20, 40]
    assert max(waits) == waits[-1] == waits[-2] == 900


def test_the_password_is_not_even_looked_at_while_a_user_id_is_closed(
    identity: Identity, verifications: list[str]
) -> None:
    fail(identity, 5)
    verifications.clear()
    assert identity.sign_in().status_code == 429
    assert identity.sign_in(password="wrong").status_code == 429
    assert verifications == []


def test_attempts_while_a_user_id_is_closed_do_not_keep_it_closed(identity: Identity) -> None:
    fail(identity, 5)
    for _ in range(4):
        assert identity.sign_in().status_code == 429
        identity.pass_by(seconds=1)
    identity.pass_by(seconds=1)
    assert identity.sign_in().status_code == 201


def test_a_user_id_that_nobody_has_closes_like_any_other(identity: Identity) -> None:
    answers = {}
    for user_id in ("anna", "nobody"):
        fail(identity, 5, user_id)
        answers[user_id] = told(identity.sign_in(user_id))
    assert answers["anna"] == answers["nobody"]


def test_one_closed_user_id_does_not_hinder_another(identity: Identity) -> None:
    identity.enrol(user_id="ben")
    fail(identity, 5)
    assert identity.sign_in("ben").status_code == 201


def test_success_forgives_the_failures_before_it(identity: Identity) -> None:
    for _ in range(3):
        fail(identity, 4)
        assert identity.sign_in().status_code == 201


def test_failures_are_forgotten_after_a_day_without_one(identity: Identity) -> None:
    fail(identity, 4)
    identity.pass_by(days=1, seconds=1)
    fail(identity, 4)
    assert identity.sign_in().status_code == 201


def test_what_is_known_of_old_attempts_is_dropped(identity: Identity) -> None:
    for number in range(5):
        fail(identity, 1, f"nobody{number}")
    identity.pass_by(days=1, seconds=1)
    fail(identity, 1)
    with identity.store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(SignInAttempts)) == 1


def test_guesses_at_the_same_time_all_count(identity: Identity, verifications: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: identity.sign_in(password="wrong").status_code, range(20)))
    assert sorted(answers) == [401] * 5 + [429] * 15
    assert len(verifications) == 5


def test_a_user_signing_in_many_times_at_once_is_let_in(identity: Identity) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: identity.sign_in().status_code, range(4)))
    assert answers == [201] * 4


def test_a_password_that_is_replaced_meanwhile_opens_no_session(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = passwords.is_password

    def look_slowly(kept: str | None, password: str) -> bool:
        right = look(kept, password)
        with identity.store.write() as session:
            session.execute(sa.update(User).values(password_hash=passwords.hash_password("another one")))
        return right

    monkeypatch.setattr(sign_in, "is_password", look_slowly)
    assert identity.sign_in().status_code == 503
    with identity.store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Session)) == 0


def test_nothing_that_was_typed_as_a_user_id_is_kept_in_clear(identity: Identity) -> None:
    fail(identity, 1, "my-secret-password")
    with identity.store.read() as session:
        (row,) = session.execute(sa.select(SignInAttempts.__table__))
    assert "my-secret-password" not in "".join(map(str, row))


def test_a_hash_with_other_parameters_is_renewed_at_sign_in(
    identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored() -> str:
        with identity.store.read() as session:
            return session.scalar(sa.select(User.password_hash).where(User.user_id == "anna")) or ""

    before = stored()
    dearer = Parameters(
        type=CHEAPEST.type,
        version=CHEAPEST.version,
        salt_len=16,
        hash_len=32,
        time_cost=2,
        memory_cost=16,
        parallelism=1,
    )
    monkeypatch.setattr(passwords, "PARAMETERS", dearer)
    fail(identity, 1)
    assert stored() == before
    assert identity.sign_in().status_code == 201
    renewed = stored()
    assert "m=16,t=2,p=1" in renewed
    assert identity.sign_in().status_code == 201
    assert stored() == renewed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user_id": "anna"}, "/password"),
        ({"user_id": "anna", "password": ""}, "/password"),
        ({"user_id": "anna", "password": "x" * 201}, "/password"),
        ({"user_id": "anna", "password": 5}, "/password"),
        ({"user_id": "", "password": "x"}, "/user_id"),
        ({"user_id": "an\x00na", "password": "x"}, "/user_id"),
        ({"user_id": "x" * 201, "password": "x"}, "/user_id"),
        ({"user_id": None, "password": "x"}, "/user_id"),
        ({"user_id": "anna", "password": "x", "otp": "1"}, "/otp"),
        ({"user_id": "anna", "password": "x", "admin": True}, "/admin"),
    ],
)
def test_malformed_credentials_are_refused_by_field(identity: Identity, body: Any, field: str) -> None:
    answer = identity.call("POST", "/sessions", body)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [field]


def test_a_refusal_never_repeats_a_password(identity: Identity) -> None:
    answer = identity.call("POST", "/sessions", {"user_id": "anna", "password": ["hunter2"]})
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
