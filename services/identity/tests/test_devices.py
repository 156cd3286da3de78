from datetime import datetime

import sqlalchemy as sa

from services.identity.model import Device
from services.identity.tests.conftest import PASSWORD, Identity
from services.identity.tests.statements import statements_of


def device_of(identity: Identity, user_id: str = "anna") -> str:
    answer = identity.sign_in(user_id)
    assert answer.status_code == 201
    return str(answer.get_json()["device"])


def fail(identity: Identity, times: int, **more: str) -> None:
    for _ in range(times):
        assert identity.sign_in(password="wrong", **more).status_code == 401


def devices(identity: Identity) -> list[datetime]:
    with identity.store.read() as session:
        return list(session.scalars(sa.select(Device.last_used_at)))


def test_strangers_do_not_close_a_user_out_on_a_known_device(identity: Identity) -> None:
    device = device_of(identity)
    fail(identity, 5)
    assert identity.sign_in().status_code == 429
    assert identity.sign_in(device=device).status_code == 201


def test_guessing_on_a_known_device_closes_that_device_alone(identity: Identity) -> None:
    device = device_of(identity)
    fail(identity, 5, device=device)
    assert identity.sign_in(device=device).status_code == 429
    assert identity.sign_in().status_code == 201


def test_success_on_a_device_does_not_forgive_strangers(identity: Identity) -> None:
    device = device_of(identity)
    fail(identity, 4)
    assert identity.sign_in(device=device).status_code == 201
    fail(identity, 1)
    assert identity.sign_in().status_code == 429


def test_a_known_device_keeps_its_token_and_an_unknown_one_gets_one(identity: Identity) -> None:
    device = device_of(identity)
    assert identity.sign_in(device=device).get_json()["device"] == device
    made_up = identity.sign_in(device="made up").get_json()["device"]
    assert made_up not in ("made up", device)
    assert len(devices(identity)) == 2


def test_a_device_that_nobody_knows_is_counted_as_none(identity: Identity) -> None:
    fail(identity, 5, device="made up")
    assert identity.sign_in().status_code == 429
    assert identity.sign_in(device="made up too").status_code == 429


def test_a_device_counts_for_its_own_user_only(identity: Identity) -> None:
    identity.enrol(user_id="ben")
    device = device_of(identity, "ben")
    fail(identity, 5)
    assert identity.sign_in("anna", PASSWORD, device=device).status_code == 429


def test_a_device_is_known_in_capitals_too(identity: Identity) -> None:
    device = device_of(identity)
    fail(identity, 5)
    assert identity.sign_in("ANNA", PASSWORD, device=device).status_code == 201


def test_a_device_is_no_proof_of_anything(identity: Identity) -> None:
    device = device_of(identity)
    assert identity.sign_in(password="wrong", device=device).get_json()["code"] == "sign_in_failed"


def test_failures_cost_the_same_work_with_whatever_device(identity: Identity) -> None:
    device, work = device_of(identity), []
    for user_id, token in (("anna", device), ("anna", "made up"), ("nobody", device), ("nobody", "made up")):
        with statements_of(identity.store) as statements:
            identity.sign_in(user_id, "wrong", device=token)
        work.append(statements)
    assert work.count(work[0]) == len(work)


def test_the_token_is_not_kept_in_clear(identity: Identity) -> None:
    assert device_of(identity) not in identity.everything()


def test_a_device_is_forgotten_after_ninety_days_without_use(identity: Identity) -> None:
    device = device_of(identity)
    identity.pass_by(days=89)
    assert identity.sign_in(device=device).get_json()["device"] == device
    identity.pass_by(days=89)
    identity.run_jobs()
    assert len(devices(identity)) == 1
    identity.pass_by(days=1)
    fail(identity, 5, device=device)
    assert identity.sign_in(device=device).status_code == 429, "it counts as unknown before it is removed"
    identity.run_jobs()
    assert devices(identity) == []


def test_a_client_that_never_sends_its_token_does_not_pile_up_devices(identity: Identity) -> None:
    used = device_of(identity)
    for _ in range(25):
        identity.pass_by(seconds=1)
        last = device_of(identity)
    assert len(devices(identity)) == 20
    fail(identity, 5)
    assert identity.sign_in(device=last).status_code == 201
    assert identity.sign_in(device=used).status_code == 429
