"""A process that takes messages and is killed in the middle: ``python -m tests.integration.bus.victim ADDRESS``."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from shared.messaging.bus import Delivery
from shared.messaging.local_bus import LocalBus
from shared.messaging.local_consumer import LocalConsumer
from shared.messaging.pika_consumer import PikaConsumer
from shared.settings import Settings
from tests.integration.bus.programme import programme
from tests.integration.bus.recorder import Recorder


def die(deliveries: Sequence[Delivery]) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def main(address: str) -> None:
    handles = Recorder("accounts.commands", process=die)
    if address.startswith("amqp"):
        PikaConsumer(address, handles, Settings()).run()
    else:
        LocalConsumer(LocalBus(Path(address), programme()), handles, Settings()).run()


if __name__ == "__main__":
    main(sys.argv[1])
