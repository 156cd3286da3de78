"""One idempotency key, sent twenty times at the same instant: one command, one number, one effect."""

import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, Installation, Portal
from shared.testing.servers import free_port
from tests.integration.faults.evidence import Verdict
from tests.integration.faults.load import PA, Load

_TIMES = 20
_ROUNDS = 3


def second_gateway(installation: DistributedInstallation) -> str:
    """Start another gateway and return its address."""
    port = free_port()
    installation._add("second-gateway", ["serve", "gateway"], CARDWORK_PORT=port).start()
    url = f"http://127.0.0.1:{port}"
    eventually(
        lambda: httpx.get(f"{url}/readyz", trust_env=False).status_code == 200,
        timeout=30,
        describe="a second gateway answers",
    )
    return url


def all_at_once(ask: Callable[[Portal], httpx.Response], portals: list[Portal]) -> list[httpx.Response]:
    """Ask ``_TIMES`` times from as many threads that start together."""
    together = threading.Barrier(_TIMES)

    def one(n: int) -> httpx.Response:
        together.wait()
        return ask(portals[n % len(portals)])

    with ThreadPoolExecutor(_TIMES) as pool:
        return list(pool.map(one, range(_TIMES)))


def told_live(portal: Portal, answer: httpx.Response) -> list[str]:
    """Watch a request through a gateway to its end, and return the statuses that were told."""
    events = answer.json()["links"]["events"].removeprefix("/api/v1")
    with portal.http.stream("GET", events) as stream:
        return [json.loads(line[6:])["status"] for line in stream.iter_lines() if line.startswith("data: ")]


def test_the_same_key_twenty_times_at_once(either: Installation) -> None:
    verdict = Verdict(either)
    urls = [either.url]
    if isinstance(either, DistributedInstallation):
        urls.append(second_gateway(either))
    portals = [Portal(url, either.user(PA)) for url in urls]
    with Load(either, accounts=8, clients=2) as load:
        for _ in range(_ROUNDS):
            account, key = either.new_account(), secrets.token_hex(16)
            path, body = f"/accounts/{account}/cancel", {"reason": "dormant"}

            def ask(
                portal: Portal, path: str = path, body: dict[str, str] = body, key: str = key
            ) -> httpx.Response:
                return portal.send(path, body, key=key)

            answers = all_at_once(ask, portals)

            assert {answer.status_code for answer in answers} == {202}
            assert len({answer.json()["command_id"] for answer in answers}) == 1
            assert len({answer.json()["tracking_number"] for answer in answers}) == 1
            assert answers[0].json()["tracking_number"]
            load.adopt(account, "cancel", key, answers[0])
            assert told_live(portals[-1], answers[0])[-1] == "completed", "whichever gateway took it"
    for portal in portals:
        portal.http.close()
    verdict.find_nothing_lost_or_doubled(load)
