"""Who sees a file, who may submit it, and how far it reaches (IDN-05, IDN-07)."""

from services.accounts.tests.bulk.files import cancellations, finish, items, upload
from services.accounts.tests.programme import FIELD, MASTER, NORTH, SALES, Programme, user
from shared.actor import Actor, Party
from shared.contracts.accounts import AccountStatus
from shared.contracts.bulk import SubmitCancellations


def test_a_file_is_its_uploaders_and_of_those_who_may_see_all_of_it(programme: Programme) -> None:
    text = cancellations(programme.insert_account(SALES), programme.insert_account(FIELD))
    both = user(MASTER, user_id="both")
    clerk = user(SALES, FIELD, user_id="clerk")
    bulk_id = upload(programme, "cancellations", text, clerk)["bulk_id"]

    for actor, status in ((clerk, 200), (both, 200), (user(FIELD, user_id="b"), 404)):
        programme.get(f"/bulk/{bulk_id}", actor, status)
        programme.get(f"/bulk/{bulk_id}/items", actor, status)
        listed = [bulk["bulk_id"] for bulk in programme.get("/bulk", actor)["data"]]
        assert (bulk_id in listed) is (status == 200)
    gateway = Actor(user_id="gateway", party=Party.SYSTEM)
    places = programme.client.post(
        "/scopes", json={"bulk": [bulk_id, "blk_" + "0" * 26]}, headers=programme.headers(gateway)
    )
    assert places.get_json() == {"bulk": {bulk_id: [MASTER, NORTH]}}

    asked = programme.send(SubmitCancellations(bulk_id=bulk_id), user(FIELD, user_id="b"))
    ((kind, said),) = programme.answers(asked)
    assert (kind, said["code"]) == ("rejected", "not_found")
    programme.send(SubmitCancellations(bulk_id=bulk_id), clerk)
    finish(programme)
    assert programme.get(f"/bulk/{bulk_id}", both)["carried_out"] == 2


def test_the_rights_that_count_are_those_of_the_submission(programme: Programme) -> None:
    """Who submits another's file reaches no further than the own functions."""
    ours, beside = programme.insert_account(SALES), programme.insert_account(FIELD)
    bulk_id = upload(programme, "cancellations", cancellations(ours, beside))["bulk_id"]
    narrow = user(SALES, user_id="pa")  # the same user, of whom some was taken away since

    programme.send(SubmitCancellations(bulk_id=bulk_id), narrow)
    finish(programme)

    assert [item["code"] for item in items(programme, bulk_id)] == [None, "not_found"]
    assert programme.status(beside) is AccountStatus.ACTIVE


def test_an_alternate_submits_for_a_colleague(programme: Programme) -> None:
    """IDN-07: both names stand in the history of every account."""
    account = programme.insert_account()
    alternate = user(MASTER, user_id="alternate", on_behalf_of="pa", granted=["accounts.cancel"])
    bulk = upload(programme, "cancellations", cancellations(account), alternate)
    assert (bulk["uploaded_by"], bulk["on_behalf_of"]) == ("alternate", "pa")

    programme.send(SubmitCancellations(bulk_id=bulk["bulk_id"]), alternate)
    finish(programme)

    assert {(change.actor, change.on_behalf_of) for change in programme.changes(account)} == {
        ("alternate", "pa")
    }
