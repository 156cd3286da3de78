from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from werkzeug.test import TestResponse

from services.identity.model import PasswordReset, User, change
from services.identity.tests.conftest import PASSWORD, Identity
from services.identity.tests.statements import statements_of
from shared.contracts.identity import PasswordChanged, PasswordResetAsked, UserStatus
from shared.sealing import Seal

NEW = "the otter sleeps on its back"


def ask(identity: Identity, user_id: str = "anna") -> TestResponse:
    return identity.call("POST", "/password-reset", {"user_id": user_id})


def links(identity: Identity) -> list[str]:
    """The tokens that were mailed, as only the notifications service can read them."""
    seal = Seal(identity.settings.sealing_key or "")
    return [seal.open(mail.token) for mail in identity.events(PasswordResetAsked)]


def mailed(identity: Identity, user_id: str = "anna") -> str:
    assert ask(identity, user_id).status_code == 202
    identity.run_jobs()
    return links(identity)[-1]


def confirm(identity: Identity, token: str, password: str = NEW) -> TestResponse:
    return identity.call("POST", "/password-reset/confirm", {"token": token, "password": password})


def rows(identity: Identity) -> int:
    with identity.store.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(PasswordReset)) or 0


def test_a_mailed_link_sets_a_new_password(identity: Identity) -> None:
    token = mailed(identity)
    assert confirm(identity, token).status_code == 204
    assert identity.sign_in(password=PASSWORD).status_code == 401
    assert identity.sign_in(password=NEW).status_code == 201


def test_the_mail_goes_to_the_user_and_says_until_when(identity: Identity) -> None:
    mailed(identity)
    (mail,) = identity.events(PasswordResetAsked)
    assert (mail.user, mail.recipient.email) == (identity.user().id, "anna@company.example")
    assert (mail.expires_at - identity.now).total_seconds() == 30 * 60


def test_a_user_id_is_the_same_in_capitals(identity: Identity) -> None:
    assert confirm(identity, mailed(identity, "ANNA")).status_code == 204


def test_known_and_unknown_are_answered_in_the_same_words_after_the_same_work(identity: Identity) -> None:
    told, work = [], []
    for user_id in ("anna", "nobody", "correct horse battery staple"):
        with statements_of(identity.store) as statements:
            answer = ask(identity, user_id)
        assert answer.status_code == 202
        told.append(answer.get_json())
        work.append(statements)
    assert told[0]["message"]
    assert told.count(told[0]) == len(told)
    assert len(work[0]) == 1
    assert work.count(work[0]) == len(work)


def test_what_was_typed_is_never_in_clear_and_is_forgotten(identity: Identity) -> None:
    ask(identity, "correct horse battery staple")
    assert "horse" not in identity.everything()
    identity.run_jobs()
    assert rows(identity) == 0


def test_who_is_unknown_or_inactive_gets_no_mail(identity: Identity) -> None:
    identity.enrol(user_id="idle")
    with identity.store.write() as session:
        session.execute(sa.update(User).where(User.user_id == "idle").values(status=UserStatus.INACTIVE))
    ask(identity, "idle")
    ask(identity, "nobody")
    identity.run_jobs()
    assert links(identity) == []
    assert rows(identity) == 0


def test_who_has_not_signed_in_for_too_long_gets_no_mail(identity: Identity) -> None:
    identity.pass_by(days=120)
    ask(identity)
    identity.run_jobs()
    assert links(identity) == []


def test_each_request_is_answered_once(identity: Identity) -> None:
    ask(identity)
    identity.run_jobs()
    identity.run_jobs()
    assert len(links(identity)) == 1


def test_at_most_three_links_are_mailed_to_one_user_within_an_hour(identity: Identity) -> None:
    identity.enrol(user_id="ben")
    for _ in range(5):
        ask(identity)
    ask(identity, "ben")
    identity.run_jobs()
    assert len(links(identity)) == 4
    identity.pass_by(minutes=61)
    ask(identity)
    identity.run_jobs()
    assert len(links(identity)) == 5


def test_a_link_is_good_for_thirty_minutes(identity: Identity) -> None:
    token = mailed(identity)
    identity.pass_by(minutes=30, seconds=-1)
    assert confirm(identity, token, "short").status_code == 422
    identity.pass_by(seconds=1)
    assert confirm(identity, token).status_code == 401


def test_a_link_is_good_once_and_voids_the_others(identity: Identity) -> None:
    first, second = mailed(identity), mailed(identity)
    assert confirm(identity, first).status_code == 204
    for token in (first, second, "never mailed"):
        answer = confirm(identity, token, "another one that is long")
        assert (answer.status_code, answer.get_json()["code"]) == (401, "reset_failed")
    assert identity.sign_in(password=NEW).status_code == 201


def test_one_link_used_at_the_same_time_sets_one_password(identity: Identity) -> None:
    token = mailed(identity)
    passwords = [f"the otter number {number} sleeps" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda password: confirm(identity, token, password).status_code, passwords))
    assert sorted(answers) == [204, 401, 401, 401]
    assert identity.sign_in(password=passwords[answers.index(204)]).status_code == 201
    assert len(identity.events(PasswordChanged)) == 1


def test_a_password_that_is_refused_leaves_the_link_good(identity: Identity) -> None:
    token = mailed(identity)
    answer = confirm(identity, token, "i am the administrator")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "password_too_personal")
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/password"]
    assert confirm(identity, token).status_code == 204


def test_every_session_ends(identity: Identity) -> None:
    tokens = identity.token(), identity.token()
    confirm(identity, mailed(identity))
    assert identity.check(*tokens) == [None, None]


def test_a_user_whom_somebody_has_locked_out_gets_in_again(identity: Identity) -> None:
    """Also on the user's own device, if the failures were there."""
    device = identity.sign_in().get_json()["device"]
    for more in ({}, {"device": device}):
        for _ in range(5):
            assert identity.sign_in(password="wrong", **more).status_code == 401
        assert identity.sign_in(**more).status_code == 429
    confirm(identity, mailed(identity))
    assert identity.sign_in(password=NEW).status_code == 201
    assert identity.sign_in(password=NEW, device=device).status_code == 201


def test_a_stranger_who_goes_on_failing_cannot_keep_the_user_out(identity: Identity) -> None:
    """Whoever has just used the link has a device that nobody else knows."""
    token = mailed(identity)
    confirm(identity, token)
    for _ in range(5):
        assert identity.sign_in(password="wrong").status_code == 401
    assert identity.sign_in(password=NEW).status_code == 429
    assert identity.sign_in(password=NEW, device=token).status_code == 201


def test_a_link_that_was_not_used_is_no_device(identity: Identity) -> None:
    token = mailed(identity)
    for _ in range(5):
        assert identity.sign_in(password="wrong").status_code == 401
    assert identity.sign_in(device=token).status_code == 429


def test_the_user_is_told_and_the_history_knows(identity: Identity) -> None:
    confirm(identity, mailed(identity))
    (event,) = identity.events(PasswordChanged)
    assert event.recipient.email == "anna@company.example"
    with identity.store.read() as session:
        (row,) = session.execute(sa.select(change).where(change.c.subject == identity.user().id))
    assert (row.field, row.new, row.actor) == ("password", "changed", "anna")
    assert row.command == "identity.password-reset"


def test_neither_token_nor_password_is_kept_in_clear(identity: Identity) -> None:
    token = mailed(identity)
    assert token not in identity.everything()
    confirm(identity, token)
    assert "otter" not in identity.everything()


def test_links_that_have_run_their_time_are_forgotten(identity: Identity) -> None:
    mailed(identity)
    identity.pass_by(minutes=59)
    identity.run_jobs()
    assert rows(identity) == 1
    identity.pass_by(minutes=2)
    identity.run_jobs()
    assert rows(identity) == 0


def test_a_request_sealed_with_another_key_hinders_nobody(identity: Identity) -> None:
    with identity.store.write() as session:
        session.add(PasswordReset(id="rst_0", asked_for="not sealed at all", asked_at=identity.now))
    mailed(identity)
    assert len(links(identity)) == 1
    assert rows(identity) == 1


def test_malformed_requests_are_refused_by_field(identity: Identity) -> None:
    for path, body, field in (
        ("/password-reset", {}, "/user_id"),
        ("/password-reset", {"user_id": ""}, "/user_id"),
        ("/password-reset", {"user_id": "anna", "email": "x"}, "/email"),
        ("/password-reset/confirm", {"token": "x"}, "/password"),
        ("/password-reset/confirm", {"token": 5, "password": NEW}, "/token"),
    ):
        answer = identity.call("POST", path, body)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")
        assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [field]
