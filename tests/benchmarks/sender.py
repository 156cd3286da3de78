"""The load without HTTP: a process that publishes CancelAccount commands by the gateway's own way to the broker.

`python -m tests.benchmarks.sender publish tracked|confirmed` publishes as many commands as each line of standard input
says: real envelopes with a signed assertion, at most WINDOW of them waiting for their tracking number (or, where nobody
tracks, for the broker's confirm). Where the settings are those of the embedded shape, its workers run in the process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from deploy.compose import Embedded, Shape, shape_of
from deploy.embedded import EmbeddedSystem
from services.gateway.upstream import Assertions
from shared.actor import EVERYWHERE, Actor, Party, Signer
from shared.contracts import names
from shared.contracts.accounts import CancelAccount, CancelReason
from shared.contracts.types import Channel
from shared.ids import new_message_id
from shared.memory import settle_memory
from shared.messaging.bus import CommandSender, Publication, Sent
from shared.messaging.envelope import Envelope, encode
from shared.observability import set_up_logging
from shared.settings import read_settings
from tests.benchmarks.processes import orders

WINDOW = 500
ANSWER_SECONDS = 60


class Commands:
    """Makes commands, each for an account that none was made for before."""

    def __init__(self, shape: Shape, accounts: Path) -> None:
        self._contract = CancelAccount.contract
        self._clock = shape.clock
        self._assertions = Assertions(Signer(shape.settings.assertion_private_key or ""), shape.clock)
        self._lines = accounts.read_text().splitlines()
        self._actor = Actor(
            user_id="usr_bench",
            party=Party.ISSUER,
            session_id="bench",
            grants={self._contract.function or "": frozenset({EVERYWHERE})},
        )

    def __iter__(self) -> Iterator[Publication]:
        while self._lines:
            account_id, _, path = self._lines.pop().partition(" ")
            yield self._publication(account_id, path)

    def _publication(self, account_id: str, path: str) -> Publication:
        contract, id_ = self._contract, new_message_id()
        envelope = Envelope(
            id=id_,
            key=contract.key,
            source="gateway",
            time=self._clock(),
            data=CancelAccount(
                account_id=account_id,
                reason=CancelReason.NOT_NEEDED,
                comment="Left the company; card returned and destroyed by the holder.",
            ),
            correlation_id=id_,
            subject=account_id,
            actor=self._actor.user_id,
            channel=Channel.API,
            assertion=self._assertions.of(self._actor, contract.owner, "tracking"),
            scope=tuple(path.split("/")),
            fingerprint="0" * 64,
        )
        return Publication(exchange=names.COMMANDS, key=contract.key, body=encode(envelope), message_id=id_)


def send_all(sender: CommandSender, publications: Iterable[Publication], *, tracked: bool) -> None:
    """Send everything in a closed loop and return when the last answer is there; raises where one is not given."""
    answered: SimpleQueue[tuple[str, Sent]] = SimpleQueue()
    waiting = 0

    def awaited(sent: Sent) -> Future[Any]:
        return sent.tracked if tracked else sent.confirmed

    def finish_one() -> None:
        command_id, sent = answered.get(timeout=ANSWER_SECONDS)
        sender.forget(command_id, sent)
        awaited(sent).result()

    def noting(command_id: str, sent: Sent) -> Callable[[Future[Any]], None]:
        return lambda _: answered.put((command_id, sent))

    for publication in publications:
        if waiting == WINDOW:
            finish_one()
            waiting -= 1
        sent = sender.send(publication)
        awaited(sent).add_done_callback(noting(publication.message_id, sent))
        waiting += 1
    for _ in range(waiting):
        finish_one()


@contextmanager
def working(shape: Shape) -> Iterator[CommandSender]:
    """Yield the way to the broker; in the embedded shape the workers run meanwhile."""
    system = EmbeddedSystem(shape) if isinstance(shape, Embedded) else None
    sender = shape.sender()
    if system:
        system.start_workers()
    try:
        yield sender
    finally:
        system.stop() if system else sender.close()


def main() -> None:
    """Take orders until standard input ends."""
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    shape = shape_of(settings)
    commands = iter(Commands(shape, Path(os.environ["BENCH_ACCOUNTS_FILE"])))
    with working(shape) as sender:
        settle_memory()
        for count in orders():
            send_all(sender, islice(commands, count), tracked=sys.argv[2] == "tracked")


if __name__ == "__main__":
    main()
