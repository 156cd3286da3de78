"""Many accounts by a list from the screen: one request, and an outcome for each (ACC-11, ACC-17)."""

from typing import Any

import pytest

from services.accounts.model import CardAccount
from services.accounts.tests.bulk.files import NOBODY, PA
from services.accounts.tests.programme import MASTER, RETAIL, Programme, user
from shared.contracts.accounts import AccountingField, AccountStatus, CancelReason
from shared.contracts.bulk import AccountingOfAccount, CancelAccounts, ChangeAccountingOfAccounts
from shared.contracts.tracking import Decision


def test_twenty_accounts_are_cancelled_by_one_request(programme: Programme) -> None:
    """ACC-11: one reason for all, one number; what cannot be cancelled keeps no other from it."""
    some = [programme.insert_account() for _ in range(19)]
    gone = programme.insert_account(status=AccountStatus.CANCELLED)

    asked = programme.send(CancelAccounts(account_ids=[*some, gone], reason=CancelReason.DORMANT), PA)

    ((kind, said),) = programme.answers(asked)
    assert kind == "completed"
    assert (said["result"]["carried_out"], said["result"]["refused"]) == (19, 1)
    assert [item["account_id"] for item in said["result"]["items"]] == [*some, gone]
    assert said["result"]["items"][-1]["code"] == "account_cancelled"
    assert {programme.status(account) for account in some} == {AccountStatus.CANCELLED}
    (change,) = [change for change in programme.changes(some[0]) if change.field == "status"]
    assert (change.command_id, change.actor, change.command) == (asked, "pa", "accounts.cancel-accounts")
    assert programme.changes(gone) == []
    told = [event.subject for event in programme.said if event.correlation_id == asked]
    assert sorted(filter(None, told)) == sorted(some)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"account_ids": [NOBODY, NOBODY], "reason": CancelReason.FRAUD}, "named_twice"),
        ({"account_ids": [NOBODY], "reason": CancelReason.OTHER}, "comment_required"),
    ],
)
def test_a_list_that_is_wrong_as_a_whole_is_refused(
    programme: Programme, message: dict[str, Any], code: str
) -> None:
    asked = programme.send(CancelAccounts(**message), PA)
    ((kind, said),) = programme.answers(asked)
    assert (kind, said["code"]) == ("rejected", code)


def test_what_lies_outside_the_own_control_accounts_is_not_found_among_many(programme: Programme) -> None:
    """Defence in depth: the gateway has refused such a list already."""
    ours, theirs = programme.insert_account(), programme.insert_account(RETAIL)
    asked = programme.send(CancelAccounts(account_ids=[theirs, ours], reason=CancelReason.FRAUD), PA)
    ((_, said),) = programme.answers(asked)
    assert [item["code"] for item in said["result"]["items"]] == ["not_found", None]
    assert programme.status(theirs) is AccountStatus.ACTIVE


@pytest.mark.parametrize("wanted", ["accounts.cancel-account", "accounts.cancel-accounts"])
def test_four_eyes_for_one_cancellation_are_four_eyes_for_many(programme: Programme, wanted: str) -> None:
    """Part 2 no. 6: nobody gets round a second person by asking for many."""
    account = programme.insert_account()
    message = CancelAccounts(account_ids=[account], reason=CancelReason.FRAUD)
    asked = programme.send(message, user(MASTER, user_id="pa", approvals=[wanted]))
    ((kind, said),) = programme.answers(asked)
    assert (kind, said["status"], said["approver_function"]) == (
        "accepted",
        "awaiting_approval",
        "accounts.cancel",
    )
    assert programme.status(account) is AccountStatus.ACTIVE

    programme.decide(asked, type(message), Decision.APPROVE)

    assert programme.status(account) is AccountStatus.CANCELLED
    assert [kind for kind, _ in programme.answers(asked)] == ["accepted", "completed"]


def test_accounting_fields_of_many_are_changed_to_one_value_or_to_their_own(programme: Programme) -> None:
    """ACC-17: the cost centre of all, the employee ID of each."""
    first, second, gone = (
        programme.insert_account(),
        programme.insert_account(),
        programme.insert_account(status=AccountStatus.CANCELLED),
    )
    asked = programme.send(
        ChangeAccountingOfAccounts(
            account_ids=[first, second, gone],
            cost_centre="CC-1",
            clear=[AccountingField.EMPLOYEE_ID],
            each=[AccountingOfAccount(account_id=second, employee_id="E2", cost_centre="CC-2")],
        )
    )
    ((kind, said),) = programme.answers(asked)
    assert (kind, said["result"]["carried_out"], said["result"]["refused"]) == ("completed", 2, 1)
    assert said["result"]["items"][2]["code"] == "account_cancelled"
    with programme.database.read() as session:
        found = [session.get_one(CardAccount, account) for account in (first, second)]
    assert [(one.employee_id, one.cost_centre) for one in found] == [(None, "CC-1"), ("E2", "CC-2")]
    assert {change.command_id for change in programme.changes(second)} == {asked}


@pytest.mark.parametrize("each", [[NOBODY[:-1] + "1"], [NOBODY, NOBODY]])
def test_own_values_are_of_accounts_that_are_named_once(programme: Programme, each: list[str]) -> None:
    """What the gateway has not looked up as the caller's does not get in by the back door."""
    own = [AccountingOfAccount(account_id=account, cost_centre="CC-1") for account in each]
    asked = programme.send(ChangeAccountingOfAccounts(account_ids=[NOBODY], each=own), PA)
    ((kind, said),) = programme.answers(asked)
    assert (kind, said["code"], said["field"]) == ("rejected", "bad_each", "each")
