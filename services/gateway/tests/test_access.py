"""The ways in, with identity in the test's hands: what is passed on, for whom, and what is not."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from services.gateway.calls import Answer, Body
from services.gateway.tests.test_edge import KEYS, SESSION, TOKEN, System
from shared.actor import Actor, Verifier
from shared.clock import utc_now

ENROLMENT = {"access_code": "x", "secret_phrase": "y", "user_id": "nina", "password": "z"}
OPEN = (
    ("/enrolment", ENROLMENT),
    ("/password-reset", {"user_id": "nina"}),
    ("/password-reset/confirm", {"token": "x", "password": "y"}),
)
OWN: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/me/sessions", None),
    ("DELETE", "/me/sessions", None),
    ("DELETE", "/me/sessions/ses_1", None),
    ("POST", "/me/password", {"current_password": "x", "password": "y"}),
    ("GET", "/me/second-factor", None),
    ("POST", "/me/second-factor", {}),
    ("POST", "/me/second-factor/confirm", {"otp": "123456"}),
    ("POST", "/me/second-factor/recovery-codes", {"otp": "123456"}),
    ("POST", "/me/second-factor/remove", {"otp": "123456"}),
)


class Door(System):
    """A gateway before an identity that says yes to everything and notes what it was asked."""

    def __init__(self, **settings: Any) -> None:
        self.heard: list[tuple[str, str, Actor, Any]] = []
        self.answer = Answer(200, {}, b'{"done": true}')
        super().__init__(**settings)

    def service(self, method: str, path: str, headers: Mapping[str, str], body: Body) -> Answer:
        """Answer as identity would."""
        if path == "/sessions/check":
            return Answer(200, {}, orjson.dumps({"sessions": [SESSION]}))
        assertion = headers["Authorization"].removeprefix("Bearer ")
        actor = Verifier(KEYS["assertion_public_key"], "identity").verify(assertion, utc_now())
        self.heard.append(
            (method, path, actor, orjson.loads(body) if body and isinstance(body, bytes) else None)
        )
        return self.answer

    def ask(self, method: str, path: str, body: Any, token: str | None = TOKEN) -> Any:
        """Send a request of somebody signed in, or of nobody."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.open(f"/api/v1{path}", method=method, json=body, headers=headers)


@pytest.fixture
def door() -> Door:
    """A gateway with the usual settings."""
    return Door()


@pytest.mark.parametrize(("path", "body"), OPEN)
def test_whoever_is_not_signed_in_is_let_through_for_the_gateway(
    door: Door, path: str, body: dict[str, str]
) -> None:
    assert door.ask("POST", path, body, token=None).status_code < 300
    ((method, asked, actor, sent),) = door.heard
    assert (method, asked, actor.user_id, sent) == ("POST", path, "gateway", body)


@pytest.mark.parametrize(("method", "path", "body"), OWN)
def test_whoever_is_signed_in_is_let_through_as_that_user(
    door: Door, method: str, path: str, body: Any
) -> None:
    """With no function at all: somebody who may do nothing yet can still set up a second factor."""
    assert door.ask(method, path, body).status_code < 300
    ((asked_method, asked, actor, sent),) = door.heard
    assert (asked_method, asked, sent) == (method, path, body)
    assert (actor.user_id, actor.session_id) == ("pa", "ses_1")


@pytest.mark.parametrize(("method", "path", "body"), OWN)
def test_without_a_session_nothing_is_asked(door: Door, method: str, path: str, body: Any) -> None:
    assert door.ask(method, path, body, token=None).status_code == 401
    assert door.heard == []


def test_the_path_of_a_session_leads_nowhere_else(door: Door) -> None:
    door.ask("DELETE", "/me/sessions/..%3Fx", None)
    ((_, path, _, _),) = door.heard
    assert path == "/me/sessions/..%3Fx"


@pytest.mark.parametrize(("path", "body"), OPEN)
def test_the_ways_in_share_the_limit_of_signing_in(path: str, body: dict[str, str]) -> None:
    door = Door(sign_in_rate_limit="2 per hour")
    door.ask("POST", "/sessions", {"user_id": "pa", "password": "guess"}, token=None)
    statuses = [door.ask("POST", path, body, token=None).status_code for _ in range(2)]
    assert statuses[0] < 300
    assert statuses[1] == 429


@pytest.mark.parametrize(("path", "body"), [*OPEN, *((path, body) for _, path, body in OWN if body)])
def test_what_is_not_well_formed_is_refused_by_field_and_not_passed_on(
    door: Door, path: str, body: dict[str, str]
) -> None:
    for name in body:
        for wrong, pointers in (
            ({**body, name: 5}, [f"/{name}"]),
            ({other: value for other, value in body.items() if other != name}, [f"/{name}"]),
            ({**body, "admin": True}, ["/admin"]),
        ):
            answer = door.ask("POST", path, wrong)
            assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")
            assert [fault["pointer"] for fault in answer.get_json()["errors"]] == pointers
    assert door.heard == []


def test_where_nothing_is_to_be_sent_a_field_is_refused(door: Door) -> None:
    answer = door.ask("POST", "/me/second-factor", {"secret": "mine"})
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/secret"]
    assert door.heard == []


def test_a_refusal_of_identity_keeps_its_code_and_its_field(door: Door) -> None:
    fault = {"pointer": "/user_id", "code": "user_id_taken", "message": "Somebody else has it."}
    problem = {"title": "Refused.", "code": "user_id_taken", "status": 422, "errors": [fault]}
    door.answer = Answer(422, {"content-type": "application/problem+json"}, orjson.dumps(problem))
    answer = door.ask("POST", "/enrolment", ENROLMENT, token=None)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "user_id_taken")
    assert answer.get_json()["errors"] == [fault]


@pytest.mark.parametrize(
    ("agent", "passed_on"), [("Firefox", "Firefox"), ("x" * 300, "x" * 200), ("", None), ("a\tb", "ab")]
)
def test_identity_learns_from_where_and_by_what_somebody_signs_in(
    door: Door, agent: str, passed_on: str | None
) -> None:
    session = {"token": "t", "device": "d", "session": SESSION}
    door.answer = Answer(201, {}, orjson.dumps(session))
    credentials = {"user_id": "pa", "password": "guess", "otp": "123456", "device": "d"}
    answer = door.client.post("/api/v1/sessions", json=credentials, headers={"User-Agent": agent})
    assert (answer.status_code, answer.get_json()["device"]) == (201, "d")
    ((_, _, _, sent),) = door.heard
    assert sent == {**credentials, "address": "127.0.0.1", "agent": passed_on}


def test_nobody_says_for_himself_from_where_he_comes(door: Door) -> None:
    credentials = {"user_id": "pa", "password": "guess", "address": "192.0.2.1"}
    answer = door.client.post("/api/v1/sessions", json=credentials)
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/address"]
