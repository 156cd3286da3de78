"""The one process is killed and started again: its queues and databases go on where they were."""

import random

import pytest

from shared.testing.installation import EmbeddedInstallation
from tests.integration.faults.altered import AlteredProcess
from tests.integration.faults.evidence import Verdict
from tests.integration.faults.load import Load


def test_killed_at_any_moment_again_and_again(one: EmbeddedInstallation) -> None:
    verdict, process = Verdict(one), one.processes["run"]
    with Load(one, pause=0.02) as load:
        for _ in range(5):
            load.wait_for(random.randrange(5, 40))
            process.kill()
            process.start()
        load.wait_for(20)
    assert load.repeated, "nobody noticed"
    verdict.find_nothing_lost_or_doubled(load)


@pytest.mark.parametrize("moment", ["die-before-acknowledging", "die-after-acknowledging"])
def test_killed_after_the_commit(one: EmbeddedInstallation, moment: str) -> None:
    """Before the queues know of it (the commands come again), and before the outbox does (its rows go out again)."""
    verdict, usual = Verdict(one), one.processes["run"]
    with Load(one) as load:
        load.wait_for(10)
        for nth in (1, 5):
            one.processes["run"].stop()
            dying = one.processes["run"] = AlteredProcess(usual, f"{moment}:{nth}")
            dying.start()
            dying.wait_until_dead()
        one.processes["run"] = usual
        usual.start()
        load.wait_for(20)
    verdict.find_nothing_lost_or_doubled(load)
