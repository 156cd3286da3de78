"""What is unknown, malformed, oversized or wrongly typed gets a problem that names the field; nothing is published.

Tracking hears every command that is published, so after the load it knows exactly those that were accepted.
"""

import secrets
from typing import Any, NamedTuple

import httpx
import orjson
import pytest

from shared.ids import command_id_of
from shared.testing.installation import DistributedInstallation, Installation, Portal
from tests.integration.faults.evidence import Verdict, taken_in, tracked
from tests.integration.faults.load import PA, Load


class Bad(NamedTuple):
    """A body that must be refused, with the status, and with what the problem must name."""

    verb: str
    body: Any
    status: int
    pointer: str | None = None
    content_type: str = "application/json"


_UNKNOWN = [
    Bad("cancel", {"reason": "fraud", "colour": "red"}, 422, "/colour"),
    Bad("suspend", {"until": "2999-01-01T00:00:00Z"}, 422, "/until"),
    Bad("cancel", {"reason": "fraud", "account_id": "acc_0"}, 400),
]
_MALFORMED = [
    Bad("cancel", b'{"reason": "fraud"', 400),
    Bad("cancel", b'{"reason": "fraud", "comment": "\xff"}', 400),
    Bad("cancel", b'{"reason": "fraud", "comment": "\\ud800"}', 400),
    Bad("cancel", b'{"reason": NaN}', 400),
    Bad("cancel", b"[" * 20_000, 400),
    Bad("cancel", ["fraud"], 400),
    Bad("cancel", None, 400),
    Bad("cancel", {"reason": "fraud"}, 415, content_type="text/plain"),
]
_WRONGLY_TYPED = [
    Bad("cancel", {}, 422, "/reason"),
    Bad("cancel", {"reason": "boredom"}, 422, "/reason"),
    Bad("cancel", {"reason": None}, 422, "/reason"),
    Bad("cancel", {"reason": 5}, 422, "/reason"),
    Bad("cancel", {"reason": ["fraud"]}, 422, "/reason"),
    Bad("cancel", {"reason": {"is": "fraud"}}, 422, "/reason"),
    Bad("cancel", {"reason": "fraud", "comment": 1 << 60}, 422, "/comment"),
    Bad("cancel", {"reason": "fraud", "comment": ""}, 422, "/comment"),
    Bad("cancel", {"reason": "fraud", "comment": "no\u0000thing"}, 422, "/comment"),
    Bad("suspend", {"effective_at": "tomorrow"}, 422, "/effective_at"),
    Bad("suspend", {"effective_at": 1_700_000_000}, 422, "/effective_at"),
    Bad("suspend", {"effective_at": "2999-01-01T00:00:00"}, 422, "/effective_at"),
    Bad("suspend", {"ends_at": "2999-02-30T00:00:00Z"}, 422, "/ends_at"),
]
_OVERSIZED = [
    Bad("cancel", {"reason": "fraud", "comment": "x" * 501}, 422, "/comment"),
    Bad("cancel", {"reason": "x" * 10_000}, 422, "/reason"),
    Bad("cancel", {"reason": "fraud", "comment": "x" * 65_536}, 413),
    Bad("cancel", {"reason": "fraud", "comment": "x" * 200_000}, 413),
]
_FAR_TOO_LARGE = Bad("cancel", {"reason": "fraud", "comment": "x" * 1_000_000}, 413)


def send(portal: Portal, account: str, bad: Bad, key: str) -> httpx.Response:
    body = bad.body if isinstance(bad.body, bytes) else orjson.dumps(bad.body)
    headers = {"Idempotency-Key": key, "Content-Type": bad.content_type}
    return portal.http.post(f"/accounts/{account}/{bad.verb}", content=body, headers=headers)


def check_problem(bad: Bad, answer: httpx.Response) -> None:
    about = f"{bad}"[:300] + answer.text
    assert answer.status_code == bad.status, about
    assert answer.headers["Content-Type"] == "application/problem+json", about
    problem = answer.json()
    assert problem["code"], about
    if bad.pointer:
        assert bad.pointer in [error["pointer"] for error in problem["errors"]], about
        assert bad.pointer.strip("/") in problem["detail"], about


def test_bad_input_is_a_problem_and_nothing_is_published(either: Installation) -> None:
    verdict, portal = Verdict(either), either.portal(PA)
    account, ids = either.new_account(), []
    with Load(either, accounts=4, clients=2) as load:
        for bad in (*_OVERSIZED, *_UNKNOWN, *_MALFORMED, *_WRONGLY_TYPED, _FAR_TOO_LARGE):
            key = secrets.token_hex(16)
            answer = send(portal, account, bad, key)
            ids.append(command_id_of(portal.user_id, key))
            check_problem(bad, answer)
        if isinstance(either, DistributedInstallation):
            # Nobody reads so much; the client is told that its connection goes with it. One process reads it all, as it
            # does the files that it takes.
            assert answer.headers["Connection"] == "close"
    check_never_published(verdict, either, load, account, ids)


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "ü", "tab\tbed"])
def test_a_bad_key_is_refused(either: Installation, key: str) -> None:
    portal, account = either.portal(PA), either.new_account()
    headers = {b"Idempotency-Key": key.encode()}

    answer = portal.http.post(f"/accounts/{account}/suspend", json={}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "bad_idempotency_key")


def test_outside_the_own_control_accounts_is_not_found_and_never_published(either: Installation) -> None:
    verdict, account = Verdict(either), either.new_account()
    stranger = Portal(either.url, either.user(PA, 1))
    nowhere = f"acc_{'0' * 26}"
    ids = []
    with Load(either, accounts=4, clients=2) as load:
        for id_ in (account, nowhere):
            for verb, body in (
                ("cancel", {"reason": "fraud"}),
                ("suspend", {}),
                ("unsuspend", {}),
                ("cancel", {}),
            ):
                key = secrets.token_hex(16)
                answer = stranger.send(f"/accounts/{id_}/{verb}", body, key=key)
                ids.append(command_id_of(stranger.user_id, key))
                if body or verb != "cancel":
                    assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text
    stranger.http.close()
    check_never_published(verdict, either, load, account, ids)


def check_never_published(
    verdict: Verdict, installation: Installation, load: Load, account: str, ids: list[str]
) -> None:
    """Queues are empty, and nobody who would have got these commands knows them; the account is as it was."""
    verdict.find_nothing_lost_or_doubled(load)
    assert not tracked(installation, ids)
    assert not taken_in(installation, ids)
    assert installation.portal(PA).get(f"/accounts/{account}")["status"] == "active"


def test_what_the_domain_refuses_is_tracked_with_a_stable_code(either: Installation) -> None:
    """Every client of the load cancels each card twice; the second is refused, whoever sees it, in the same words."""
    verdict = Verdict(either)
    with Load(either, accounts=8, clients=4) as load:
        load.wait_for(20)
    verdict.find_nothing_lost_or_doubled(load)
    cancellations = [one.command_id for one in load.accepted if one.verb == "cancel"]
    ends = sorted((one.status, one.code) for one in tracked(either, cancellations).values())
    assert ends == [("completed", None)] * 8 + [("rejected", "account_cancelled")] * 8
    refused = next(id_ for id_, one in tracked(either, cancellations).items() if one.status == "rejected")
    detail = either.portal(PA).get(f"/tracking/{refused}")
    assert (detail["code"], detail["field"]) == ("account_cancelled", "account_id")
    assert detail["timeline"][-1]["code"] == "account_cancelled"
