import pytest
import sqlalchemy as sa

from services.identity.model import User, change
from services.identity.tests.conftest import PHRASE, Identity
from shared.contracts.identity import UserDeactivated, UserStatus


def signed_in_every(identity: Identity, days: int, times: int) -> None:
    for _ in range(times):
        identity.pass_by(days=days)
        assert identity.sign_in().status_code == 201


def test_a_user_may_sign_in_until_120_days_have_passed_without(identity: Identity) -> None:
    identity.token()
    identity.pass_by(days=120, seconds=-1)
    assert identity.sign_in().status_code == 201
    identity.pass_by(days=120)
    assert identity.sign_in().status_code == 401


@pytest.mark.parametrize("marked", [False, True])
def test_an_inactive_user_is_answered_like_a_wrong_password(identity: Identity, marked: bool) -> None:
    identity.pass_by(days=120)
    if marked:
        identity.run_jobs()
    answers = [identity.sign_in().get_json(), identity.sign_in(password="wrong").get_json()]
    for answer in answers:
        answer.pop("request_id")
    assert answers[0] == answers[1]
    assert answers[0]["code"] == "sign_in_failed"


def test_each_sign_in_begins_the_days_anew(identity: Identity) -> None:
    signed_in_every(identity, 100, 4)
    identity.run_jobs()
    assert identity.user().status == UserStatus.ACTIVE


def test_who_is_unused_is_marked_and_told_of(identity: Identity) -> None:
    identity.enrol(user_id="ben")
    identity.pass_by(days=60)
    token = identity.token("ben")
    identity.pass_by(days=60, seconds=-1)
    identity.run_jobs()
    assert identity.events(UserDeactivated) == []
    identity.pass_by(seconds=1)
    identity.run_jobs()
    identity.run_jobs()
    (event,) = identity.events(UserDeactivated)
    assert (event.user, event.company, event.reason) == (identity.user().id, "C-1", "unused")
    assert (identity.user().status, identity.user("ben").status) == (UserStatus.INACTIVE, UserStatus.ACTIVE)
    assert identity.check(token) == [None], "it ended by itself"
    with identity.store.read() as session:
        (row,) = session.execute(sa.select(change))
    assert (row.subject, row.field, row.old, row.new) == (identity.user().id, "status", "active", "inactive")
    assert (row.actor, row.channel) == ("system", "system")


def test_a_reactivated_user_has_120_days_again(identity: Identity) -> None:
    identity.pass_by(days=200)
    identity.run_jobs()
    with identity.store.write() as session:
        session.scalars(sa.select(User)).one().begin_activity(identity.now)
    identity.pass_by(days=119)
    identity.run_jobs()
    assert identity.sign_in().status_code == 201


def test_who_was_invited_long_before_enrolling_has_120_days_from_then(identity: Identity) -> None:
    code = identity.invite()
    with identity.store.write() as session:
        session.execute(sa.text("update access_code set expires_at = '2030-01-01'"))
    identity.pass_by(days=119)
    body = {
        "access_code": code,
        "secret_phrase": PHRASE,
        "user_id": "nina",
        "password": "an otter on its back",
    }
    assert identity.call("POST", "/enrolment", body).status_code == 201
    identity.pass_by(days=119)
    identity.run_jobs()
    assert identity.sign_in("nina", "an otter on its back").status_code == 201


def test_who_is_invited_stays_so(identity: Identity) -> None:
    identity.invite()
    identity.pass_by(days=500)
    identity.run_jobs()
    with identity.store.read() as session:
        (status,) = session.scalars(sa.select(User.status).where(User.name == "Nina New"))
    assert status == UserStatus.INVITED


def test_many_are_marked_in_portions(identity: Identity) -> None:
    with identity.store.write() as session:
        known = session.scalars(sa.select(User)).one()
        facts = {column.key: getattr(known, column.key) for column in User.__table__.columns}
        for number in range(120):
            session.add(User(**{**facts, "id": f"usr_{number}", "user_id": f"user{number}"}))
    identity.pass_by(days=120)
    identity.run_jobs()
    assert len(identity.events(UserDeactivated)) == 100
    identity.run_jobs()
    assert len(identity.events(UserDeactivated)) == 121
