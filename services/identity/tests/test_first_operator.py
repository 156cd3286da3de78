import pytest
import sqlalchemy as sa

from services.identity.first_operator import enrol_operator
from services.identity.model import User, change
from services.identity.rules import ROLES
from services.identity.tests.conftest import PHRASE, Identity
from shared.contracts.types import Language
from shared.errors import Rejected


def enrol(identity: Identity, *, name: str = "Olga Operator", another: bool = False) -> str:
    with identity.store.write() as session:
        return enrol_operator(
            session,
            name=name,
            email="olga@issuer.example",
            phrase=PHRASE,
            language=Language.ENGLISH,
            now=identity.now,
            settings=identity.settings,
            another=another,
        )


def test_the_first_operator_enrols_and_may_do_what_the_issuer_does(identity: Identity) -> None:
    body = {
        "access_code": enrol(identity),
        "secret_phrase": PHRASE,
        "user_id": "olga",
        "password": "a heron on a leg",
    }
    assert identity.call("POST", "/enrolment", body).status_code == 201
    opened = identity.sign_in("olga", "a heron on a leg").get_json()
    assert opened["session"]["grants"] == [[sorted(ROLES["issuer_operator"].functions), ["*"]]]
    assert (opened["session"]["party"], opened["session"]["company"]) == ("issuer", None)


def test_where_there_is_one_another_has_to_be_asked_for(identity: Identity) -> None:
    enrol(identity)
    with pytest.raises(Rejected) as refusal:
        enrol(identity, name="Intruder")
    assert refusal.value.code == "operator_present"
    enrol(identity, name="Otto Operator", another=True)
    with identity.store.read() as session:
        names = set(session.scalars(sa.select(User.name)))
    assert names == {"Anna Administrator", "Olga Operator", "Otto Operator"}


def test_the_history_knows_that_the_operator_of_the_installation_did_it(identity: Identity) -> None:
    enrol(identity)
    with identity.store.read() as session:
        rows = session.execute(sa.select(change)).all()
    assert {(row.field, row.new) for row in rows} == {
        ("name", "Olga Operator"),
        ("role", "issuer_operator"),
        ("status", "invited"),
    }
    assert {(row.actor, row.channel) for row in rows} == {("operator", "operator")}
