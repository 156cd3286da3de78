from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from services.identity.api import MOST_TOKENS
from services.identity.model import Grant, Session, User
from services.identity.rules import ROLES
from services.identity.tests.conftest import ANNA, Identity
from services.identity.tests.statements import statements_of
from shared.actor import Actor, Party
from shared.contracts.identity import UserStatus


def test_a_session_says_who_it_is_and_what_may_be_done_where(identity: Identity) -> None:
    (session,) = identity.check(identity.token())
    assert session is not None
    assert session.pop("session_id").startswith("ses_")
    assert session.pop("user").startswith("usr_")
    assert datetime.fromisoformat(session.pop("expires_at")) == identity.now + timedelta(minutes=30)
    functions = sorted(ROLES["programme_administrator"].functions)
    assert session == {
        "user_id": "anna",
        "name": "Anna Administrator",
        "role": "programme_administrator",
        "party": "client",
        "company": "C-1",
        "second_factor_needed": False,
        "approvals": [],
        "own_accounts": [],
        "grants": [[functions, ["100000000000001", "100000000000002"]]],
        "lent": [],
    }


def test_functions_over_different_control_accounts_stand_in_groups_of_their_own(identity: Identity) -> None:
    with identity.store.write() as session:
        session.execute(
            sa.text(
                """delete from "grant" where function = 'accounts.cancel' and control_account like '%2'"""
            )
        )
    (found,) = identity.check(identity.token())
    assert found is not None
    others = sorted(ROLES["programme_administrator"].functions - {"accounts.cancel"})
    assert sorted(found["grants"]) == sorted(
        [[["accounts.cancel"], ["100000000000001"]], [others, ["100000000000001", "100000000000002"]]]
    )


def test_a_user_without_functions_signs_in_and_may_do_nothing(identity: Identity) -> None:
    identity.enrol(user_id="carl", role="cardholder", party="holder")
    with identity.store.write() as session:
        carl = sa.select(User.id).where(User.user_id == "carl").scalar_subquery()
        session.execute(sa.delete(Grant).where(Grant.user == carl))
    (found,) = identity.check(identity.token("carl"))
    assert found is not None
    assert found["grants"] == []


def test_sessions_come_in_the_order_of_the_tokens_with_null_for_what_is_none(identity: Identity) -> None:
    identity.enrol(user_id="ben")
    anna, ben = identity.token(), identity.token("ben")
    found = identity.check(ben, "no token", anna, "", ben)
    assert [session and session["user_id"] for session in found] == ["ben", None, "anna", None, "ben"]
    assert identity.check() == []


def test_an_odd_token_does_not_spoil_the_check_of_the_others(identity: Identity) -> None:
    token = identity.token()
    odd = ["tab\there", "\x00", "\u00ff\u20ac", "' or 1=1 --", "x" * 5000]
    assert [bool(session) for session in identity.check(*odd, token)] == [False] * len(odd) + [True]


def test_many_tokens_are_checked_in_one_query(identity: Identity) -> None:
    tokens = [identity.token() for _ in range(7)]
    with statements_of(identity.store) as statements:
        assert None not in identity.check(*tokens)
    assert [statement.split()[0] for statement in statements] == ["SELECT"]


def test_a_session_ends_thirty_minutes_after_its_last_use(identity: Identity) -> None:
    token = identity.token()
    identity.pass_by(minutes=29, seconds=59)
    assert identity.check(token) != [None]
    identity.pass_by(minutes=30)
    assert identity.check(token) == [None]


def test_each_use_keeps_a_session_alive(identity: Identity) -> None:
    token = identity.token()
    for _ in range(10):
        identity.pass_by(minutes=20)
        (session,) = identity.check(token)
        assert session is not None
        assert datetime.fromisoformat(session["expires_at"]) == identity.now + timedelta(minutes=30)


def test_the_last_use_is_written_down_at_most_once_a_minute_and_a_session_never_outlives_it(
    identity: Identity,
) -> None:
    token = identity.token()
    identity.pass_by(seconds=59)
    with statements_of(identity.store) as statements:
        (session,) = identity.check(token)
    assert not [statement for statement in statements if statement.startswith("UPDATE")]
    assert session is not None
    promised = datetime.fromisoformat(session["expires_at"])
    assert promised == identity.now + timedelta(minutes=29, seconds=1)
    identity.now = promised
    assert identity.check(token) == [None]


def test_a_session_that_has_ended_is_not_brought_back_by_checking_it(identity: Identity) -> None:
    token = identity.token()
    identity.pass_by(minutes=30)
    assert identity.check(token) == [None]
    identity.pass_by(minutes=-1)
    assert identity.check(token) != [None]
    identity.pass_by(minutes=1)


def test_checks_at_the_same_time_all_succeed_and_keep_every_session_alive(identity: Identity) -> None:
    tokens = [identity.token() for _ in range(5)]
    identity.pass_by(minutes=2)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda shift: identity.check(*tokens[shift:], *tokens[:shift]), range(5)))
    assert all(None not in answer for answer in answers)
    with identity.store.read() as session:
        assert set(session.scalars(sa.select(Session.last_used_at))) == {identity.now}


def test_a_revoked_session_is_gone_at_once_and_the_users_other_one_is_not(identity: Identity) -> None:
    ended, other = identity.token(), identity.token()
    (session, _) = identity.check(ended, other)
    assert session is not None
    path = f"/sessions/{session['session_id']}"
    assert identity.call("DELETE", path).status_code == 204
    found = identity.check(ended, other)
    assert found[0] is None
    assert found[1] is not None
    assert identity.call("DELETE", path).status_code == 204


def test_a_session_that_never_was_may_be_revoked(identity: Identity) -> None:
    assert identity.call("DELETE", "/sessions/ses_0").status_code == 204


def test_an_inactive_users_sessions_end_at_once(identity: Identity) -> None:
    token = identity.token()
    with identity.store.write() as session:
        session.execute(sa.update(User).values(status=UserStatus.INACTIVE))
    assert identity.check(token) == [None]


def test_the_token_is_nowhere_in_the_database(identity: Identity) -> None:
    token = identity.token()
    with identity.store.read() as session:
        (row,) = session.execute(sa.select(Session.__table__))
    assert token not in "".join(map(str, row))


def test_no_two_tokens_are_alike_and_each_has_256_bits(identity: Identity) -> None:
    tokens = {identity.token() for _ in range(20)}
    assert len(tokens) == 20
    assert {len(token) for token in tokens} == {43}


def test_sessions_that_ended_long_ago_are_dropped_when_their_user_signs_in(identity: Identity) -> None:
    identity.token()
    identity.pass_by(days=31)
    identity.token()
    with identity.store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Session)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tokens": "abc"},
        {"tokens": [1]},
        {"tokens": ["x"] * (MOST_TOKENS + 1)},
        {"tokens": [], "more": 1},
    ],
)
def test_a_malformed_check_is_refused(identity: Identity, body: object) -> None:
    answer = identity.call("POST", "/sessions/check", body)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/sessions"), ("POST", "/sessions/check"), ("DELETE", "/sessions/ses_0")]
)
def test_only_the_gateway_itself_is_answered(identity: Identity, method: str, path: str) -> None:
    user = Actor(user_id=ANNA["user_id"], party=Party.CLIENT)
    answer = identity.call(method, path, {}, actor=user)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "gateway_only")
    with identity.app.test_client() as client:
        assert client.open(path, method=method, json={}).status_code == 401


def test_a_session_that_is_only_looked_at_is_not_used(identity: Identity) -> None:
    """A page that watches a request by itself does not keep its user signed in."""
    token = identity.token()
    for _ in range(3):
        identity.pass_by(minutes=9)
        answer = identity.call("POST", "/sessions/check", {"tokens": [token], "used": False})
        assert answer.get_json()["sessions"][0] is not None
    identity.pass_by(minutes=4)
    assert identity.check(token) == [None]
