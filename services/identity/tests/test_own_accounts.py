"""Which card accounts are a holder's own: said at enrolment, given and taken later, and followed where they go (IDN-06)."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.identity.rules import MOST_OWN_ACCOUNTS
from services.identity.tests.conftest import COMPANY, GATEWAY, MASTER, PASSWORD, PHRASE, Identity
from services.identity.tests.structure import (
    FOREIGN,
    LEGAL,
    NORTH,
    OTHER,
    SALES,
    SOUTH,
    hear,
    hear_of_two_companies,
    moved,
)
from shared.actor import EVERYWHERE, Actor, Party
from shared.contracts.accounts import AccountTransferred
from shared.contracts.base import Message
from shared.contracts.identity import (
    EnrolUser,
    GiveCardAccount,
    OwnAccountsChanged,
    TakeCardAccount,
    UserInvited,
)
from shared.contracts.outcomes import OUTCOMES, CommandRejected
from shared.ids import new_id, new_message_id
from shared.messaging.bus import Delivery
from shared.messaging.envelope import Envelope, decode, encode
from shared.sealing import seal_of

ONE, TWO, STRANGE = new_id("acc"), new_id("acc"), new_id("acc")
PATHS = {ONE: (MASTER, NORTH, SALES), TWO: (MASTER, SOUTH, LEGAL), STRANGE: (OTHER, FOREIGN)}
HOLDER: dict[str, Any] = {
    "user_id": "hal", "name": "Hal Holder", "party": "holder", "role": "cardholder", "email": "hal@company.example",
    "control_accounts": [SALES], "own_accounts": {ONE: SALES},
}  # fmt: skip


def issuer(*numbers: str) -> Actor:
    functions = dict.fromkeys(
        ("users.enrol", "users.view", "me.contact"), frozenset(numbers or (EVERYWHERE,))
    )
    return Actor(user_id="op", party=Party.ISSUER, grants=functions)


@pytest.fixture
def company(identity: Identity) -> Identity:
    """Sales lies below North, Legal below South; another company has a control account too."""
    hear_of_two_companies(identity)
    return identity


def send(
    identity: Identity,
    message: Message,
    actor: Actor | None = None,
    places: Mapping[str, tuple[str, ...]] = PATHS,
) -> str:
    """Send a command as the gateway does, and return the code of its refusal, or `completed`."""
    actor, id_ = actor or issuer(), new_message_id()
    envelope = Envelope(
        id=id_, key=message.contract.key, source="gateway", time=identity.now, data=message, correlation_id=id_,
        actor=actor.user_id, assertion=identity.signer.sign(actor, ["identity"], identity.now), places=places,
    )  # fmt: skip
    delivery = Delivery(queue="identity.commands", body=encode(envelope), tag=1, message_id=id_)
    processed = identity.worker().process([delivery])
    said = [decode(one.body).message() for one in processed.publications]
    (outcome,) = [one for one in said if isinstance(one, OUTCOMES)]
    return outcome.code if isinstance(outcome, CommandRejected) else "completed"


def enrolment(identity: Identity, **facts: Any) -> EnrolUser:
    given = {
        "name": "Nina New", "email": "nina@company.example", "role": "cardholder", "company": COMPANY["number"],
        "account_ids": [ONE], "secret_phrase": seal_of(identity.settings).close(PHRASE), **facts,
    }  # fmt: skip
    return EnrolUser(**given)


def user_of(identity: Identity) -> str:
    return identity.user("hal").id


def detail(identity: Identity, user: str) -> dict[str, Any]:
    answer = identity.call("GET", f"/users/{user}", actor=issuer())
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def history(identity: Identity, user: str) -> list[tuple[str | None, str | None, str]]:
    """Return how the own accounts of a user changed, the latest first, and who changed them."""
    lines = identity.call("GET", f"/users/{user}/history", actor=issuer()).get_json()["data"]
    return [(one["old"], one["new"], one["actor"]) for one in lines if one["field"] == "own_accounts"]


def own(identity: Identity, user_id: str = "hal") -> list[str]:
    """Return the own accounts that the gateway is told of with a session."""
    (session,) = identity.check(identity.token(user_id))
    assert session is not None
    return list(session["own_accounts"])


def test_a_cardholder_is_enrolled_with_own_accounts_and_lies_where_they_lie(company: Identity) -> None:
    assert send(company, enrolment(company, account_ids=[ONE, TWO])) == "completed"
    (told,) = company.events(OwnAccountsChanged)
    (invited,) = company.events(UserInvited)
    assert (told.user, told.given, told.taken) == (invited.user, sorted([ONE, TWO]), [])
    seen = detail(company, told.user)
    assert seen["own_accounts"] == sorted([ONE, TWO])
    assert {one["control_account"] for one in seen["entitlements"]} == {SALES, LEGAL}
    assert history(company, told.user) == [(None, " ".join(sorted([ONE, TWO])), "op")]
    code = seal_of(company.settings).open(invited.access_code)
    choice = {"access_code": code, "secret_phrase": PHRASE, "user_id": "nina", "password": PASSWORD}
    assert company.call("POST", "/enrolment", choice, actor=GATEWAY).status_code == 201
    assert own(company, "nina") == sorted([ONE, TWO])


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"account_ids": None}, "account_required"),
        ({"control_accounts": [SALES]}, "control_account_not_allowed"),
        ({"role": "programme_manager", "control_accounts": [SALES]}, "account_not_allowed"),
        ({"role": "applicant", "control_accounts": [SALES]}, "account_not_allowed"),
        ({"role": "issuer_help_desk", "company": None}, "not_yours_to_give"),
        ({"account_ids": [STRANGE]}, "wrong_company"),
        ({"account_ids": [ONE, STRANGE]}, "wrong_company"),
        ({"account_ids": [new_id("acc")]}, "not_found"),
    ],
)
def test_an_enrolment_that_does_not_fit_is_refused(
    company: Identity, facts: dict[str, Any], code: str
) -> None:
    assert send(company, enrolment(company, **facts)) == code
    assert company.events(UserInvited) == []


def test_a_strangers_account_looks_like_one_that_is_not_there(company: Identity) -> None:
    """Whoever enrols users below North finds nothing below South, nor learns whether it has a holder."""
    company.enrol(**HOLDER)
    company.enrol(**{**HOLDER, "user_id": "ida", "own_accounts": {TWO: LEGAL}, "control_accounts": [LEGAL]})
    north, hal = issuer(NORTH), user_of(company)
    for account in (TWO, STRANGE, new_id("acc")):
        assert send(company, GiveCardAccount(user=hal, account_id=account), north) == "not_found"
        assert send(company, TakeCardAccount(user=hal, account_id=account), north) == "not_found"
    assert send(company, GiveCardAccount(user=company.user("ida").id, account_id=ONE), north) == "not_found"
    assert send(company, TakeCardAccount(user=hal, account_id=ONE), north) == "completed"


def test_accounts_are_given_and_taken_with_effect_on_the_open_session(company: Identity) -> None:
    company.enrol(**HOLDER)
    token, hal = company.token("hal"), user_of(company)
    assert send(company, GiveCardAccount(user=hal, account_id=TWO)) == "completed"
    (session,) = company.check(token)
    assert session is not None
    assert session["own_accounts"] == sorted([ONE, TWO])
    assert company.user("hal").place == MASTER
    assert send(company, TakeCardAccount(user=hal, account_id=ONE)) == "completed"
    (session,) = company.check(token)
    assert session is not None
    assert session["own_accounts"] == [TWO]
    assert company.user("hal").place == f"{MASTER}/{SOUTH}/{LEGAL}"
    assert [(one.given, one.taken) for one in company.events(OwnAccountsChanged)] == [
        ([TWO], []),
        ([], [ONE]),
    ]
    both = " ".join(sorted([ONE, TWO]))
    assert history(company, hal) == [(both, TWO, "op"), (ONE, both, "op")]


def test_whoever_has_no_account_left_keeps_the_own_place(company: Identity) -> None:
    company.enrol(**HOLDER)
    hal = user_of(company)
    assert send(company, TakeCardAccount(user=hal, account_id=ONE)) == "completed"
    assert own(company) == []
    assert company.user("hal").place == f"{MASTER}/{NORTH}/{SALES}"
    assert send(company, TakeCardAccount(user=hal, account_id=ONE)) == "not_held"
    assert send(company, GiveCardAccount(user=hal, account_id=ONE)) == "completed"
    assert own(company) == [ONE]


def test_an_account_has_one_holder(company: Identity) -> None:
    company.enrol(**HOLDER)
    company.enrol(**{**HOLDER, "user_id": "ida", "own_accounts": {TWO: LEGAL}, "control_accounts": [LEGAL]})
    assert send(company, enrolment(company)) == "account_has_holder"
    ida = company.user("ida").id
    assert send(company, GiveCardAccount(user=ida, account_id=ONE)) == "account_has_holder"
    assert send(company, GiveCardAccount(user=ida, account_id=TWO)) == "held_already"
    assert send(company, TakeCardAccount(user=ida, account_id=ONE)) == "not_held"


def test_there_is_an_end_to_how_many_a_user_holds(company: Identity) -> None:
    many = {new_id("acc"): SALES for _ in range(MOST_OWN_ACCOUNTS)}
    company.enrol(**{**HOLDER, "own_accounts": many})
    assert send(company, GiveCardAccount(user=user_of(company), account_id=ONE)) == "too_many_accounts"
    assert own(company) == sorted(many)


def test_one_of_two_who_give_an_account_at_once_is_refused(company: Identity) -> None:
    """Each by a worker of its own, to a user of its own."""
    company.enrol(**{**HOLDER, "own_accounts": {}})
    company.enrol(**{**HOLDER, "user_id": "ida", "own_accounts": {}})
    users = [company.user(name).id for name in ("hal", "ida")]
    for _ in range(5):
        account = new_id("acc")
        places = {account: (MASTER, NORTH, SALES)}

        def give(user: str, account: str = account, places: Any = places) -> str:
            return send(company, GiveCardAccount(user=user, account_id=account), places=places)

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(give, users)) == ["account_has_holder", "completed"]


def test_only_holders_are_given_accounts_and_only_of_their_company(company: Identity) -> None:
    company.enrol(**HOLDER)
    anna, hal = company.user().id, user_of(company)
    assert send(company, GiveCardAccount(user=anna, account_id=TWO)) == "no_holder"
    assert send(company, GiveCardAccount(user=hal, account_id=STRANGE)) == "wrong_company"
    assert own(company) == [ONE]


def test_a_transferred_account_takes_its_holder_along(company: Identity) -> None:
    company.enrol(**HOLDER)
    hear(company, transferred(ONE, LEGAL, 3), transferred(ONE, SALES, 2), transferred(TWO, SALES, 2))
    assert own(company) == [ONE]
    assert company.user("hal").place == f"{MASTER}/{SOUTH}/{LEGAL}"
    assert {one["control_account"] for one in detail(company, user_of(company))["entitlements"]} == {LEGAL}


def test_an_account_that_leaves_the_company_is_its_holders_no_more(company: Identity) -> None:
    """By a transfer of its own, or with the control account under which it hangs."""
    company.enrol(**{**HOLDER, "own_accounts": {ONE: SALES, TWO: LEGAL}, "control_accounts": [SALES, LEGAL]})
    hear(company, transferred(ONE, FOREIGN, 2))
    assert own(company) == [TWO]
    hear(company, moved(SOUTH, OTHER))
    assert own(company) == []
    assert [one.taken for one in company.events(OwnAccountsChanged)] == [[ONE], [TWO]]
    assert [(old, new) for old, new, _ in history(company, user_of(company))] == [
        (TWO, None), (" ".join(sorted([ONE, TWO])), TWO),
    ]  # fmt: skip


def test_a_move_within_the_company_leaves_an_account_its_holders(company: Identity) -> None:
    company.enrol(**HOLDER)
    hear(company, moved(SALES, SOUTH))
    assert own(company) == [ONE]
    assert company.user("hal").place == f"{MASTER}/{SOUTH}/{SALES}"


def transferred(account: str, to: str, version: int) -> AccountTransferred:
    return AccountTransferred(
        account_id=account, control_account=to, former_control_account=SALES, version=version
    )
