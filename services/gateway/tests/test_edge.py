"""The gateway alone, with services and broker in the test's hands: what a client is told when things go wrong."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from deploy.keys import make_keys
from services.gateway import commands, progress
from services.gateway.app import gateway_app
from services.gateway.calls import Answer, Body, NoAnswer
from services.gateway.upstream import Assertions, Upstream
from shared.actor import Signer, Verifier
from shared.clock import utc_now
from shared.contracts import load_all
from shared.messaging.bus import BrokerAway, Publication, Sent, Unroutable
from shared.messaging.envelope import decode
from shared.observability import Metrics
from shared.sealing import Seal
from shared.settings import Settings

KEYS: dict[str, Any] = make_keys()
TOKEN = "t" * 43
MASTER = "100000000000001"
ACCOUNT = "acc_" + "a" * 26
OTHER = "acc_" + "b" * 26
CANCEL = f"/api/v1/accounts/{ACCOUNT}/cancel"
SESSION = {
    "approvals": [],
    "own_accounts": [],
    "lent": [],
    "second_factor_needed": False,
    "session_id": "ses_1",
    "user_id": "pa",
    "name": "P. Administrator",
    "role": "principal_programme_administrator",
    "party": "client",
    "company": "Company",
    "expires_at": "2030-01-01T00:00:00+00:00",
    "grants": [[["accounts.cancel", "accounts.view", "tracking.view"], [MASTER]]],
}
NUMBER = "BCDFG-HJKM0"
COMMAND = "5b0a6c1e-9a1f-5c7e-8d53-3f1e0a6f2b90"

ANSWERS: Mapping[str, Any] = {
    "/accounts/search": {"data": [{"account_id": OTHER}, {"account_id": ACCOUNT}, {"account_id": ACCOUNT}]},
    "/tracking/search": {"data": [], "has_more": False, "next_cursor": None, "total": None},
    "/progress": {COMMAND: {"tracking_number": NUMBER, "status": "processing", "settled": False}},
    f"/tracking/{NUMBER}": {"command_id": COMMAND},
    "/scopes": {
        "account": {ACCOUNT: [MASTER], OTHER: ["900000000000009"]},
        "control_account": {MASTER: [MASTER]},
        "company": {"C-1": [MASTER]},
    },
}


def _problem(status: int, code: str) -> Answer:
    body = orjson.dumps({"title": "No.", "code": code})
    return Answer(status, {"content-type": "application/problem+json"}, body)


class Broker:
    """A broker that does as it is told."""

    def __init__(self) -> None:
        self.published: list[Publication] = []
        self.answer: Callable[[Sent], None] = tracked

    def send(self, publication: Publication) -> Sent:
        """Take a command."""
        self.published.append(publication)
        sent = Sent()
        self.answer(sent)
        return sent

    def forget(self, command_id: str, sent: Sent) -> None:
        """Nothing is remembered."""

    def is_ready(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Nothing is open."""


def tracked(sent: Sent) -> None:
    """Confirm, and answer with a tracking number."""
    sent.confirmed.set_result(None)
    sent.tracked.set_result({"tracking_number": "BCDFG-HJKM0", "replayed": False, "conflict": False})


def confirmed_only(sent: Sent) -> None:
    """Confirm, while tracking is slow."""
    sent.confirmed.set_result(None)


def refused(error: Exception) -> Callable[[Sent], None]:
    """Do not take the command."""

    def refuse(sent: Sent) -> None:
        for future in (sent.confirmed, sent.tracked, sent.settled):
            future.set_exception(error)

    return refuse


class System:
    """A gateway and what it talks to."""

    def __init__(self, **settings: Any) -> None:
        self.broker = Broker()
        self.services_away = False
        self.session: dict[str, Any] | None = SESSION
        self.visible = True
        self.status = "processing"
        self.progress_away = False
        self.asked: list[tuple[str, Any]] = []
        load_all()
        assertions = Assertions(Signer(KEYS["assertion_private_key"]), utc_now)
        upstreams = {
            name: Upstream(name, self.service, assertions)
            for name in ("identity", "accounts", "tracking", "statements")
        }
        app = gateway_app(
            settings=Settings(**KEYS, **settings),
            upstreams=upstreams,
            assertions=assertions,
            sender=self.broker,
            seal=Seal(str(KEYS["sealing_key"])),
            clock=utc_now,
            metrics=Metrics(),
            openapi={},
        )
        self.client: FlaskClient = app.test_client()

    def service(self, _: str, path: str, __: Mapping[str, str], body: Body) -> Answer:
        """Answer as the services behind the gateway would."""
        if self.services_away:
            raise NoAnswer("refused")
        self.asked.append((path, orjson.loads(body) if body and isinstance(body, bytes) else None))
        if path == f"/tracking/{NUMBER}" and not self.visible:
            return _problem(404, "not_found")
        if path == "/sessions":
            return _problem(401, "sign_in_failed")
        if path == "/progress" and self.progress_away:
            return _problem(503, "unavailable")
        if path == "/progress" and (asked := self.asked[-1][1]["command_ids"]) != [COMMAND]:
            state = {"tracking_number": NUMBER, "status": self.status, "settled": False}
            return Answer(200, {}, orjson.dumps(dict.fromkeys(asked, state)))
        answers = {**ANSWERS, "/sessions/check": {"sessions": [self.session]}}
        return Answer(200, {}, orjson.dumps(answers[path]))

    def post(self, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> Any:
        """Send a command as the signed-in user."""
        return self.client.post(path, json=body, headers={"Authorization": f"Bearer {TOKEN}", **headers})


@pytest.fixture
def system() -> System:
    """A gateway with the usual settings."""
    return System()


def test_a_command_is_published_with_all_that_others_need_to_know(system: System) -> None:
    """Envelope, signed actor, scope; and to the owner's key."""
    trace = f"00-{'a' * 32}-{'b' * 16}-01"

    system.post(CANCEL, {"reason": "fraud"}, traceparent=trace)

    (published,) = system.broker.published
    envelope = decode(published.body)
    assert (published.exchange, published.key) == ("cardwork.commands", "accounts.cancel-account.v1")
    assert envelope.scope == (MASTER,)
    assert envelope.trace_parent == trace
    for service in ("accounts", "tracking"):
        verifier = Verifier(KEYS["assertion_public_key"], service)
        assert verifier.verify(envelope.assertion, envelope.time).user_id == "pa"


@pytest.mark.parametrize("error", [BrokerAway("the broker is away"), Unroutable("no queue wants it")])
def test_a_command_that_the_broker_does_not_take_may_be_tried_again(system: System, error: Exception) -> None:
    """503 with Retry-After."""
    system.broker.answer = refused(error)

    answer = system.post(CANCEL, {"reason": "fraud"})

    assert answer.status_code == 503
    assert answer.json["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 0


def test_a_command_without_a_confirm_in_time_may_be_tried_again(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503: it may or may not have arrived, and the same key makes the repetition safe."""
    monkeypatch.setattr(commands, "CONFIRM_SECONDS", 0.01)
    system.broker.answer = lambda _: None

    assert system.post(CANCEL, {"reason": "fraud"}).status_code == 503


def test_while_tracking_is_slow_the_command_id_stands_in_for_the_number(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """202: the command lies safe in its queues."""
    monkeypatch.setattr(commands, "TRACKED_SECONDS", 0.01)
    system.broker.answer = confirmed_only

    answer = system.post(CANCEL, {"reason": "fraud"})

    assert answer.status_code == 202
    assert answer.json["tracking_number"] is None
    assert answer.headers["Location"] == f"/api/v1/tracking/{answer.json['command_id']}"


def test_services_that_are_away_are_said_to_be_away(system: System) -> None:
    """503, and nothing is published unchecked."""
    system.services_away = True

    answer = system.post(CANCEL, {"reason": "fraud"})

    assert answer.status_code == 503
    assert not system.broker.published


def test_what_lies_outside_the_scope_is_not_found_and_not_published(system: System) -> None:
    """404 for what is another company's, and the same for what does not exist."""
    nowhere = "acc_" + "c" * 26
    answers: list[Any] = [
        system.post(f"/api/v1/accounts/{id_}/cancel", {"reason": "fraud"}) for id_ in (OTHER, nowhere)
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json["detail"] == answers[1].json["detail"]
    assert not system.broker.published


def test_a_function_that_is_not_granted_is_refused_before_the_input_is_looked_at(system: System) -> None:
    """403, whatever the body."""
    answer = system.post(f"/api/v1/accounts/{ACCOUNT}/suspend", {"nonsense": True})

    assert answer.status_code == 403
    assert not system.broker.published


@pytest.mark.parametrize("key", ["", "with space", "é", "x" * 256])
def test_an_idempotency_key_must_be_visible_ascii(system: System, key: str) -> None:
    """422, naming the header."""
    answer = system.post(CANCEL, {"reason": "fraud"}, **{"Idempotency-Key": key})

    assert answer.status_code == 422
    assert answer.json["code"] == "bad_idempotency_key"


@pytest.mark.parametrize(
    ("preference", "waits"),
    [
        ("wait=5", True),
        ("respond-async, wait=5", True),
        ("wait=0", False),
        ("waiting=5", False),
        ("wait=x", False),
    ],
)
def test_only_a_wait_that_is_asked_for_is_waited(
    system: System, monkeypatch: pytest.MonkeyPatch, preference: str, waits: bool
) -> None:
    """The envelope tells tracking whether the outcome is waited for."""
    monkeypatch.setattr(commands, "LONGEST_WAIT_SECONDS", 0.01)

    assert system.post(CANCEL, {"reason": "fraud"}, Prefer=preference).status_code == 202

    assert decode(system.broker.published[0].body).waits is waits


def settled(**became: Any) -> Callable[[Sent], None]:
    """Answer with an outcome."""

    def settle(sent: Sent) -> None:
        tracked(sent)
        sent.settled.set_result({"code": None, "message": None, "field": None, "result": None, **became})

    return settle


@pytest.mark.parametrize("status", ["scheduled", "awaiting_approval"])
def test_what_is_not_to_end_soon_is_answered_before_the_wait_is_over(
    system: System, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """API, *Commands*: 202 with the status, as it stood at the one look that was taken."""
    monkeypatch.setattr(commands, "LOOK_AFTER_SECONDS", 0.01)
    monkeypatch.setattr(commands, "LONGEST_WAIT_SECONDS", 0.02)
    system.broker.answer, system.status = tracked, status

    answer = system.post(CANCEL, {"reason": "fraud"}, Prefer="wait=5")

    assert (answer.status_code, answer.json["status"]) == (202, status)
    assert [path for path, _ in system.asked].count("/progress") == 1


def test_what_does_not_end_in_time_is_answered_with_how_far_it_has_come(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API, *Commands*: 202; received where tracking cannot be asked."""
    monkeypatch.setattr(commands, "LONGEST_WAIT_SECONDS", 0.01)
    system.broker.answer, system.status = tracked, "processing"
    assert system.post(CANCEL, {"reason": "fraud"}, Prefer="wait=5").json["status"] == "processing"

    system.progress_away = True
    assert system.post(CANCEL, {"reason": "fraud"}, Prefer="wait=5").json["status"] == "received"


@pytest.mark.parametrize(
    ("became", "status"),
    [
        ({"status": "completed"}, 200),
        ({"status": "rejected", "code": "comment_required", "field": "comment"}, 422),
        ({"status": "withdrawn"}, 422),
        ({"status": "rejected", "code": "not_found", "field": "bulk_id"}, 404),
        ({"status": "rejected", "code": "stale"}, 409),
        ({"status": "failed", "code": "internal_error"}, 500),
    ],
)
def test_an_outcome_has_its_status(system: System, became: Mapping[str, Any], status: int) -> None:
    """API, *Errors*: 404 for what lies outside the caller's control accounts, also where only the owner can tell."""
    system.broker.answer = settled(**became)

    answer = system.post(CANCEL, {"reason": "fraud"}, Prefer="wait=5")

    assert (answer.status_code, answer.json["tracking_number"]) == (status, NUMBER)
    assert answer.json.get("code") == became.get("code", "refused" if status == 422 else None)


@pytest.mark.parametrize(("given", "expected"), [('"7-0a1b"', 7), ('"12"', 12), ("*", None), (None, None)])
def test_the_version_that_a_sender_has_seen_goes_along(
    system: System, given: str | None, expected: int | None
) -> None:
    """API, *Concurrency*."""
    system.post(CANCEL, {"reason": "fraud"}, **({"If-Match": given} if given else {}))

    assert decode(system.broker.published[0].body).expected_version == expected


@pytest.mark.parametrize(
    ("path", "given"),
    [
        (CANCEL, "7"),
        (CANCEL, 'W/"7"'),
        (CANCEL, '"x"'),
        (CANCEL, '"7", "8"'),
        ("/api/v1/accounts/bulk/cancel", '"7"'),
    ],
)
def test_an_if_match_that_cannot_be_kept_to_is_refused(system: System, path: str, given: str) -> None:
    """Whoever asks for a condition must not get the command without it."""
    body = {"reason": "fraud", **({"account_ids": [ACCOUNT]} if "bulk" in path else {})}
    answer = system.post(path, body, **{"If-Match": given})

    assert (answer.status_code, answer.json["code"]) == (422, "bad_if_match")
    assert not system.broker.published


def test_whoever_opens_the_address_is_led_to_the_documentation(system: System) -> None:
    answer = system.client.get("/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/api/v1/docs")


def test_a_wrong_address_is_told_where_the_right_ones_stand(system: System) -> None:
    nowhere, wrong_method = system.client.get("/api/v1/acounts"), system.client.get(CANCEL)

    assert (nowhere.status_code, "/api/v1/docs" in nowhere.get_json()["detail"]) == (404, True)
    assert (wrong_method.status_code, "POST" in wrong_method.get_json()["detail"]) == (405, True)


def test_too_many_requests_are_told_so() -> None:
    """429 as a problem; the count is a session's own."""
    system = System(rate_limit="2 per hour")

    statuses = [system.post(CANCEL, {"reason": "fraud"}).status_code for _ in range(3)]

    assert statuses == [202, 202, 429]
    assert 1 <= int(system.post(CANCEL, {"reason": "fraud"}).headers["Retry-After"]) <= 3600
    other = system.post(CANCEL, {"reason": "fraud"}, Authorization=f"Bearer {'u' * 43}")
    assert other.status_code == 202


def test_too_many_sign_ins_are_told_so() -> None:
    """429, before identity is asked again."""
    system = System(sign_in_rate_limit="2 per hour")
    credentials = {"user_id": "pa", "password": "guess"}

    answers = [system.client.post("/api/v1/sessions", json=credentials) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[2].headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"user_id": "pa"}, "/password"),
        ({"user_id": 5, "password": "x"}, "/user_id"),
        ({"user_id": "pa", "password": "x", "admin": True}, "/admin"),
        ({"user_id": "pa", "password": "x" * 201}, "/password"),
    ],
)
def test_a_sign_in_that_is_not_well_formed_names_the_field(
    system: System, body: Mapping[str, Any], pointer: str
) -> None:
    """422; identity is not asked."""
    answer = system.client.post("/api/v1/sessions", json=body)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_every_answer_bears_security_headers_and_a_request_id() -> None:
    """Also those that are errors; with TLS in front, strict transport security too."""
    for system, secure in ((System(), False), (System(secure_transport=True), True)):
        for answer in (system.post(CANCEL, {"reason": "fraud"}), system.client.get("/api/v1/nowhere")):
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Request-Id"]
            assert ("Strict-Transport-Security" in answer.headers) is secure


def test_card_numbers_become_accounts_before_tracking_is_asked(system: System) -> None:
    """TRK-02: accounts finds them as the caller; no card number reaches tracking."""
    answer = system.post(
        "/api/v1/tracking/search", {"card_numbers": ["4000000000000002"], "status": "rejected", "limit": 5}
    )

    assert answer.status_code == 200
    asked = dict(system.asked)
    assert asked["/accounts/search"] == {"card_numbers": ["4000000000000002"]}
    assert asked["/tracking/search"] == {"status": "rejected", "limit": 5, "account_ids": [ACCOUNT, OTHER]}


def test_accounts_beside_card_numbers_narrow_them(system: System) -> None:
    """What was asked for by both fits both."""
    system.post("/api/v1/tracking/search", {"card_numbers": ["4000000000000002"], "account_ids": [ACCOUNT]})

    assert dict(system.asked)["/tracking/search"] == {"account_ids": [ACCOUNT]}


def test_a_search_without_card_numbers_asks_tracking_alone(system: System) -> None:
    """The other criteria travel as they are."""
    system.post("/api/v1/tracking/search", {"name": "Sm"})

    assert dict(system.asked)["/tracking/search"] == {"name": "Sm"}
    assert "/accounts/search" not in dict(system.asked)


def _signed_out(system: System) -> None:
    system.session = None


def _demoted(system: System) -> None:
    system.session = {**SESSION, "grants": [[["accounts.view"], [MASTER]]]}


def _moved(system: System) -> None:
    system.session = {**SESSION, "grants": [[["tracking.view"], ["900000000000009"]]]}
    system.visible = False


@pytest.mark.parametrize("happens", [_signed_out, _demoted, _moved])
def test_a_stream_ends_with_the_right_to_it(
    system: System, monkeypatch: pytest.MonkeyPatch, happens: Callable[[System], None]
) -> None:
    """The session is over, the function is taken away, or the request is out of sight now."""
    monkeypatch.setattr(progress, "LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(progress, "ADMIT_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(progress, "BEAT_EVERY_SECONDS", 0)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    stream = system.client.get(f"/api/v1/tracking/{NUMBER}/events", headers=headers, buffered=False)
    told = iter(stream.response)
    assert b"processing" in next(told)
    before = len(system.asked)
    while sum(path == "/sessions/check" for path, _ in system.asked[before:]) < 2:
        assert next(told), "whoever may watch goes on"
    checks = [body for path, body in system.asked[before:] if path == "/sessions/check"]
    assert not any(body["used"] for body in checks), "and does not keep the session alive by it"

    happens(system)
    before = len(system.asked)

    assert all(beat == b": still here\n\n" for beat in told), "it ends"
    assert sum(path == "/sessions/check" for path, _ in system.asked[before:]) == 1, "when that is known"
    stream.close()


LENT = {
    "delegation": "dlg_1",
    "lender": "boss",
    "lender_name": "B. Oss",
    "ends_at": "2030-01-01T00:00:00+00:00",
    "grants": [[["accounts.cancel"], [MASTER]]],
}


def test_what_is_lent_is_all_that_can_be_done_in_the_lenders_stead(system: System) -> None:
    """The command bears both names and the lent functions alone (IDN-07)."""
    system.session = {**SESSION, "grants": [[["accounts.view"], ["*"]]], "lent": [LENT]}

    assert system.post(CANCEL, {"reason": "fraud"}).status_code == 403
    assert system.post(CANCEL, {"reason": "fraud", "on_behalf_of": "boss"}).status_code == 202

    (published,) = system.broker.published
    envelope = decode(published.body)
    assert (envelope.actor, envelope.on_behalf_of) == ("pa", "boss")
    actor = Verifier(KEYS["assertion_public_key"], "accounts").verify(envelope.assertion, envelope.time)
    assert (actor.user_id, actor.on_behalf_of) == ("pa", "boss")
    assert dict(actor.grants) == {"accounts.cancel": frozenset({MASTER})}


@pytest.mark.parametrize(("lender", "status"), [("stranger", 403), ("", 422), (7, 422), ("x" * 65, 422)])
def test_nobody_acts_for_who_lends_nothing(system: System, lender: Any, status: int) -> None:
    """What no user ID could be is named as wrong input."""
    system.session = {**SESSION, "lent": [LENT]}
    answer = system.post(CANCEL, {"reason": "fraud", "on_behalf_of": lender})
    assert answer.status_code == status
    assert not system.broker.published


def test_one_key_is_not_for_two_askers(system: System) -> None:
    """The same command for oneself and for a lender are two."""
    system.session = {**SESSION, "lent": [LENT]}
    for body in ({"reason": "fraud"}, {"reason": "fraud", "on_behalf_of": "boss"}):
        system.post(CANCEL, body, **{"Idempotency-Key": "once"})
    own, lent = (decode(one.body) for one in system.broker.published)
    assert own.id == lent.id
    assert own.fingerprint != lent.fingerprint


def test_a_secret_travels_sealed(system: System) -> None:
    """Only who holds the key reads it; and its hash cannot be guessed at (ADR 12)."""
    system.session = {**SESSION, "grants": [[["users.enrol"], ["*"]]]}
    phrases = ["the keeper's green parrot", "the keeper's green parrot", "the keeper's grey parrot"]
    for phrase in phrases:
        body = {
            "name": "Nora",
            "email": "nora@company.example",
            "role": "programme_manager",
            "company": "C-1",
            "control_accounts": [MASTER],
            "secret_phrase": phrase,
        }
        assert system.post("/api/v1/users", body).status_code == 202

    published = [decode(one.body) for one in system.broker.published]
    for one, phrase in zip(published, phrases, strict=True):
        assert isinstance(one.data, Mapping)
        assert phrase not in str(one.data)
        assert Seal(str(KEYS["sealing_key"])).open(one.data["secret_phrase"]) == phrase
    same, again, other = (one.fingerprint for one in published)
    assert same == again != other


def test_a_secret_that_is_too_long_is_refused_by_name(system: System) -> None:
    """The sealed form would not fit either."""
    system.session = {**SESSION, "grants": [[["users.enrol"], ["*"]]]}
    body = {"name": "N", "email": "n@c.example", "role": "issuer_help_desk", "secret_phrase": "x" * 201}
    answer = system.post("/api/v1/users", body)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/secret_phrase"


@pytest.mark.parametrize(
    ("measured", "status", "code"),
    [
        ({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, 411, "length_required"),
        ({"CONTENT_LENGTH": "22020096"}, 413, "file_too_large"),
    ],
)
def test_a_file_without_a_length_or_with_too_much_of_it_goes_no_further(
    system: System, measured: dict[str, str], status: int, code: str
) -> None:
    answer = system.client.post(
        "/api/v1/bulk/cancellations",
        data=b"account_id,reason\n",
        content_type="text/csv",
        environ_overrides=measured,
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert not [path for path, _ in system.asked if path.startswith("/bulk")]


def test_a_file_of_no_known_kind_is_told_which_there_are(system: System) -> None:
    """Part 2 no. 2; nothing of it is read."""
    answer = system.post("/api/v1/bulk/cancelations")

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert "cancellations, suspensions" in answer.json["detail"]


def test_a_list_lies_where_all_of_it_lies(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is to approve it, or to see it, has to be entitled to all of it (ACC-11, Part 2 no. 6)."""
    paths = ANSWERS["/scopes"]["account"]
    monkeypatch.setitem(paths, ACCOUNT, [MASTER, "100000000000002", "100000000000003"])
    monkeypatch.setitem(paths, OTHER, [MASTER, "100000000000002", "100000000000004"])
    body = {"account_ids": [ACCOUNT, OTHER], "reason": "fraud"}
    assert system.post("/api/v1/accounts/bulk/cancel", body).status_code == 202
    assert decode(system.broker.published[-1].body).scope == (MASTER, "100000000000002")


def test_a_list_with_something_foreign_in_it_is_not_found(system: System) -> None:
    body = {"account_ids": [ACCOUNT, OTHER], "reason": "fraud"}
    assert system.post("/api/v1/accounts/bulk/cancel", body).status_code == 404
    assert system.broker.published == []
