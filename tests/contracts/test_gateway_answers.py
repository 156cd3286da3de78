"""The gateway answers as its document says: the same routes, and answers of the shapes that stand there."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator, FormatChecker
from werkzeug.test import TestResponse

from deploy.compose import Embedded
from deploy.documents.openapi import openapi
from deploy.documents.routes import PREFIX
from services.identity import password_reset
from services.identity.demonstration import load
from services.identity.enrolment import enrol_user
from services.identity.first_sign_in import issue_access_code
from services.identity.model import PasswordReset
from shared.actor import EVERYWHERE, Party
from shared.contracts.types import Language
from shared.settings import Settings
from shared.testing.eventually import eventually
from tests.contracts.pointers import resolve

DOCUMENT = openapi()
OWN_PATHS = {"/openapi.json", "/docs", "/docs/start.js", "/docs/assets/{name}"}
MASTER, INTERMEDIATE, BASIC = "379812345600002", "379812345600005", "379812345600010"
USER = {"user_id": "issuer", "password": "correct horse battery staple"}
MAILED = "the token of the mailed link"
VISITOR = {"user_id": "visitor", "password": "correct horse battery staple"}
HOLDER = {"user_id": "holder", "password": "correct horse battery staple"}


@dataclass
class Caller:
    """A client of the gateway that checks each answer against the document."""

    client: FlaskClient
    token: str | None = None

    def ask(self, method: str, path: str, documented: str | None = None, **options: Any) -> TestResponse:
        headers = {
            **options.pop("headers", {}),
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        }
        answer = self.client.open(f"{PREFIX}{path}", method=method, headers=headers, **options)
        check(DOCUMENT["paths"][documented or path][method.lower()], answer)
        return answer


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """The embedded shape, with its services at work."""
    folder: Path = tmp_path_factory.mktemp("answers")
    often = "100000 per second"
    shape = Embedded(Settings(data_directory=folder, rate_limit=often, sign_in_rate_limit=often))
    for name in shape.services:
        shape.migrate(name)
    contact = {"email": "somebody@issuer.example", "phone": None, "language": "en"}
    common = {"company": None, "control_accounts": [EVERYWHERE], **contact}
    issuer = {**USER, **common, "name": "Issuer", "party": "issuer", "role": "issuer_operator"}
    holder = {**HOLDER, **common, "name": "Holder", "party": "holder", "role": "cardholder"}
    visitor = {**issuer, **VISITOR}
    load(shape.database("identity"), [issuer, holder, visitor], shape.clock())
    consumers = [shape.consumer(name) for name, service in shape.services.items() if service.consumes]
    threads = [threading.Thread(target=consumer.run, daemon=True) for consumer in consumers]
    for thread in threads:
        thread.start()
    yield shape
    for consumer in consumers:
        consumer.stop()
    for thread in threads:
        thread.join(10)
    shape.close()


@pytest.fixture(scope="module")
def app(shape: Embedded) -> Flask:
    """The gateway."""
    return shape.gateway_app()


def sign_in(app: Flask, who: dict[str, str]) -> Caller:
    answer = Caller(app.test_client()).ask("POST", "/sessions", json=who)
    assert answer.status_code == 201
    return Caller(app.test_client(), answer.get_json()["token"])


@pytest.fixture(scope="module")
def caller(app: Flask) -> Caller:
    """Someone who may do everything."""
    return sign_in(app, USER)


@pytest.fixture(scope="module")
def account(caller: Caller) -> str:
    """A card account."""
    for body in (
        {
            "number": MASTER,
            "name": "Nordlicht",
            "level": "master",
            "company_name": "Nordlicht",
            "company_number": "N1",
        },
        {"number": INTERMEDIATE, "name": "France", "level": "intermediate", "parent": MASTER},
        {"number": BASIC, "name": "Sales", "level": "basic", "parent": INTERMEDIATE},
    ):
        assert done(caller, "/control-accounts", body).status_code == 200
    body = {
        "control_account": BASIC,
        "product": "corporate_green",
        "first_name": "Claire",
        "last_name": "Moreau",
    }
    opened: str = done(caller, "/accounts", body).get_json()["result"]["account_id"]
    return opened


def done(caller: Caller, path: str, body: Any, documented: str | None = None) -> TestResponse:
    return caller.ask("POST", path, documented, json=body, headers={"Prefer": "wait=10"})


def test_each_route_is_documented_and_each_documented_route_is_there(app: Flask) -> None:
    there = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule).removeprefix(PREFIX))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert {route for route in there if route[1] not in OWN_PATHS} == documented


def test_the_document_served_is_this_one(app: Flask) -> None:
    assert app.test_client().get(f"{PREFIX}/openapi.json").get_json() == DOCUMENT


def test_the_page_keeps_its_own_policy(app: Flask) -> None:
    policy = app.test_client().get(f"{PREFIX}/docs").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy


def test_sessions(app: Flask) -> None:
    caller = sign_in(app, USER)
    assert caller.ask("GET", "/me").status_code == 200
    assert caller.ask("DELETE", "/sessions/current").status_code == 204
    assert caller.ask("GET", "/me").status_code == 401


def test_signing_in_again_on_a_known_device(app: Flask) -> None:
    anybody = Caller(app.test_client())
    first = anybody.ask("POST", "/sessions", json=VISITOR, headers={"User-Agent": "a browser"}).get_json()
    again = anybody.ask("POST", "/sessions", json={**VISITOR, "device": first["device"]}).get_json()
    assert again["device"] == first["device"]
    here = Caller(app.test_client(), again["token"])
    there = here.ask("GET", "/me/sessions").get_json()["data"]
    (earlier,) = [one for one in there if one["agent"] == "a browser"]
    assert earlier["address"] == "127.0.0.1"
    path = f"/me/sessions/{earlier['id']}"
    assert here.ask("DELETE", path, "/me/sessions/{session_id}").status_code == 204
    assert Caller(app.test_client(), first["token"]).ask("GET", "/me").status_code == 401
    other = sign_in(app, VISITOR)
    assert here.ask("DELETE", "/me/sessions").status_code == 204
    assert other.ask("GET", "/me/sessions").status_code == 401
    assert here.ask("GET", "/me").status_code == 200


def test_enrolment_and_what_follows(app: Flask, shape: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end: first sign-in, a second factor, another password, a forgotten one."""
    monkeypatch.setattr(password_reset, "new_token", lambda: MAILED)
    anybody, code = Caller(app.test_client()), invited(shape)
    chosen = {"user_id": "nina", "password": "an otter on its back"}
    body = {"access_code": code, "secret_phrase": "a heron on one leg", **chosen}
    assert anybody.ask("POST", "/enrolment", json={**body, "user_id": "issuer"}).status_code == 422
    assert anybody.ask("POST", "/enrolment", json={**body, "secret_phrase": "wrong"}).status_code == 401
    assert anybody.ask("POST", "/enrolment", json=body).status_code == 201
    nina = sign_in(app, chosen)

    assert nina.ask("POST", "/me/second-factor/confirm", json={"otp": "123456"}).status_code == 422
    secret = pyotp.TOTP(nina.ask("POST", "/me/second-factor", json={}).get_json()["secret"])
    assert nina.ask("POST", "/me/second-factor", json={"x": 1}).status_code == 422
    confirmed = nina.ask("POST", "/me/second-factor/confirm", json={"otp": secret.now()})
    codes = confirmed.get_json()["recovery_codes"]
    assert nina.ask("GET", "/me/second-factor").get_json()["present"] is True
    needed = anybody.ask("POST", "/sessions", json=chosen)
    assert (needed.status_code, needed.get_json()["code"]) == (401, "second_factor_needed")
    assert anybody.ask("POST", "/sessions", json={**chosen, "otp": codes[0]}).status_code == 201
    proof = {"otp": codes[1]}
    renewed = nina.ask("POST", "/me/second-factor/recovery-codes", json=proof)
    proof = {"otp": renewed.get_json()["recovery_codes"][0]}
    assert nina.ask("POST", "/me/second-factor/remove", json=proof).status_code == 204

    change = {"current_password": chosen["password"], "password": "too short"}
    refused = nina.ask("POST", "/me/password", json=change)
    assert [fault["pointer"] for fault in refused.get_json()["errors"]] == ["/password"]
    change["password"] = "a stork with red legs"
    assert nina.ask("POST", "/me/password", json=change).status_code == 204

    assert anybody.ask("POST", "/password-reset", json={"user_id": "nina"}).status_code == 202
    assert anybody.ask("POST", "/password-reset", json={"user_id": ""}).status_code == 422
    answer = anybody.ask("POST", "/password-reset/confirm", json={"token": "x", "password": "y"})
    assert answer.status_code == 401
    eventually(lambda: is_mailed(shape), describe="a link for nina")
    reset = {"token": MAILED, "password": "the third one is long too"}
    assert anybody.ask("POST", "/password-reset/confirm", json=reset).status_code == 204
    assert nina.ask("GET", "/me").status_code == 401
    sign_in(app, {"user_id": "nina", "password": reset["password"]})


def test_too_many_failures(app: Flask) -> None:
    guess = {"user_id": "guessed", "password": "wrong"}
    statuses = [Caller(app.test_client()).ask("POST", "/sessions", json=guess).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def invited(shape: Embedded) -> str:
    """Invite somebody, and return the access code."""
    with shape.database("identity").write() as session:
        user = enrol_user(
            session, name="Nina New", party=Party.ISSUER, company=None, role="issuer_help_desk",
            control_accounts=[EVERYWHERE], email="nina@issuer.example", phone=None, language=Language.ENGLISH,
            now=shape.clock(),
        )  # fmt: skip
        return issue_access_code(
            session, user, phrase="A heron on one leg", now=shape.clock(), settings=shape.settings
        )


def is_mailed(shape: Embedded) -> bool:
    """Return whether identity's worker has made a link."""
    with shape.database("identity").read() as session:
        return session.scalar(sa.select(PasswordReset.token_hash)) is not None


def test_commands(caller: Caller, account: str) -> None:
    path, documented = f"/accounts/{account}/suspend", "/accounts/{account_id}/suspend"
    first = caller.ask("POST", path, documented, json={}, headers={"Idempotency-Key": "once"})
    assert first.status_code == 202
    again = caller.ask("POST", path, documented, json={}, headers={"Idempotency-Key": "once"})
    assert again.headers["Idempotency-Replayed"] == "true"
    other = {"comment": "another body"}
    assert (
        caller.ask("POST", path, documented, json=other, headers={"Idempotency-Key": "once"}).status_code
        == 422
    )


def test_a_refused_command(caller: Caller, account: str) -> None:
    path, documented = f"/accounts/{account}/unsuspend", "/accounts/{account_id}/unsuspend"
    statuses = [done(caller, path, {}, documented).status_code for _ in range(3)]
    assert statuses[-1] == 422


def test_reads(caller: Caller, account: str) -> None:
    number = caller.ask("GET", "/tracking").get_json()["data"][0]["tracking_number"]
    for path, documented in (
        ("/me", None),
        ("/control-accounts", None),
        (f"/control-accounts/{BASIC}", "/control-accounts/{number}"),
        ("/accounts", None),
        (f"/accounts/{account}", "/accounts/{account_id}"),
        (f"/accounts/{account}/history", "/accounts/{account_id}/history"),
        ("/tracking/overview", None),
        (f"/tracking/{number}", "/tracking/{tracking_number}"),
    ):
        assert caller.ask("GET", path, documented).status_code == 200, path
    assert (
        caller.ask("POST", "/accounts/search", json={"card_numbers": ["371449635398431"]}).status_code == 200
    )


def test_a_read_that_did_not_change(caller: Caller, account: str) -> None:
    path, documented = f"/control-accounts/{BASIC}", "/control-accounts/{number}"
    tag = caller.ask("GET", path, documented).headers["ETag"]
    assert caller.ask("GET", path, documented, headers={"If-None-Match": tag}).status_code == 304


def test_lists_as_csv(caller: Caller, account: str) -> None:
    answer = caller.ask("GET", "/accounts", headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    assert account in answer.get_data(as_text=True)


def test_problems(app: Flask, caller: Caller, account: str) -> None:
    documented = "/accounts/{account_id}/cancel"
    path, nowhere = f"/accounts/{account}/cancel", f"/accounts/acc_{'0' * 26}/cancel"
    reason = {"reason": "not_needed"}
    assert Caller(app.test_client()).ask("POST", path, documented, json=reason).status_code == 401
    assert sign_in(app, HOLDER).ask("POST", path, documented, json=reason).status_code == 403
    assert caller.ask("POST", nowhere, documented, json=reason).status_code == 404
    assert caller.ask("POST", path, documented, data="{", content_type="application/json").status_code == 400
    assert (
        caller.ask("POST", path, documented, data="x" * 70_000, content_type="application/json").status_code
        == 413
    )
    assert caller.ask("POST", path, documented, data="a=1", content_type="text/plain").status_code == 415
    assert caller.ask("POST", path, documented, json={"reason": "boredom"}).status_code == 422
    assert caller.ask("GET", "/accounts", query_string={"limit": 0}).status_code == 422


def test_a_wrong_password(app: Flask) -> None:
    answer = Caller(app.test_client()).ask("POST", "/sessions", json={**USER, "password": "wrong"})
    assert answer.status_code == 401


def check(operation: Any, answer: TestResponse) -> None:
    """Fail where the document knows nothing of such an answer."""
    found = operation["responses"].get(str(answer.status_code))
    assert found, (
        f"{operation['operationId']} answers {answer.status_code}, which is not documented: {answer.text}"
    )
    found = resolve(DOCUMENT, found["$ref"]) if "$ref" in found else found
    content = found.get("content", {})
    if not content:
        assert answer.data == b""
        return
    mimetype = answer.mimetype or ""
    assert mimetype in content
    if mimetype.endswith("json"):
        schema = {**content[mimetype]["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(answer.get_json())
        if answer.status_code < 400:
            assert_known(answer.get_json(), schema)


def assert_known(value: Any, schema: Any) -> None:
    """Fail where an answer has a field that the document does not know."""
    while "$ref" in schema:
        schema = resolve(DOCUMENT, schema["$ref"])
    if isinstance(value, list):
        for item in value:
            assert_known(item, schema.get("items", {}))
    if isinstance(value, dict) and "properties" in schema:
        assert value.keys() <= schema["properties"].keys()
        for name, inner in value.items():
            assert_known(inner, schema["properties"][name])
