"""Commands that wait for a second person, in whatever order decisions come (Part 2 nos. 1 and 6)."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.accounts.model import Base
from services.accounts.tests.programme import SALES, START, Programme, lasting, user
from shared.contracts.accounts import AccountStatus, CancelAccount, CancelReason, SuspendAccount
from shared.contracts.base import Message
from shared.contracts.tracking import Decision, RequestDecided
from shared.ids import new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.envelope import decode


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def programme(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Programme]:
    """One for all of these; every test has card accounts of its own."""
    yield from lasting(request, tmp_path_factory.mktemp("decisions"))


def command(programme: Programme, message: Message, *, four_eyes: bool = True) -> Delivery:
    """Return a command of an administrator whose company wants a second person for it."""
    wanted = [message.contract.name] if four_eyes else []
    return programme.delivery(message, user(SALES, user_id="pa", approvals=wanted))


def decision(programme: Programme, about: Delivery, decided: Decision) -> Delivery:
    """Return what tracking says when somebody who may do so has decided."""
    return programme.decision(about.message_id, type(decode(about.body).message()), decided)


def kinds(programme: Programme, about: Delivery) -> list[str]:
    """Return the outcomes of a message, step by step."""
    return [kind for kind, _ in programme.answers(about.message_id)]


def waiting(programme: Programme) -> int:
    """Return how many commands are held."""
    with programme.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Base.metadata.tables["held"])) or 0


def cancelling(account: str) -> CancelAccount:
    return CancelAccount(account_id=account, reason=CancelReason.NOT_NEEDED)


def test_a_held_command_changes_nothing_until_it_is_approved(programme: Programme) -> None:
    account = programme.insert_account()
    asked = command(programme, cancelling(account))
    programme.deliver(asked)
    assert programme.status(account) is AccountStatus.ACTIVE
    ((kind, said),) = programme.answers(asked.message_id)
    assert kind == "accepted"
    assert (said["status"], said["approver_function"]) == ("awaiting_approval", "accounts.cancel")

    approval = decision(programme, asked, Decision.APPROVE)
    programme.deliver(approval)

    assert programme.status(account) is AccountStatus.CANCELLED
    assert kinds(programme, asked) == ["accepted", "completed"]
    assert kinds(programme, approval) == ["completed"]


def test_what_the_domain_refuses_after_the_approval_is_rejected(programme: Programme) -> None:
    account = programme.insert_account()
    asked = command(programme, cancelling(account))
    programme.deliver(asked, command(programme, cancelling(account), four_eyes=False))
    programme.deliver(decision(programme, asked, Decision.APPROVE))
    assert kinds(programme, asked) == ["accepted", "rejected"]
    assert programme.rejection(str(asked.message_id))["code"] == "account_cancelled"


def test_nobody_decides_in_time(programme: Programme) -> None:
    account = programme.insert_account()
    asked = command(programme, cancelling(account))
    programme.deliver(asked)
    programme.now += timedelta(days=7, seconds=1)
    try:
        programme.run_jobs()
    finally:
        programme.now = START
    assert kinds(programme, asked) == ["accepted", "rejected"]
    assert programme.rejection(str(asked.message_id))["code"] == "approval_expired"
    late = decision(programme, asked, Decision.APPROVE)
    programme.deliver(late)
    assert kinds(programme, late) == ["rejected"]
    assert programme.status(account) is AccountStatus.ACTIVE


def test_the_sender_without_the_function_is_not_even_held(programme: Programme) -> None:
    """Defence in depth: the owner checks what the gateway has checked."""
    nobody = user(user_id="pa", granted=[], approvals=["accounts.cancel-account"])
    asked = programme.delivery(cancelling(programme.insert_account()), nobody)
    before = waiting(programme)
    programme.deliver(asked)
    assert kinds(programme, asked) == ["rejected"]
    assert waiting(programme) == before


@pytest.mark.parametrize("said", [{"actor": "boss"}, {"actor": "pa", "on_behalf_of": "boss"}])
def test_a_command_in_somebody_elses_name_is_not_carried_out(
    programme: Programme, said: dict[str, str]
) -> None:
    """What stands in the history has to be what the gateway signed."""
    account = programme.insert_account()
    forged = programme.delivery(
        cancelling(account), user(SALES, user_id="pa"), **{"on_behalf_of": None, **said}
    )
    programme.deliver(forged)
    assert kinds(programme, forged) == ["failed"]
    assert programme.status(account) is AccountStatus.ACTIVE


def test_a_decision_about_another_services_command_is_not_ours(programme: Programme) -> None:
    foreign = RequestDecided(
        request_id=new_message_id(), request_type="identity.enrol-user", decision=Decision.APPROVE
    )
    delivery = programme.message("accounts.events", foreign)
    programme.deliver(delivery)
    assert kinds(programme, delivery) == []


@given(
    decisions=st.lists(st.sampled_from(Decision), min_size=1, max_size=4),
    repeats=st.integers(0, 2),
    together=st.booleans(),
    suspends=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_of_any_decisions_the_first_counts_and_everyone_is_told_once(
    programme: Programme, decisions: list[Decision], repeats: int, together: bool, suspends: bool
) -> None:
    """However many decide, in one batch or in several, and however often each message comes."""
    account = programme.insert_account()
    asked = command(programme, SuspendAccount(account_id=account) if suspends else cancelling(account))
    made = [decision(programme, asked, each) for each in decisions]
    deliveries = [asked, *made, *(made * repeats)]
    before = waiting(programme)
    if together:
        programme.deliver(*deliveries)
    else:
        for delivery in deliveries:
            programme.deliver(delivery)

    ended = {Decision.APPROVE: "completed", Decision.REFUSE: "rejected", Decision.WITHDRAW: "withdrawn"}
    assert kinds(programme, asked) == ["accepted", ended[decisions[0]]]
    answers = Counter(outcome for one in made for outcome in kinds(programme, one))
    assert answers == Counter({"completed": 1, "rejected": len(made) - 1}) + Counter()
    assert waiting(programme) == before
    approved = decisions[0] is Decision.APPROVE
    changed = AccountStatus.SUSPENDED if suspends else AccountStatus.CANCELLED
    assert programme.status(account) is (changed if approved else AccountStatus.ACTIVE)
