"""A wire between a process and RabbitMQ that a test can hold at an exact point of their talk.

AMQP speaks in frames, so that a plain proxy can tell a publish from an acknowledgement. It holds back the frame that a
test names, and all that follow in that direction: the process has committed and its acknowledgement is on the way, for
ever. Killed now, it has died between the two, and no line of the product knows of the test.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO
from urllib.parse import urlsplit

from shared.testing.eventually import eventually
from shared.testing.processes import Process
from shared.testing.servers import LOOPBACK

_GREETING = 8
_HEADER = 7
_METHOD = 1
_PUBLISH = (60, 40)
_ACK = (60, 80)


class Moment(Enum):
    """What a process or the broker is about to say."""

    PUBLISH = ("client", _PUBLISH)
    ACKNOWLEDGE = ("client", _ACK)
    CONFIRM = ("broker", _ACK)


@dataclass
class Trap:
    """Holds the wire at the moment that comes for the ``nth`` time."""

    moment: Moment
    nth: int
    sprung: threading.Event = field(default_factory=threading.Event)

    def catches(self, speaker: str, frame: bytes) -> bool:
        """Return whether this is the frame to hold."""
        who, method = self.moment.value
        if self.sprung.is_set() or speaker != who or _method_of(frame) != method:
            return False
        self.nth -= 1
        return self.nth <= 0


class Wiretap:
    """Listens on a port of its own and hands everything on to the broker of ``url``."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._broker = (parts.hostname or LOOPBACK, parts.port or 5672)
        self._listener = socket.create_server((LOOPBACK, 0))
        login = parts.netloc.rpartition("@")[0]
        self.url = parts._replace(netloc=f"{login}@{LOOPBACK}:{self._listener.getsockname()[1]}").geturl()
        self._trap: Trap | None = None
        self._cut = threading.Event()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="wiretap", daemon=True)]
        self._threads[0].start()

    def set_trap(self, moment: Moment, nth: int = 1) -> None:
        """Hold the wire when ``moment`` comes for the ``nth`` time from now on."""
        self._trap = Trap(moment, nth)

    def wait_for_trap(self) -> None:
        """Wait until the trap holds the wire."""
        trap = self._trap
        assert trap
        eventually(trap.sprung.is_set, timeout=30, describe=f"{trap.moment} was reached")

    def close(self) -> None:
        """Cut the wire: what is held is never said."""
        self._cut.set()
        # A blocked accept is woken by shutdown only, a blocked recv too.
        for each in (self._listener, *self._sockets):
            with _ignoring_what_is_gone():
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in list(self._threads):
            thread.join(10)

    def _accept(self) -> None:
        while not self._cut.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(self._broker)
            except OSError:
                client.close()
                continue
            self._sockets += [client, broker]
            for arguments in ((client, broker, "client"), (broker, client, "broker")):
                thread = threading.Thread(target=self._carry, args=arguments, name="wiretap", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, heard: socket.socket, told: socket.socket, speaker: str) -> None:
        """Hand frames on from one side to the other until one of them hangs up."""
        try:
            with heard.makefile("rb") as stream:
                if speaker == "client":
                    told.sendall(stream.read(_GREETING))
                while frame := _next_frame(stream):
                    self._hold_if_trapped(speaker, frame)
                    told.sendall(frame)
        except OSError:
            pass
        finally:
            for each in (heard, told):
                with _ignoring_what_is_gone():
                    each.shutdown(socket.SHUT_RDWR)

    def _hold_if_trapped(self, speaker: str, frame: bytes) -> None:
        trap = self._trap
        if trap and trap.catches(speaker, frame):
            trap.sprung.set()
            self._cut.wait()
            raise ConnectionAbortedError("the wire was cut")


@contextmanager
def tapped(url: str) -> Iterator[Wiretap]:
    """Tap the way to a broker for the block."""
    wire = Wiretap(url)
    try:
        yield wire
    finally:
        wire.close()


def behind(url: str, process: Process) -> Process:
    """Return a process like this one, on another way to the broker."""
    environment = {**process._environment, "CARDWORK_BROKER_URL": url}
    return Process(process._words, environment, process._output)


def _next_frame(stream: BinaryIO) -> bytes:
    header = stream.read(_HEADER)
    if len(header) < _HEADER:
        return b""
    rest = int.from_bytes(header[3:7]) + 1
    body = stream.read(rest)
    return header + body if len(body) == rest else b""


def _method_of(frame: bytes) -> tuple[int, int] | None:
    if frame[0] != _METHOD:
        return None
    return int.from_bytes(frame[7:9]), int.from_bytes(frame[9:11])


@contextmanager
def _ignoring_what_is_gone() -> Iterator[None]:
    try:
        yield
    except OSError:
        pass
