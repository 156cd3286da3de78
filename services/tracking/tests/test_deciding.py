"""Who may approve, refuse and withdraw which request, and what the timeline says of it (Part 2 no. 1 and 6)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.tracking.tests.conftest import BASIC, ELSEWHERE, ISSUER, MASTER, PATH, Tracking, user
from shared.actor import EVERYWHERE, Actor
from shared.contracts.base import Message
from shared.contracts.outcomes import (
    CommandAccepted,
    CommandCompleted,
    CommandRejected,
    CommandWithdrawn,
    RequestStatus,
)
from shared.contracts.tracking import (
    ApproveRequest,
    FindRequests,
    GetRequest,
    GetRequestOverview,
    RefuseRequest,
    WithdrawRequest,
)
from shared.errors import NotFound
from shared.messaging.envelope import Envelope

DECIDER = ("tracking.view", "tracking.approve", "tracking.withdraw")
APPROVER = user("ann", *DECIDER, "accounts.approve")


def name_of(value: object) -> str:
    """Return what a case is called; the repr of a set differs from process to process."""
    return value.user_id if isinstance(value, Actor) else str(value)


@pytest.fixture
def waiting(tracking: Tracking) -> Envelope:
    """A cancellation that "pa" asked for "principal", and that waits for somebody with accounts.approve."""
    command = tracking.cancellation(on_behalf_of="principal")
    accepted = tracking.outcome(
        command, CommandAccepted, status=RequestStatus.AWAITING_APPROVAL, approver_function="accounts.approve"
    )
    tracking.hear(command, accepted)
    tracking.now += timedelta(minutes=1)
    return command


def decide(tracking: Tracking, message: Message, actor: Actor, **changes: Any) -> dict[str, Any]:
    """Send a decision; return what tracking decided with, or the code of its rejection."""
    tracking.hear(tracking.ask_for(message, actor, **changes))
    codes = [said["code"] for key, said in tracking.said if key == CommandRejected.contract.key]
    if codes:
        return {"code": codes[0]}
    (_, decided), (_, accepted) = tracking.said
    assert accepted["status"] == "processing", "the owner completes it"
    return decided


@pytest.mark.parametrize(
    ("message", "decision"),
    [(ApproveRequest, "approve"), (RefuseRequest, "refuse")],
    ids=["approve", "refuse"],
)
def test_somebody_else_with_the_function_decides(
    tracking: Tracking, waiting: Envelope, message: Any, decision: str
) -> None:
    number = tracking.ask(GetRequest(tracking_number=waiting.id)).tracking_number
    decided = decide(
        tracking, message(tracking_number=number, comment="Seen."), APPROVER, on_behalf_of="boss"
    )
    assert decided == {
        "request_id": waiting.id, "request_type": "accounts.cancel-account", "decision": decision, "comment": "Seen."
    }  # fmt: skip
    detail = tracking.ask(GetRequest(tracking_number=number))
    assert detail.approver_function == "accounts.approve"
    last = detail.timeline[-1]
    assert (last.by, last.on_behalf_of, last.decision, last.message) == ("ann", "boss", decision, "Seen.")
    assert last.status is RequestStatus.AWAITING_APPROVAL


def test_whoever_sees_a_request_sees_the_decisions_about_it(tracking: Tracking, waiting: Envelope) -> None:
    decide(tracking, ApproveRequest(tracking_number=waiting.id), APPROVER)
    colleague = user("zoe", "tracking.view", over=[BASIC])
    assert [row.type for row in tracking.ask(FindRequests(), colleague).data].count(
        "tracking.approve-request"
    ) == 1


@pytest.mark.parametrize(
    ("actor", "on_behalf_of", "code"),
    [
        (user("pa", *DECIDER, "accounts.approve"), None, "own_request"),
        (user("principal", *DECIDER, "accounts.approve"), None, "own_request"),
        (user("alternate", *DECIDER, "accounts.approve"), "principal", "own_request"),
        (user("alternate", *DECIDER, "accounts.approve"), "pa", "own_request"),
        (user("ann", *DECIDER), None, "function_not_granted"),
        (user("ann", "accounts.approve"), None, "function_not_granted"),
        (user("ann", *DECIDER, "accounts.approve", over=ELSEWHERE), None, "not_found"),
    ],
    ids=name_of,
)
def test_others_do_not(
    tracking: Tracking, waiting: Envelope, actor: Actor, on_behalf_of: str | None, code: str
) -> None:
    """Neither the asker, nor who acts for the asker, nor who has not the function, nor who cannot see the request."""
    for message in (ApproveRequest, RefuseRequest):
        assert decide(tracking, message(tracking_number=waiting.id), actor, on_behalf_of=on_behalf_of) == {
            "code": code
        }
    assert [each.status.value for each in tracking.ask(GetRequest(tracking_number=waiting.id)).timeline] == [
        "received",
        "awaiting_approval",
    ]


def test_only_the_issuer_approves_what_lies_nowhere(tracking: Tracking) -> None:
    command = tracking.cancellation(scope=())
    accepted = tracking.outcome(
        command, CommandAccepted, status=RequestStatus.AWAITING_APPROVAL, approver_function="identity.approve"
    )
    tracking.hear(command, accepted)
    here = user("ann", *DECIDER, "identity.approve", over=PATH)
    assert decide(tracking, ApproveRequest(tracking_number=command.id), here) == {"code": "not_found"}
    issuer = user("op", *DECIDER, "identity.approve", over=[EVERYWHERE])
    assert decide(tracking, ApproveRequest(tracking_number=command.id), issuer)["decision"] == "approve"


def test_what_does_not_wait_for_approval_is_not_approved(tracking: Tracking) -> None:
    command = tracking.cancellation()
    tracking.hear(command)
    assert decide(tracking, ApproveRequest(tracking_number=command.id), APPROVER) == {
        "code": "not_awaiting_approval"
    }


@pytest.mark.parametrize(
    ("actor", "on_behalf_of", "code"),
    [
        (user("pa", "tracking.withdraw"), None, None),
        (user("principal", "tracking.withdraw"), None, None),
        (user("alternate", "tracking.withdraw"), "principal", None),
        (user("colleague", *DECIDER, "accounts.cancel"), None, None),
        (user("colleague", *DECIDER), None, "function_not_granted"),
        (user("stranger", *DECIDER, "accounts.cancel", over=ELSEWHERE), None, "not_found"),
    ],
    ids=name_of,
)
def test_a_request_is_withdrawn_by_its_asker_or_by_who_could_have_asked(
    tracking: Tracking, waiting: Envelope, actor: Actor, on_behalf_of: str | None, code: str | None
) -> None:
    said = decide(tracking, WithdrawRequest(tracking_number=waiting.id), actor, on_behalf_of=on_behalf_of)
    assert said.get("code") == code
    assert said.get("decision") == (None if code else "withdraw")


@pytest.mark.parametrize("end", [CommandCompleted, CommandWithdrawn])
def test_what_is_settled_is_not_withdrawn(tracking: Tracking, waiting: Envelope, end: type[Message]) -> None:
    tracking.hear(tracking.outcome(waiting, end))
    tracking.hear(
        tracking.ask_for(WithdrawRequest(tracking_number=waiting.id), user("pa", "tracking.withdraw"))
    )
    ((_, rejection),) = tracking.said
    assert rejection["code"] == "already_settled"
    assert ("completed" if end is CommandCompleted else "withdrawn") in rejection["message"]


def test_a_mistyped_number_names_nothing(tracking: Tracking, waiting: Envelope) -> None:
    assert decide(tracking, WithdrawRequest(tracking_number="0000000000"), APPROVER) == {"code": "not_found"}


@pytest.mark.parametrize(
    ("actor", "count"),
    [
        (APPROVER, 1),
        (replace(APPROVER, user_id="pa"), 0),
        (replace(APPROVER, user_id="principal"), 0),
        (user("ann", *DECIDER), 0),
        (user("ann", "tracking.view", "accounts.approve"), 0),
        (user("ann", *DECIDER, "accounts.approve", over=[BASIC]), 1),
        (user("ann", *DECIDER, "accounts.approve", over=[EVERYWHERE]), 1),
        (user("ann", *DECIDER, "accounts.approve", over=ELSEWHERE), 0),
    ],
    ids=name_of,
)
def test_the_overview_counts_what_the_caller_could_decide(
    tracking: Tracking, waiting: Envelope, actor: Actor, count: int
) -> None:
    assert tracking.ask(GetRequestOverview(), actor).awaiting_me == count


def test_a_request_out_of_sight_is_not_shown(tracking: Tracking, waiting: Envelope) -> None:
    assert tracking.ask(GetRequest(tracking_number=waiting.id), user("z", "tracking.view", over=[MASTER]))
    with pytest.raises(NotFound):
        tracking.ask(GetRequest(tracking_number=waiting.id), user("z", "tracking.view", over=ELSEWHERE))
    assert tracking.ask(GetRequest(tracking_number=waiting.id), ISSUER).on_behalf_of == "principal"
