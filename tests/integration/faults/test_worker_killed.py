"""A worker dies at the worst moments: between commit and acknowledgement, and between publish and mark."""

import random
from collections.abc import Sequence

from shared.contracts.outcomes import OUTCOMES
from shared.testing.installation import DistributedInstallation
from tests.integration.faults.evidence import Verdict, outbox_size
from tests.integration.faults.figures import figure
from tests.integration.faults.load import Load
from tests.integration.faults.taps import Moment, behind, tapped

WORKER = "accounts-worker"


def die_one_after_the_other(
    many: DistributedInstallation, load: Load, moments: Sequence[tuple[Moment, int]]
) -> None:
    """Let each worker take up what the last one left, and die in its turn at the ``nth`` such moment."""
    usual = many.processes[WORKER]
    load.wait_for(10)
    usual.stop()
    for moment, nth in moments:
        with tapped(many.environment["CARDWORK_BROKER_URL"]) as wire:
            dying = many.processes[WORKER] = behind(wire.url, usual)
            wire.set_trap(moment, nth)
            dying.start()
            wire.wait_for_trap()
            assert outbox_size(many, "accounts"), "nothing is committed"
            dying.kill()
    many.processes[WORKER] = usual
    usual.start()
    load.wait_for(20)


def test_killed_between_commit_and_acknowledgement(many: DistributedInstallation) -> None:
    """Before it published anything, and after; the commands come again, and find themselves in the inbox."""
    verdict = Verdict(many)
    moments = [(Moment.PUBLISH, 1), (Moment.ACKNOWLEDGE, 2), (Moment.PUBLISH, 3)]
    with Load(many) as load:
        die_one_after_the_other(many, load, moments)
    verdict.find_nothing_lost_or_doubled(load)
    assert figure(many, WORKER, "cardwork_inbox_duplicates_total"), "no command was delivered twice"


def test_relay_killed_between_publish_and_mark(many: DistributedInstallation) -> None:
    """The broker has the outcomes, and the outbox has them too: they are published again."""
    verdict, before = Verdict(many), outcomes_heard(many)
    with Load(many) as load:
        die_one_after_the_other(many, load, [(Moment.CONFIRM, 1), (Moment.CONFIRM, 4)])
    verdict.find_nothing_lost_or_doubled(load)
    assert outcomes_heard(many) > before + len(load.accepted), "no outcome was published twice"


def outcomes_heard(many: DistributedInstallation) -> float:
    """Return how many outcomes tracking has handled, each as often as it came."""
    return sum(
        figure(many, "tracking-worker", "cardwork_message_seconds_count", key=cls.contract.key)
        for cls in OUTCOMES
    )


def test_killed_at_any_moment_again_and_again(many: DistributedInstallation) -> None:
    """Two workers of accounts and one of tracking; one of them dies every now and then."""
    verdict = Verdict(many)
    second = many.add_worker("accounts", "second-accounts-worker")
    second.start()
    many.wait_until_ready()
    victims = [many.processes[WORKER], second, many.processes["tracking-worker"]]
    with Load(many, pause=0.02) as load:
        for _ in range(6):
            load.wait_for(random.randrange(5, 30))
            victim = random.choice(victims)
            victim.kill()
            victim.start()
        load.wait_for(20)
    verdict.find_nothing_lost_or_doubled(load)
