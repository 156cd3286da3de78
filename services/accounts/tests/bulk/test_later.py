"""Rows that were accepted and take effect later, or never do (ACC-12, ACC-14)."""

from datetime import timedelta

import sqlalchemy as sa

from services.accounts.model import Hold
from services.accounts.tests.bulk.files import PA, finish, items, upload
from services.accounts.tests.programme import Programme
from shared.contracts.accounts import AccountStatus, UnsuspendAccount, WithdrawCancellation
from shared.contracts.bulk import SubmitCancellations, SubmitSuspensions


def test_what_takes_effect_later_is_accepted_and_no_second_outcome(programme: Programme) -> None:
    """A suspension from tomorrow on: the request is done today, and the history of the account tells the rest."""
    account = programme.insert_account()
    tomorrow = programme.now + timedelta(days=1)
    text = f"account_id,effective_at\n{account},{tomorrow.isoformat()}\n"
    bulk_id = upload(programme, "suspensions", text)["bulk_id"]
    asked = programme.send(SubmitSuspensions(bulk_id=bulk_id), PA)
    finish(programme)
    assert [item["outcome"] for item in items(programme, bulk_id)] == ["accepted"]

    programme.now += timedelta(days=2)
    programme.tick()

    assert programme.status(account) is AccountStatus.SUSPENDED
    assert [item["outcome"] for item in items(programme, bulk_id)] == ["carried_out"]
    assert [kind for kind, _ in programme.answers(asked)] == ["accepted", "completed"]
    changes = programme.changes(account)
    assert [change.field for change in changes] == ["status", "hold"]
    assert {(change.command_id, change.actor) for change in changes} == {(asked, "pa")}
    with programme.database.read() as session:
        hold = session.scalars(sa.select(Hold).where(Hold.account_id == account)).one()
    assert hold.command_id == asked


def test_what_was_accepted_and_does_not_come_to_pass_is_refused_in_the_end(programme: Programme) -> None:
    """A suspension that is lifted before it begins: the row says so, and the request stays as it ended."""
    first, second = programme.insert_account(), programme.insert_account()
    tomorrow = (programme.now + timedelta(days=1)).isoformat()
    text = f"account_id,effective_at\n{first},{tomorrow}\n{second},{tomorrow}\n"
    bulk_id = upload(programme, "suspensions", text)["bulk_id"]
    asked = programme.send(SubmitSuspensions(bulk_id=bulk_id), PA)
    finish(programme)

    programme.send(UnsuspendAccount(account_id=first), PA)

    assert [(item["outcome"], item["code"]) for item in items(programme, bulk_id)] == [
        ("refused", "lifted"),
        ("accepted", None),
    ]
    assert [kind for kind, _ in programme.answers(asked)] == ["accepted", "completed"]


def test_a_cancellation_of_a_file_that_is_to_come_is_taken_back_by_its_account(programme: Programme) -> None:
    """ACC-12. The request has ended, so that it cannot be withdrawn: what is pending does not promise that it can."""
    first, second = programme.insert_account(), programme.insert_account()
    tomorrow = (programme.now + timedelta(days=1)).isoformat()
    text = "account_id,reason,effective_at\n"
    text += "".join(f"{one},dormant,{tomorrow}\n" for one in (first, second))
    bulk_id = upload(programme, "cancellations", text)["bulk_id"]
    asked = programme.send(SubmitCancellations(bulk_id=bulk_id), PA)
    finish(programme)
    (pending,) = programme.get(f"/accounts/{first}/pending", PA)["data"]
    assert (pending["kind"], pending["command_id"], pending["withdrawable"]) == ("cancellation", asked, False)

    taken_back = programme.send(WithdrawCancellation(account_id=first), PA)

    assert [kind for kind, _ in programme.answers(taken_back)] == ["completed"]
    assert [item["outcome"] for item in items(programme, bulk_id)] == ["withdrawn", "accepted"]
    assert programme.get(f"/accounts/{first}/pending", PA)["data"] == []
    assert [kind for kind, _ in programme.answers(asked)] == ["accepted", "completed"]
