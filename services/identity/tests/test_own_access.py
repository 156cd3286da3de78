from datetime import datetime
from typing import Any

import sqlalchemy as sa
from werkzeug.test import TestResponse

from services.identity.model import change
from services.identity.tests.conftest import GATEWAY, PASSWORD, Identity
from shared.contracts.identity import PasswordChanged

NEW = "the otter sleeps on its back"


def sessions(identity: Identity, token: str) -> list[dict[str, Any]]:
    answer = identity.me("GET", "/sessions", token)
    assert answer.status_code == 200
    return list(answer.get_json()["data"])


def change_password(
    identity: Identity, token: str, current: str = PASSWORD, password: str = NEW
) -> TestResponse:
    return identity.me("POST", "/password", token, {"current_password": current, "password": password})


# Sessions


def test_a_user_sees_where_the_own_sessions_are(identity: Identity) -> None:
    first = identity.sign_in(address="192.0.2.7", agent="Firefox").get_json()["token"]
    identity.pass_by(minutes=5)
    second = identity.token()
    identity.enrol(user_id="ben")
    identity.token("ben")
    newer, older = sessions(identity, first)
    assert (older["address"], older["agent"], older["current"]) == ("192.0.2.7", "Firefox", True)
    assert (newer["address"], newer["agent"], newer["current"]) == (None, None, False)
    assert datetime.fromisoformat(newer["started_at"]) == identity.now
    assert datetime.fromisoformat(older["last_used_at"]) == identity.now
    assert [one["current"] for one in sessions(identity, second)] == [True, False]


def test_sessions_that_are_over_are_not_shown(identity: Identity) -> None:
    ended = identity.token()
    identity.me("DELETE", f"/sessions/{sessions(identity, ended)[0]['id']}", ended)
    identity.token()
    identity.pass_by(minutes=30)
    assert len(sessions(identity, identity.token())) == 1


def test_a_user_ends_one_of_the_own_sessions(identity: Identity) -> None:
    lost, here = identity.token(), identity.token()
    (session,) = [one for one in sessions(identity, here) if not one["current"]]
    for _ in range(2):
        assert identity.me("DELETE", f"/sessions/{session['id']}", here).status_code == 204
    assert [bool(found) for found in identity.check(lost, here)] == [False, True]


def test_nobody_ends_the_session_of_another_user(identity: Identity) -> None:
    identity.enrol(user_id="ben")
    anna, ben = identity.token(), identity.token("ben")
    assert identity.me("DELETE", f"/sessions/{sessions(identity, ben)[0]['id']}", anna).status_code == 204
    assert identity.check(ben) != [None]


def test_a_user_ends_all_sessions_but_this_one(identity: Identity) -> None:
    identity.enrol(user_id="ben")
    others, here, ben = [identity.token(), identity.token()], identity.token(), identity.token("ben")
    assert identity.me("DELETE", "/sessions", here).status_code == 204
    assert [bool(found) for found in identity.check(*others, here, ben)] == [False, False, True, True]


def test_an_assertion_that_outlives_its_session_is_worth_nothing(identity: Identity) -> None:
    token = identity.token()
    (session,) = identity.check(token)
    assert session is not None
    actor = identity.actor(session)
    identity.call("DELETE", f"/sessions/{session['session_id']}")
    passwords = {"current_password": PASSWORD, "password": NEW}
    for method, path, body in (
        ("GET", "/me/sessions", None),
        ("DELETE", "/me/sessions", None),
        ("POST", "/me/second-factor", {}),
        ("POST", "/me/second-factor/remove", {"otp": "123456"}),
        ("POST", "/me/password", passwords),
    ):
        answer = identity.call(method, path, body, actor=actor)
        assert (answer.status_code, answer.get_json()["code"]) == (401, "session_over")
    assert identity.sign_in().status_code == 201


def test_only_somebody_signed_in_is_answered(identity: Identity) -> None:
    for method, path in (
        ("GET", "/me/sessions"),
        ("DELETE", "/me/sessions"),
        ("DELETE", "/me/sessions/ses_0"),
        ("POST", "/me/password"),
        ("GET", "/me/second-factor"),
        ("POST", "/me/second-factor"),
        ("POST", "/me/second-factor/confirm"),
        ("POST", "/me/second-factor/recovery-codes"),
        ("POST", "/me/second-factor/remove"),
    ):
        answer = identity.call(method, path, {} if method == "POST" else None, actor=GATEWAY)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "signed_in_only"), path


# Password


def test_a_user_changes_the_own_password_and_every_other_session_ends(identity: Identity) -> None:
    other, here = identity.token(), identity.token()
    assert change_password(identity, here).status_code == 204
    assert [bool(found) for found in identity.check(other, here)] == [False, True]
    assert identity.sign_in(password=PASSWORD).status_code == 401
    assert identity.sign_in(password=NEW).status_code == 201


def test_the_user_is_told_and_the_history_knows(identity: Identity) -> None:
    change_password(identity, identity.token())
    (event,) = identity.events(PasswordChanged)
    assert event.recipient.email == "anna@company.example"
    with identity.store.read() as session:
        (row,) = session.execute(sa.select(change))
    assert (row.field, row.old, row.new, row.actor) == ("password", None, "changed", "anna")
    assert row.command == "identity.password-change"
    assert "otter" not in identity.everything()


def test_a_wrong_current_password_changes_nothing_and_counts_as_a_failed_sign_in(identity: Identity) -> None:
    token = identity.token()
    for _ in range(5):
        answer = change_password(identity, token, current="wrong")
        assert (answer.status_code, answer.get_json()["code"]) == (422, "wrong_password")
        assert answer.get_json()["errors"][0]["pointer"] == "/current_password"
    assert change_password(identity, token).status_code == 429
    assert identity.sign_in().status_code == 429
    identity.pass_by(seconds=5)
    assert change_password(identity, token).status_code == 204


def test_a_new_password_that_is_easy_to_guess_is_refused_by_field(identity: Identity) -> None:
    token = identity.token()
    for _ in range(6):  # a choice is no failure
        answer = change_password(identity, token, password="administrator anna")
        assert (answer.status_code, answer.get_json()["code"]) == (422, "password_too_personal")
        assert answer.get_json()["errors"][0]["pointer"] == "/password"
    assert identity.sign_in().status_code == 201


def test_malformed_requests_are_refused_by_field(identity: Identity) -> None:
    token = identity.token()
    whole = {"current_password": PASSWORD, "password": NEW}
    for body, field in (
        ({"password": NEW}, "/current_password"),
        ({"current_password": PASSWORD}, "/password"),
        ({**whole, "user_id": "ben"}, "/user_id"),
    ):
        answer = identity.me("POST", "/password", token, body)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")
        assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [field]
