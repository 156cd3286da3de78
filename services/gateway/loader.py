"""Asks once for what many requests want to know at the same moment.

Nothing is kept: an answer is never older than the question, so a revoked session is refused at once.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MOST_AT_ONCE = 200
# A lone question waits for nothing; under load, a moment's patience makes one request of several.
_PATIENCE_SECONDS = 0.008


class Loader(Generic[K, V]):
    """Collects questions while the last ones are being answered. ``ask`` leaves out of its answer what does not exist."""

    def __init__(self, name: str, ask: Callable[[Sequence[K]], Mapping[K, V]]) -> None:
        self._name = name
        self._ask = ask
        self._questions: queue.SimpleQueue[tuple[K, Future[V | None]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def load(self, key: K) -> "Future[V | None]":
        """Return the answer to come; it raises what ``ask`` raised."""
        self._start()
        answer: Future[V | None] = Future()
        self._questions.put((key, answer))
        return answer

    def _start(self) -> None:
        # Not before the first question: a process that is forked afterwards would lose the thread.
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name=f"loader-{self._name}", daemon=True
                    )
                    self._thread.start()

    def _run(self) -> None:
        company = False
        while True:
            asked = [self._questions.get()]
            patience = time.monotonic() + (_PATIENCE_SECONDS if company else 0)
            while len(asked) < _MOST_AT_ONCE:
                try:
                    asked.append(self._questions.get(timeout=max(0.0, patience - time.monotonic())))
                except queue.Empty:
                    break
            company = len(asked) > 1
            self._answer(asked)

    def _answer(self, asked: Sequence[tuple[K, "Future[V | None]"]]) -> None:
        try:
            found = self._ask(list(dict.fromkeys(key for key, _ in asked)))
        except Exception as error:  # noqa: BLE001 - handed to everyone who asked
            for _, answer in asked:
                answer.set_exception(error)
            return
        for key, answer in asked:
            answer.set_result(found.get(key))
