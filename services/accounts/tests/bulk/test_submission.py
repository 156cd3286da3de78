"""A file is submitted once, as what it is, whole or without the rows that have findings (Part 2 no. 8)."""

import pytest

from services.accounts.tests.bulk.files import NOBODY, PA, cancellations, finish, upload
from services.accounts.tests.programme import MASTER, Programme, user
from shared.contracts.accounts import AccountStatus
from shared.contracts.bulk import SubmitCancellations, SubmitSuspensions
from shared.contracts.tracking import Decision


@pytest.mark.parametrize("skip", [False, True])
def test_rows_with_findings_are_left_out_only_where_that_is_said(programme: Programme, skip: bool) -> None:
    account = programme.insert_account()
    bulk_id = upload(programme, "cancellations", cancellations(account, NOBODY))["bulk_id"]

    asked = programme.send(SubmitCancellations(bulk_id=bulk_id, skip_findings=skip), PA)
    finish(programme)

    if skip:
        (_, (kind, said)) = programme.answers(asked)
        assert kind == "completed"
        assert (said["result"]["carried_out"], said["result"]["refused"]) == (1, 1)
        assert said["result"]["items"] == f"/api/v1/bulk/{bulk_id}/items"
    else:
        ((kind, said),) = programme.answers(asked)
        assert (kind, said["code"], said["field"]) == ("rejected", "has_findings", "skip_findings")
        assert programme.status(account) is AccountStatus.ACTIVE


def test_a_file_is_submitted_once_and_as_what_it_is(programme: Programme) -> None:
    bulk_id = upload(programme, "cancellations", cancellations(programme.insert_account()))["bulk_id"]
    hopeless = upload(programme, "cancellations", cancellations(NOBODY))["bulk_id"]
    refused = [
        programme.send(SubmitSuspensions(bulk_id=bulk_id), PA),
        programme.send(SubmitCancellations(bulk_id=hopeless, skip_findings=True), PA),
        programme.send(SubmitCancellations(bulk_id="blk_" + "0" * 26), PA),
    ]
    programme.send(SubmitCancellations(bulk_id=bulk_id), PA)
    refused.append(programme.send(SubmitCancellations(bulk_id=bulk_id), PA))
    finish(programme)
    refused.append(programme.send(SubmitCancellations(bulk_id=bulk_id), PA))
    assert [said["code"] for asked in refused for _, said in programme.answers(asked)] == [
        "other_kind",
        "nothing_to_do",
        "not_found",
        "already_submitted",
        "already_submitted",
    ]


@pytest.mark.parametrize("wanted", ["accounts.cancel-account", "accounts.submit-cancellations"])
def test_a_second_person_approves_a_file(programme: Programme, wanted: str) -> None:
    account = programme.insert_account()
    bulk_id = upload(programme, "cancellations", cancellations(account))["bulk_id"]
    message = SubmitCancellations(bulk_id=bulk_id)
    asked = programme.send(message, user(MASTER, user_id="pa", approvals=[wanted]))
    finish(programme)
    assert programme.status(account) is AccountStatus.ACTIVE

    programme.decide(asked, type(message), Decision.APPROVE)
    finish(programme)

    assert programme.status(account) is AccountStatus.CANCELLED
    assert [kind for kind, _ in programme.answers(asked)] == ["accepted", "accepted", "completed"]
