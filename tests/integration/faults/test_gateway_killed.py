"""The gateway dies while it waits for the broker's confirm; the client asks again under its key."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from shared.ids import command_id_of
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation
from tests.integration.faults.evidence import Verdict, tracked
from tests.integration.faults.load import PA, Load
from tests.integration.faults.taps import Moment, behind, tapped


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Moment.PUBLISH, id="the-broker-never-had-it"),
        pytest.param(Moment.CONFIRM, id="the-broker-had-it"),
    ],
)
def test_killed_while_waiting_for_the_confirm(many: DistributedInstallation, moment: Moment) -> None:
    verdict, usual, portal = Verdict(many), many.processes["gateway"], many.portal(PA)
    account, key = many.new_account(), secrets.token_hex(16)
    path, body = f"/accounts/{account}/cancel", {"reason": "fraud"}
    command_id = command_id_of(portal.user_id, key)
    with Load(many) as load, ThreadPoolExecutor() as pool:
        load.wait_for(10)
        usual.stop()
        with tapped(many.environment["CARDWORK_BROKER_URL"]) as wire:
            dying = many.processes["gateway"] = behind(wire.url, usual)
            dying.start()
            many.wait_until_ready()
            load.wait_for(10)
            wire.set_trap(moment)
            wire.wait_for_trap()
            asked = pool.submit(portal.send, path, body, key=key)
            if moment is Moment.CONFIRM:
                eventually(lambda: command_id in tracked(many, [command_id]), describe="the command is known")
            dying.kill()
            with pytest.raises(httpx.TransportError):
                asked.result()
        known = tracked(many, [command_id])
        many.processes["gateway"] = usual
        usual.start()
        many.wait_until_ready()
        answer = portal.send(path, body, key=key)
        load.adopt(account, "cancel", key, answer)
    assert load.repeated
    assert (command_id in known) == (moment is Moment.CONFIRM)
    assert answer.json()["command_id"] == command_id
    if known:
        assert answer.json()["tracking_number"] == known[command_id].number
        assert answer.headers["Idempotency-Replayed"] == "true"
    verdict.find_nothing_lost_or_doubled(load)
