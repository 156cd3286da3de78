from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from services.identity.model import Company, RecoveryCode, SecondFactor, change
from services.identity.second_factor import remove_second_factor
from services.identity.tests.conftest import PASSWORD, Identity
from services.identity.tests.statements import statements_of
from shared.contracts.identity import SecondFactorChanged


@dataclass
class Anna:
    """Somebody signed in, with an authenticator."""

    identity: Identity
    token: str
    secret: str = ""
    codes: list[str] = field(default_factory=list)

    def ask(self, path: str = "", body: Any = None, method: str = "POST") -> TestResponse:
        return self.identity.me(method, f"/second-factor{path}", self.token, body)

    def otp(self, at: datetime | None = None) -> str:
        return pyotp.TOTP(self.secret).at(at or self.identity.now)

    def offered(self) -> str:
        self.secret = self.ask().get_json()["secret"]
        return self.secret

    def set_up(self) -> "Anna":
        self.offered()
        self.codes = self.ask("/confirm", {"otp": self.otp()}).get_json()["recovery_codes"]
        self.identity.pass_by(minutes=1)  # to a one-time password that was not used
        return self

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(method="GET").get_json()
        return found


@pytest.fixture
def anna(identity: Identity) -> Anna:
    """Anna, signed in, without a second factor."""
    return Anna(identity, identity.token())


@pytest.fixture
def careful(anna: Anna) -> Anna:
    """Anna with a second factor in use."""
    return anna.set_up()


def code_of(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def require(identity: Identity) -> None:
    with identity.store.write() as session:
        session.execute(sa.update(Company).values(second_factor_required=True))


# Setting up


def test_the_offer_is_what_an_authenticator_reads(anna: Anna) -> None:
    offer = anna.ask().get_json()
    uri = urlsplit(offer["uri"])
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Cardwork:anna")
    assert parse_qs(uri.query) == {"secret": [offer["secret"]], "issuer": ["Cardwork"]}
    assert len(offer["secret"]) >= 32


def test_an_offer_is_not_in_use_until_it_is_confirmed(anna: Anna) -> None:
    anna.offered()
    assert anna.state() == {"present": False, "required": False, "recovery_codes": 0}
    assert anna.identity.sign_in().status_code == 201


def test_another_offer_takes_the_place_of_one_that_was_not_confirmed(anna: Anna) -> None:
    first = anna.offered()
    assert anna.offered() != first
    assert code_of(anna.ask("/confirm", {"otp": pyotp.TOTP(first).at(anna.identity.now)})) == (
        422,
        "second_factor_wrong",
    )
    assert anna.ask("/confirm", {"otp": anna.otp()}).status_code == 200


def test_ten_recovery_codes_are_shown_once(anna: Anna) -> None:
    anna.set_up()
    assert len(set(anna.codes)) == 10
    assert anna.state() == {"present": True, "required": False, "recovery_codes": 10}


def test_neither_secret_nor_codes_are_kept_in_clear(careful: Anna) -> None:
    kept = careful.identity.everything()
    for secret in (careful.secret, *careful.codes, *(code.replace("-", "") for code in careful.codes)):
        assert secret not in kept


def test_a_wrong_one_time_password_confirms_nothing(anna: Anna) -> None:
    anna.offered()
    wrong = "000000" if anna.otp() != "000000" else "000001"
    answer = anna.ask("/confirm", {"otp": wrong})
    assert code_of(answer) == (422, "second_factor_wrong")
    assert answer.get_json()["errors"][0]["pointer"] == "/otp"
    assert anna.state()["present"] is False


def test_without_an_offer_there_is_nothing_to_confirm(anna: Anna) -> None:
    assert code_of(anna.ask("/confirm", {"otp": "123456"})) == (422, "second_factor_not_offered")


def test_one_in_use_is_not_replaced_unseen(careful: Anna) -> None:
    assert code_of(careful.ask()) == (422, "second_factor_present")
    assert code_of(careful.ask("/confirm", {"otp": careful.otp()})) == (422, "second_factor_not_offered")


def test_others_hear_of_it_and_the_history_knows(careful: Anna) -> None:
    careful.ask("/remove", {"otp": careful.otp()})
    user = careful.identity.user()
    events = careful.identity.events(SecondFactorChanged)
    assert [(event.user, event.present) for event in events] == [(user.id, True), (user.id, False)]
    with careful.identity.store.read() as session:
        rows = session.execute(sa.select(change).order_by(change.c.id)).all()
    assert [(row.field, row.new, row.actor) for row in rows] == [
        ("second_factor", "True", "anna"),
        ("second_factor", "False", "anna"),
    ]


# Signing in


def test_a_right_password_alone_is_not_enough(careful: Anna) -> None:
    identity = careful.identity
    assert code_of(identity.sign_in()) == (401, "second_factor_needed")
    assert identity.sign_in(otp=careful.otp()).status_code == 201


def test_only_a_right_password_tells_that_there_is_a_second_factor(careful: Anna) -> None:
    answers = [
        careful.identity.sign_in("anna", "wrong"),
        careful.identity.sign_in("anna", "wrong", otp="123456"),
        careful.identity.sign_in("anna", "wrong", otp=careful.otp()),
        careful.identity.sign_in("nobody", "wrong", otp="123456"),
    ]
    assert {code_of(answer) for answer in answers} == {(401, "sign_in_failed")}


def test_a_wrong_password_costs_the_same_work_with_a_second_factor(
    careful: Anna, verifications: list[str]
) -> None:
    work = []
    for user_id in ("anna", "nobody"):
        verifications.clear()
        with statements_of(careful.identity.store) as statements:
            careful.identity.sign_in(user_id, "wrong", otp="123456")
        work.append((list(verifications), statements))
    assert work[0] == work[1]


def test_asking_for_the_second_factor_is_neither_failure_nor_success(careful: Anna) -> None:
    identity = careful.identity
    for _ in range(10):
        assert code_of(identity.sign_in()) == (401, "second_factor_needed")
    for _ in range(4):
        assert identity.sign_in(password="wrong").status_code == 401
    assert code_of(identity.sign_in()) == (401, "second_factor_needed")
    assert identity.sign_in(password="wrong").status_code == 401
    assert code_of(identity.sign_in()) == (429, "too_many_attempts")


def test_wrong_one_time_passwords_close_the_user_id(careful: Anna) -> None:
    identity = careful.identity
    for _ in range(5):
        assert code_of(identity.sign_in(otp="no such code")) == (401, "second_factor_wrong")
    assert code_of(identity.sign_in(otp=careful.otp())) == (429, "too_many_attempts")
    identity.pass_by(seconds=5)
    assert identity.sign_in(otp=careful.otp()).status_code == 201


def test_the_right_password_in_between_does_not_open_it_for_guesses(careful: Anna) -> None:
    identity = careful.identity
    for _ in range(5):
        identity.sign_in(otp="no such code")
    waits = []
    for _ in range(4):
        refusal = identity.sign_in(otp="no such code")
        waits.append(refusal.get_json()["retry_after"])
        identity.pass_by(seconds=waits[-1])
        assert code_of(identity.sign_in()) == (401, "second_factor_needed")
        assert code_of(identity.sign_in(otp="no such code")) == (401, "second_factor_wrong")
    assert waits == [5, 10, 20, 40]


def test_an_authenticator_may_be_half_a_minute_wrong(careful: Anna) -> None:
    identity = careful.identity
    for drift, status in ((-60, 401), (-30, 201), (0, 201), (30, 201), (60, 401)):
        identity.pass_by(minutes=5)
        otp = pyotp.TOTP(careful.secret).at(int(identity.now.timestamp()) + drift)
        assert identity.sign_in(otp=otp).status_code == status, drift


def test_digits_may_stand_in_groups_and_are_plain_ones(careful: Anna) -> None:
    identity, otp = careful.identity, careful.otp()
    assert code_of(identity.sign_in(otp="\u0661\u0662\u0663\u0664\u0665\u0666")) == (
        401,
        "second_factor_wrong",
    )
    assert identity.sign_in(otp=f"{otp[:3]} {otp[3:]}").status_code == 201


def test_a_one_time_password_is_good_once(careful: Anna) -> None:
    identity, otp = careful.identity, careful.otp()
    assert identity.sign_in(otp=otp).status_code == 201
    assert code_of(identity.sign_in(otp=otp)) == (401, "second_factor_wrong")


def test_nor_is_an_older_one_good_after_a_newer_one(careful: Anna) -> None:
    identity = careful.identity
    older = careful.otp()
    identity.pass_by(seconds=30)
    assert identity.sign_in(otp=careful.otp()).status_code == 201
    assert code_of(identity.sign_in(otp=older)) == (401, "second_factor_wrong")


def test_the_one_that_confirmed_the_offer_is_used(anna: Anna) -> None:
    anna.offered()
    otp = anna.otp()
    anna.ask("/confirm", {"otp": otp})
    assert code_of(anna.identity.sign_in(otp=otp)) == (401, "second_factor_wrong")


def test_one_time_password_used_at_the_same_time_opens_one_session(careful: Anna) -> None:
    otp = careful.otp()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: careful.identity.sign_in(otp=otp).status_code, range(4)))
    assert sorted(answers) == [201, 401, 401, 401]


def test_a_recovery_code_stands_in_once_however_it_is_typed(careful: Anna) -> None:
    identity, code = careful.identity, careful.codes[3]
    assert identity.sign_in(otp=f" {code.upper()} ").status_code == 201
    assert code_of(identity.sign_in(otp=code)) == (401, "second_factor_wrong")
    assert careful.state()["recovery_codes"] == 9


def test_a_recovery_code_used_at_the_same_time_opens_one_session(careful: Anna) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: careful.identity.sign_in(otp=careful.codes[0]).status_code, range(4))
        )
    assert sorted(answers) == [201, 401, 401, 401]


def test_a_recovery_code_is_its_users_alone(careful: Anna) -> None:
    identity = careful.identity
    identity.enrol(user_id="ben")
    Anna(identity, identity.token("ben")).set_up()
    assert code_of(identity.sign_in("ben", PASSWORD, otp=careful.codes[0])) == (401, "second_factor_wrong")


def test_who_has_none_may_send_one(identity: Identity) -> None:
    assert identity.sign_in(otp="123456").status_code == 201


# Renewing and removing


def test_new_recovery_codes_take_the_place_of_the_old_ones(careful: Anna) -> None:
    answer = careful.ask("/recovery-codes", {"otp": careful.otp()})
    new = answer.get_json()["recovery_codes"]
    assert len(set(new)) == 10
    assert set(new).isdisjoint(careful.codes)
    careful.identity.pass_by(minutes=1)
    assert careful.identity.sign_in(otp=careful.codes[0]).status_code == 401
    assert careful.identity.sign_in(otp=new[0]).status_code == 201


def test_removing_it_takes_a_one_time_password_or_a_recovery_code(careful: Anna) -> None:
    assert code_of(careful.ask("/remove", {"otp": "no such code"})) == (422, "second_factor_wrong")
    assert careful.ask("/remove", {"otp": careful.codes[0]}).status_code == 204
    assert careful.state() == {"present": False, "required": False, "recovery_codes": 0}
    assert careful.identity.sign_in().status_code == 201


@pytest.mark.parametrize("path", ["/recovery-codes", "/remove"])
def test_guessing_while_signed_in_counts_as_failed_sign_ins(careful: Anna, path: str) -> None:
    for _ in range(5):
        assert code_of(careful.ask(path, {"otp": "no such code"})) == (422, "second_factor_wrong")
    assert code_of(careful.ask(path, {"otp": careful.otp()})) == (429, "too_many_attempts")
    assert careful.identity.sign_in().status_code == 429
    careful.identity.pass_by(seconds=5)
    assert careful.ask(path, {"otp": careful.otp()}).status_code < 300


def test_where_the_company_requires_one_it_stays(careful: Anna) -> None:
    require(careful.identity)
    assert code_of(careful.ask("/remove", {"otp": careful.otp()})) == (422, "second_factor_required")
    assert careful.state() == {"present": True, "required": True, "recovery_codes": 10}


def test_where_the_company_requires_one_who_has_none_can_set_it_up(anna: Anna) -> None:
    require(anna.identity)
    token = anna.identity.token()
    assert Anna(anna.identity, token).set_up().state()["present"] is True


@pytest.mark.parametrize("path", ["/recovery-codes", "/remove"])
def test_without_a_second_factor_there_is_nothing_to_prove(anna: Anna, path: str) -> None:
    for _ in range(6):
        assert code_of(anna.ask(path, {"otp": "123456"})) == (422, "no_second_factor")


def test_the_help_desk_can_take_it_away(careful: Anna) -> None:
    identity = careful.identity
    for had_one in (True, False):
        with identity.store.write() as session:
            assert remove_second_factor(session, identity.user().id) is had_one
    with identity.store.read() as session:
        for table in (SecondFactor, RecoveryCode):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert identity.sign_in().status_code == 201


def test_malformed_requests_are_refused_by_field(anna: Anna) -> None:
    for path in ("/confirm", "/recovery-codes", "/remove"):
        for body, name in (({}, "/otp"), ({"otp": 123456}, "/otp"), ({"otp": "123456", "x": 1}, "/x")):
            answer = anna.ask(path, body)
            assert code_of(answer) == (422, "invalid_input")
            assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [name]
