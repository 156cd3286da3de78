from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from services.identity.first_sign_in import issue_access_code
from services.identity.model import AccessCode, User, change
from services.identity.tests.conftest import PHRASE, Identity
from services.identity.tests.statements import statements_of
from shared.contracts.identity import UserEnrolled, UserStatus
from shared.errors import Rejected

CHOSEN = "the otter sleeps on its back"


def enrol(identity: Identity, code: str, **changes: Any) -> TestResponse:
    body = {"access_code": code, "secret_phrase": PHRASE, "user_id": "nina", "password": CHOSEN}
    return identity.call("POST", "/enrolment", {**body, **changes})


def told(answer: TestResponse) -> dict[str, Any]:
    return {name: value for name, value in answer.get_json().items() if name != "request_id"}


def change_invited(identity: Identity, **values: Any) -> None:
    with identity.store.write() as session:
        session.execute(sa.update(User).where(User.user_id.is_(None)).values(values))


def invited(identity: Identity) -> User:
    with identity.store.read() as session:
        return session.scalars(sa.select(User).where(User.name == "Nina New")).one()


def test_code_and_phrase_bring_a_user_id_and_a_password_of_ones_own(identity: Identity) -> None:
    answer = enrol(identity, identity.invite())
    assert (answer.status_code, answer.get_json()) == (201, {"user_id": "nina"})
    assert identity.sign_in("nina", CHOSEN).status_code == 201


def test_others_hear_of_it_and_the_history_says_what_was_chosen(identity: Identity) -> None:
    enrol(identity, identity.invite())
    (event,) = identity.events(UserEnrolled)
    nina = identity.user("nina")
    assert (event.user, event.user_id, event.company) == (nina.id, "nina", "C-1")
    assert event.recipient.email == "nina@company.example"
    (envelope,) = identity.envelopes()
    assert (envelope.actor, envelope.source, envelope.time) == ("nina", "identity", identity.now)
    with identity.store.read() as session:
        rows = session.execute(sa.select(change).where(change.c.subject == nina.id)).all()
    assert {(row.field, row.old, row.new) for row in rows} == {
        ("user_id", None, "nina"),
        ("password", None, "changed"),
        ("status", "invited", "active"),
    }
    assert {(row.actor, row.command, row.command_id) for row in rows} == {
        ("nina", "identity.enrolment", envelope.correlation_id)
    }


def test_the_next_sweep_of_a_worker_sends_it(identity: Identity) -> None:
    enrol(identity, identity.invite())
    (publication,) = identity.worker().sweep()
    assert (publication.exchange, publication.key) == ("cardwork.events", "identity.user-enrolled.v1")


def test_neither_code_nor_phrase_nor_password_is_kept_in_clear(identity: Identity) -> None:
    code = identity.invite()
    before = identity.everything()
    enrol(identity, code)
    for kept in (before, identity.everything()):
        for secret in (code, code.replace("-", ""), PHRASE, "heron", CHOSEN, "otter"):
            assert secret not in kept


@pytest.mark.parametrize(
    "phrase",
    [
        PHRASE.upper(),
        "  the HERON\u00a0stands  on one leg ",
        PHRASE.replace(" ", ""),
        "\uff34he heron stands on one leg",
    ],
)
def test_capitals_spaces_and_spelling_make_no_difference_to_a_phrase(identity: Identity, phrase: str) -> None:
    assert enrol(identity, identity.invite(), secret_phrase=phrase).status_code == 201


def test_a_code_is_read_however_it_is_typed(identity: Identity) -> None:
    code = identity.invite().upper().replace("-", " ").replace("0", "O").replace("1", "I")
    assert enrol(identity, code).status_code == 201


def test_a_code_is_good_once(identity: Identity) -> None:
    code = identity.invite()
    assert enrol(identity, code).status_code == 201
    again = enrol(identity, code, user_id="nora")
    assert (again.status_code, again.get_json()["code"]) == (401, "enrolment_failed")


def test_one_code_used_at_the_same_time_makes_one_user(identity: Identity) -> None:
    code = identity.invite()
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda name: enrol(identity, code, user_id=name).status_code, ["ann", "ben", "cat", "dan"]
            )
        )
    assert sorted(answers) == [201, 401, 401, 401]
    assert len(identity.events(UserEnrolled)) == 1


def test_a_code_is_good_for_fourteen_days(identity: Identity) -> None:
    code, late = identity.invite(), identity.invite(name="Late", email="late@company.example")
    identity.pass_by(days=14, seconds=-1)
    assert enrol(identity, code).status_code == 201
    identity.pass_by(seconds=1)
    assert enrol(identity, late, user_id="late").status_code == 401


def failing(identity: Identity) -> list[tuple[str, dict[str, Any]]]:
    """A code for each reason to be refused, with what is sent beside it."""
    used = identity.invite()
    assert enrol(identity, used, user_id="used").status_code == 201
    expired = identity.invite()
    identity.pass_by(days=15)
    unvouched = identity.invite()
    change_invited(identity, vouched_for=False)
    inactive = identity.invite(name="Idle")
    with identity.store.write() as session:
        session.execute(sa.update(User).where(User.name == "Idle").values(status=UserStatus.INACTIVE))
    dead = identity.invite(name="Dead")
    for _ in range(5):
        assert enrol(identity, dead, secret_phrase="wrong").status_code == 401
    good = identity.invite(name="Good")
    return [
        ("0000-0000-0000-0000", {}),
        (good, {"secret_phrase": "wrong"}),
        (used, {}),
        (expired, {}),
        (unvouched, {}),
        (inactive, {}),
        (dead, {}),
    ]


def test_every_failure_looks_the_same(identity: Identity) -> None:
    answers = [enrol(identity, code, **changes) for code, changes in failing(identity)]
    assert {answer.status_code for answer in answers} == {401}
    assert answers[0].get_json()["code"] == "enrolment_failed"
    assert all(told(answer) == told(answers[0]) for answer in answers)


def test_every_failure_costs_the_same_work(identity: Identity, verifications: list[str]) -> None:
    work = []
    for code, changes in failing(identity):
        verifications.clear()
        with statements_of(identity.store) as statements:
            assert enrol(identity, code, **changes).status_code == 401
        work.append((list(verifications), [statement.split("WHERE")[0] for statement in statements]))
    assert len(work[0][0]) == 1
    assert all(each == work[0] for each in work)


def test_a_code_dies_of_five_wrong_phrases(identity: Identity) -> None:
    code = identity.invite()
    for _ in range(5):
        assert enrol(identity, code, secret_phrase="wrong").status_code == 401
    assert enrol(identity, code).status_code == 401


def test_wrong_phrases_at_the_same_time_all_count(identity: Identity, verifications: list[str]) -> None:
    code = identity.invite()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: enrol(identity, code, secret_phrase="wrong"), range(12)))
    assert enrol(identity, code).status_code == 401
    assert invited(identity).status == UserStatus.INVITED
    with identity.store.read() as session:
        assert session.scalars(sa.select(AccessCode.failures)).one() == 5


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"user_id": "anna"}, "user_id_taken", "/user_id"),
        ({"password": "too short"}, "password_too_short", "/password"),
        ({"password": "nina likes the sea"}, "password_too_personal", "/password"),
    ],
)
def test_a_choice_that_is_refused_leaves_the_code_good(
    identity: Identity, changes: dict[str, Any], code: str, field: str
) -> None:
    access_code = identity.invite()
    for _ in range(6):  # more often than a phrase may be wrong
        answer = enrol(identity, access_code, **changes)
        assert (answer.status_code, answer.get_json()["code"]) == (422, code)
        assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [field]
    assert enrol(identity, access_code).status_code == 201


def test_one_user_id_chosen_at_the_same_time_goes_to_one_and_the_others_choose_again(
    identity: Identity,
) -> None:
    codes = [identity.invite() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda code: enrol(identity, code).status_code, codes))
    # Whoever is beaten by a moment is told to try again (503), and then that the user ID is taken.
    assert answers.count(201) == 1
    assert set(answers) <= {201, 422, 503}
    losers = [code for code, status in zip(codes, answers, strict=True) if status != 201]
    assert [enrol(identity, code).get_json()["code"] for code in losers] == ["user_id_taken"] * 2
    assert [enrol(identity, code, user_id=f"nina{n}").status_code for n, code in enumerate(losers)] == [
        201
    ] * 2


def test_nobody_learns_without_code_and_phrase_which_user_ids_are_taken(identity: Identity) -> None:
    answers = [
        enrol(identity, identity.invite(), user_id=user_id, secret_phrase="wrong")
        for user_id in ("anna", "nobody")
    ]
    assert told(answers[0]) == told(answers[1])


def test_a_malformed_enrolment_is_refused_by_field(identity: Identity) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"user_id": "Nina"},
        {"user_id": "n"},
        {"secret_phrase": ""},
        {"password": 5},
        {"access_code": None},
        {"name": "Nina"},
    )
    for changes in wrong:
        answer = enrol(identity, "0000-0000-0000-0000", **changes)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")
        assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [f"/{name}" for name in changes]


# Issuing


def issue(identity: Identity, phrase: str | None) -> str:
    user = invited(identity)
    with identity.store.write() as session:
        return issue_access_code(
            session,
            session.get_one(User, user.id),
            phrase=phrase,
            now=identity.now,
            settings=identity.settings,
        )


def test_a_new_code_takes_the_place_of_the_one_before_and_the_phrase_stays(identity: Identity) -> None:
    before = identity.invite()
    for _ in range(5):
        enrol(identity, before, secret_phrase="wrong")
    after = issue(identity, None)
    assert enrol(identity, before).status_code == 401
    assert enrol(identity, after).status_code == 201


def test_a_new_phrase_takes_the_place_of_the_one_before(identity: Identity) -> None:
    identity.invite()
    code = issue(identity, "A stork has red legs")
    assert enrol(identity, code).status_code == 401
    assert enrol(identity, code, secret_phrase="a stork has red legs").status_code == 201


def test_a_code_needs_a_phrase_that_was_agreed(identity: Identity) -> None:
    identity.invite()
    with identity.store.write() as session:
        session.execute(sa.delete(AccessCode))
    with pytest.raises(Rejected) as refusal:
        issue(identity, None)
    assert (refusal.value.code, refusal.value.field) == ("secret_phrase_needed", "secret_phrase")


def test_who_has_enrolled_gets_no_code_any_more(identity: Identity) -> None:
    enrol(identity, identity.invite())
    with pytest.raises(Rejected) as refusal:
        issue(identity, PHRASE)
    assert refusal.value.code == "user_is_active"


def test_codes_that_have_expired_are_forgotten_and_their_phrases_are_not(identity: Identity) -> None:
    identity.invite()
    identity.run_jobs()
    with identity.store.read() as session:
        assert session.scalars(sa.select(AccessCode.code_hash)).one()
    identity.pass_by(days=14)
    identity.run_jobs()
    with identity.store.read() as session:
        assert session.scalars(sa.select(AccessCode.code_hash)).one() is None
    assert invited(identity).status == UserStatus.INVITED
    assert enrol(identity, issue(identity, None)).status_code == 201
