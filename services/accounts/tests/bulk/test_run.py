"""A submitted file is carried out row by row, one request with a number of its own (Part 2 no. 8)."""

from datetime import timedelta
from typing import Any

import pytest

from services.accounts.bulk import jobs
from services.accounts.model import CardAccount
from services.accounts.tests.bulk.files import PA, cancellations, finish, items, upload
from services.accounts.tests.programme import FIELD, OPERATOR, SALES, Programme
from shared.contracts.accounts import AccountStatus
from shared.contracts.bulk import (
    SubmitAccounting,
    SubmitCancellations,
    SubmitHolders,
    SubmitOpenings,
    SubmitTransfers,
)
from shared.contracts.tracking import Decision


def test_a_file_is_one_request_and_each_row_a_change_of_its_own(programme: Programme) -> None:
    some = [programme.insert_account() for _ in range(30)]
    bulk_id = upload(programme, "cancellations", cancellations(*some))["bulk_id"]
    asked = programme.send(SubmitCancellations(bulk_id=bulk_id), PA)
    finish(programme)

    told = [event for event in programme.said if event.correlation_id == asked]
    assert [kind for kind, _ in programme.answers(asked)] == ["accepted", "completed"]
    cancelled = [event.subject for event in told if event.key == "accounts.account-cancelled.v1"]
    assert sorted(map(str, cancelled)) == sorted(some)
    for account in some:
        (change,) = [change for change in programme.changes(account) if change.field == "status"]
        assert (change.command_id, change.actor) == (asked, "pa")
    found = programme.get(f"/bulk/{bulk_id}", PA)
    assert (found["state"], found["carried_out"], found["command_id"]) == ("finished", 30, asked)
    assert programme.get("/bulk", PA, command_id=asked)["data"] == [found]
    refused = items(programme, bulk_id, outcome="refused")
    assert refused == []


def test_accounts_are_opened_by_a_file(programme: Programme) -> None:
    text = (
        "control_account,product,first_name,last_name\n"
        f"{SALES},corporate_gold,Ada,Lovelace\n"
        f"{SALES},corporate_gold,Grace,Hopper\n"
        f"{SALES},corporate_gold,Ada,Lovelace\n"
        f"{'9' * 15},corporate_gold,Alan,Turing\n"
    )
    bulk_id = upload(programme, "openings", text, OPERATOR)["bulk_id"]
    asked = programme.send(SubmitOpenings(bulk_id=bulk_id, skip_findings=True), OPERATOR)
    finish(programme)
    programme.tick()  # where the issuer's processor makes the cards, it has by now
    (ada, grace, again, alan) = items(programme, bulk_id, OPERATOR)
    assert [row["outcome"] for row in (ada, grace)] == ["carried_out", "carried_out"]
    assert programme.status(ada["account_id"]) is AccountStatus.ACTIVE
    assert (again["code"], alan["code"]) == ("duplicate_row", "not_found")
    result = programme.answers(asked)[-1][1]["result"]
    assert (result["carried_out"] + result["accepted"], result["refused"]) == (2, 2)


@pytest.mark.parametrize(
    ("kind", "submission", "columns", "row", "refused", "field", "value"),
    [
        ("transfers", SubmitTransfers, "control_account", FIELD, SALES, "control_account", FIELD),
        ("holders", SubmitHolders, "city;business_phone", "Lyon;+33 4 72 00 00 00", ";12", "city", "Lyon"),
        ("accounting", SubmitAccounting, "cost_centre;clear", "CC-9;employee_id", ";", "cost_centre", "CC-9"),
    ],
)
def test_accounts_are_changed_by_a_file(
    programme: Programme,
    kind: str,
    submission: Any,
    columns: str,
    row: str,
    refused: str,
    field: str,
    value: str,
) -> None:
    """Transfers, holders' data and accounting fields, by the rules of the single commands."""
    good, bad = programme.insert_account(), programme.insert_account()
    text = f"account_id;{columns}\n{good};{row}\n{bad};{refused}\n"
    bulk = upload(programme, kind, text)
    assert (bulk["waiting"], bulk["refused"]) == (1, 1), items(programme, bulk["bulk_id"])

    programme.send(submission(bulk_id=bulk["bulk_id"], skip_findings=True), PA)
    finish(programme)

    assert [item["outcome"] for item in items(programme, bulk["bulk_id"])] == ["carried_out", "refused"]
    with programme.database.read() as session:
        assert getattr(session.get_one(CardAccount, good), field) == value
    assert programme.changes(bad) == []


def test_what_is_not_carried_out_yet_can_be_withdrawn(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part 2 no. 1. A request of which something was done already is completed, one of which nothing was is withdrawn."""
    done, left = programme.insert_account(), programme.insert_account()
    message = SubmitCancellations(
        bulk_id=upload(programme, "cancellations", cancellations(done, left))["bulk_id"]
    )
    asked = programme.send(message, PA)
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "LONGEST_RUN_SECONDS", -1)  # a single row
        programme.tick()
    programme.decide(asked, type(message), Decision.WITHDRAW)
    finish(programme)
    assert [item["outcome"] for item in items(programme, message.bulk_id)] == ["carried_out", "withdrawn"]
    (kind, said) = programme.answers(asked)[-1]
    assert (kind, said["result"]["withdrawn"]) == ("completed", 1)
    assert programme.status(left) is AccountStatus.ACTIVE

    untouched = SubmitCancellations(
        bulk_id=upload(programme, "cancellations", cancellations(left))["bulk_id"]
    )
    asked = programme.send(untouched, PA)
    programme.decide(asked, type(untouched), Decision.WITHDRAW)
    finish(programme)
    assert programme.answers(asked)[-1][0] == "withdrawn"
    assert programme.status(left) is AccountStatus.ACTIVE


def test_every_file_gets_its_share(programme: Programme, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short file does not wait for a long one that came before it."""
    long, short = [programme.insert_account() for _ in range(20)], programme.insert_account()
    first = upload(programme, "cancellations", cancellations(*long))["bulk_id"]
    second = upload(programme, "cancellations", cancellations(short))["bulk_id"]
    for bulk_id in (first, second):
        programme.send(SubmitCancellations(bulk_id=bulk_id), PA)
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "LONGEST_RUN_SECONDS", -1)
        programme.tick()
    assert programme.get(f"/bulk/{first}", PA)["carried_out"] == 1
    assert programme.status(short) is AccountStatus.CANCELLED
    finish(programme)


def test_what_nobody_submits_is_forgotten(programme: Programme) -> None:
    bulk_id = upload(programme, "cancellations", cancellations(programme.insert_account()))["bulk_id"]
    kept = upload(programme, "cancellations", cancellations(programme.insert_account()))["bulk_id"]
    programme.send(SubmitCancellations(bulk_id=kept), PA)
    finish(programme)
    programme.now += timedelta(days=14, seconds=1)
    for _ in range(60):
        programme.now += timedelta(minutes=11)
        programme.tick()
    programme.get(f"/bulk/{bulk_id}", PA, status=404)
    assert programme.get(f"/bulk/{kept}", PA)["carried_out"] == 1
