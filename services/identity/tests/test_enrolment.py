from typing import Any

import pytest
import sqlalchemy as sa

from services.identity import demonstration
from services.identity.model import Grant, User
from services.identity.rules import ROLES
from services.identity.tests.conftest import ANNA, PASSWORD, Identity
from shared.actor import EVERYWHERE
from shared.errors import Rejected


def one_of_each_role() -> list[dict[str, Any]]:
    return [
        {**ANNA, "user_id": name.replace("_", "-"), "role": name, "party": str(role.party)}
        for name, role in ROLES.items()
    ]


def rows(identity: Identity) -> set[Any]:
    with identity.store.read() as session:
        users = session.execute(sa.select(User.__table__)).all()
        return {tuple(row) for row in [*users, *session.execute(sa.select(Grant.__table__))]}


def test_users_of_every_role_are_enrolled_and_can_sign_in(identity: Identity) -> None:
    users = one_of_each_role()
    assert demonstration.load(identity.store, users, identity.now) == len(ROLES)
    for user in users:
        (session,) = identity.check(identity.token(user["user_id"]))
        assert session is not None
        assert (session["role"], session["party"]) == (user["role"], user["party"])
        functions = {function for names, _ in session["grants"] for function in names}
        assert functions == ROLES[user["role"]].functions


def test_loading_again_changes_nothing(identity: Identity) -> None:
    users = one_of_each_role()
    demonstration.load(identity.store, users, identity.now)
    before = rows(identity)
    identity.pass_by(days=1)
    changed = [{**user, "password": "other", "control_accounts": []} for user in users]
    assert demonstration.load(identity.store, changed, identity.now) == 0
    assert rows(identity) == before


def test_a_load_that_was_cut_short_is_completed(identity: Identity) -> None:
    users = one_of_each_role()
    demonstration.load(identity.store, users[:4], identity.now)
    assert demonstration.load(identity.store, users, identity.now) == len(users) - 4


def test_a_grant_may_be_over_everything(identity: Identity) -> None:
    identity.enrol(
        user_id="olga", party="issuer", role="issuer_operator", company=None, control_accounts=[EVERYWHERE]
    )
    (session,) = identity.check(identity.token("olga"))
    assert session is not None
    assert session["company"] is None
    assert session["grants"] == [[sorted(ROLES["issuer_operator"].functions), ["*"]]]


def test_a_control_account_named_twice_is_granted_once(identity: Identity) -> None:
    identity.enrol(user_id="dora", control_accounts=["100000000000001"] * 2)
    (session,) = identity.check(identity.token("dora"))
    assert session is not None
    assert [numbers for _, numbers in session["grants"]] == [["100000000000001"]]


def test_a_role_of_another_party_is_refused_and_nothing_is_kept(identity: Identity) -> None:
    before = rows(identity)
    with pytest.raises(Rejected):
        demonstration.load(
            identity.store,
            [{**ANNA, "user_id": "dan"}, {**ANNA, "user_id": "eve", "role": "issuer_operator"}],
            identity.now,
        )
    assert rows(identity) == before
    assert identity.sign_in("eve", PASSWORD).status_code == 401
