"""Tracking hears what became of a command before it hears of the command itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika

from shared.contracts import names
from shared.testing.eventually import eventually
from shared.testing.installation import DistributedInstallation, EmbeddedInstallation, Installation
from tests.integration.faults.altered import AlteredProcess
from tests.integration.faults.evidence import Tracked, Verdict, tracked
from tests.integration.faults.load import Load

_REQUESTS = names.commands_queue("tracking")


@contextmanager
def requests_withheld(url: str) -> Iterator[None]:
    """Take every message that comes for tracking's commands and keep it; all go back to the queue at the end."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel, ending = connection.channel(), threading.Event()
    channel.basic_consume(_REQUESTS, lambda *_: None)

    def keep() -> None:
        while not ending.is_set():
            connection.process_data_events(time_limit=0.1)

    thread = threading.Thread(target=keep, name="withholding")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        connection.close()


def test_outcomes_overtake_their_commands_over_rabbitmq(many: DistributedInstallation) -> None:
    verdict, worker = Verdict(many), many.processes["tracking-worker"]
    worker.stop()
    with requests_withheld(many.environment["CARDWORK_BROKER_URL"]):
        with Load(many, accounts=10, clients=10) as load:
            load.wait_for(10)
        worker.start()
        stubs = wait_for_stubs(many, load)
    check_that_stubs_are_filled(verdict, load, stubs, many)


def test_outcomes_overtake_their_commands_within_one_process(
    one: EmbeddedInstallation, tmp_path: Path
) -> None:
    held_back = tmp_path / "held-back"
    held_back.touch()
    verdict, usual = Verdict(one), one.processes["run"]
    usual.stop()
    one.processes["run"] = AlteredProcess(usual, f"hold-requests-back:{held_back}")
    one.processes["run"].start()
    one.wait_until_ready()
    with Load(one, accounts=10, clients=10) as load:
        load.wait_for(10)
    stubs = wait_for_stubs(one, load)
    held_back.unlink()
    check_that_stubs_are_filled(verdict, load, stubs, one)


def wait_for_stubs(installation: Installation, load: Load) -> dict[str, Tracked]:
    """Wait until tracking has heard every outcome, and return what it made of them without having seen a command."""
    ids = [command.command_id for command in load.accepted]
    assert not any(command.tracking_number for command in load.accepted), "tracking saw commands"
    eventually(lambda: len(tracked(installation, ids)) == len(ids), describe="every outcome is known")
    stubs = tracked(installation, ids)
    assert all(stub.payload is None and stub.steps == (stub.status,) for stub in stubs.values())
    return stubs


def check_that_stubs_are_filled(
    verdict: Verdict, load: Load, stubs: dict[str, Tracked], installation: Installation
) -> None:
    """Each keeps its number and its status."""
    eventually(
        lambda: all(one.payload for one in tracked(installation, list(stubs)).values()),
        describe="every command is known",
    )
    verdict.find_nothing_lost_or_doubled(load)
    for id_, filled in tracked(installation, list(stubs)).items():
        assert (filled.number, filled.status) == (stubs[id_].number, stubs[id_].status)
