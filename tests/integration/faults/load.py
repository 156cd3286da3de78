"""Clients that send commands all the while, and never give one up: what is not accepted is repeated under its key."""

import itertools
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal

PA = "principal_programme_administrator"
_PATIENCE_SECONDS = 60
_PAUSE_SECONDS = 0.2
_BODIES: dict[str, dict[str, str]] = {"suspend": {}, "unsuspend": {}, "cancel": {"reason": "not_needed"}}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that was answered with 202, at the last of so many tries."""

    key: str
    account: str
    verb: str
    command_id: str
    tracking_number: str | None
    tries: int


class Load:
    """A few clients, each with a session and card accounts of its own; as a context manager it sends until its end.

    An account is suspended and unsuspended in turn, and at the end cancelled twice: the second is to be refused.
    ``pause`` is what a client rests after each command, in seconds.
    """

    def __init__(
        self, installation: Installation, *, accounts: int = 20, clients: int = 4, pause: float = 0.1
    ) -> None:
        self.accounts = [installation.new_account() for _ in range(accounts)]
        self.accepted: list[Accepted] = []
        self._installation = installation
        self._pause = pause
        self._name = secrets.token_hex(4)
        self._ending = threading.Event()
        self._given_up = threading.Event()
        self._faults: list[BaseException] = []
        self._portals = [Portal(installation.url, installation.user(PA)) for _ in range(clients)]
        self._threads = [
            threading.Thread(target=self._run, args=(portal, self.accounts[n::clients]), name=f"client-{n}")
            for n, portal in enumerate(self._portals)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if raised:
            self._given_up.set()
        for thread in self._threads:
            thread.join()
        for portal in self._portals:
            portal.http.close()
        if self._faults and not raised:
            raise self._faults[0]

    def wait_for(self, more: int) -> None:
        """Wait until so many more commands were accepted."""
        enough = len(self.accepted) + more

        def flows() -> bool:
            return bool(self._faults) or len(self.accepted) >= enough

        eventually(flows, timeout=_PATIENCE_SECONDS, describe=f"{more} more commands are accepted")
        if self._faults:
            raise self._faults[0]

    def adopt(self, account: str, verb: str, key: str, answer: httpx.Response) -> None:
        """Let a command that the test itself sent be judged with the others; its account ends cancelled too."""
        assert answer.status_code == 202, answer.text
        self._note(account, verb, key, answer, tries=1)
        if account not in self.accounts:
            self.accounts.append(account)

    @property
    def repeated(self) -> list[Accepted]:
        """The commands that were not accepted at the first try."""
        return [one for one in self.accepted if one.tries > 1]

    def _run(self, portal: Portal, accounts: Sequence[str]) -> None:
        try:
            for verb in itertools.cycle(("suspend", "unsuspend")):
                for account in accounts:
                    if self._ending.wait(self._pause):
                        break
                    self._send(portal, account, verb)
                if self._ending.is_set():
                    break
            for verb in ("cancel", "cancel"):
                for account in accounts:
                    self._send(portal, account, verb)
        except BaseException as fault:  # noqa: BLE001 - raised again in the test's own thread
            self._faults.append(fault)

    def _send(self, portal: Portal, account: str, verb: str) -> None:
        key = f"{self._name}-{secrets.token_hex(8)}"
        deadline = time.perf_counter() + _PATIENCE_SECONDS
        for tries in itertools.count(1):
            if self._given_up.is_set():
                return
            answer = self._try(portal, f"/accounts/{account}/{verb}", _BODIES[verb], key)
            if answer is not None:
                self._note(account, verb, key, answer, tries)
                return
            assert time.perf_counter() < deadline, f"{verb} was not accepted in {_PATIENCE_SECONDS} s"
            self._given_up.wait(_PAUSE_SECONDS)

    def _note(self, account: str, verb: str, key: str, answer: httpx.Response, tries: int) -> None:
        accepted = answer.json()
        command_id, number = accepted["command_id"], accepted["tracking_number"]
        self.accepted.append(Accepted(key, account, verb, command_id, number, tries))

    def _try(self, portal: Portal, path: str, body: dict[str, str], key: str) -> httpx.Response | None:
        """Return the acceptance; None where the same command is to be sent again."""
        try:
            answer = portal.send(path, body, key=key)
        except httpx.TransportError:
            return None
        if answer.status_code == 503:
            assert answer.headers["Retry-After"], answer.text
            return None
        assert answer.status_code == 202, f"{answer.status_code}: {answer.text}"
        return answer
