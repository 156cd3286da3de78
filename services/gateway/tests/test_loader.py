"""Questions asked at the same moment are asked once, and no answer is older than its question."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.gateway.loader import Loader
from shared.errors import Unavailable


def test_questions_that_pile_up_are_answered_together() -> None:
    """While one question is under way, the next ones gather."""
    asked: list[list[str]] = []
    first, go_on = threading.Event(), threading.Event()

    def ask(keys: Sequence[str]) -> Mapping[str, str]:
        asked.append(list(keys))
        first.set()
        go_on.wait(10)
        return {key: key.upper() for key in keys if key != "none"}

    loader: Loader[str, str] = Loader("test", ask)
    one = loader.load("a")
    first.wait(10)
    others = [loader.load(key) for key in ("b", "c", "b", "none")]
    go_on.set()

    assert one.result(10) == "A"
    assert [other.result(10) for other in others] == ["B", "C", "B", None]
    assert asked == [["a"], ["b", "c", "none"]]


def test_nothing_is_kept() -> None:
    """A second question is asked again: what was revoked meanwhile is gone."""
    answers = iter(["session", None])
    loader: Loader[str, str] = Loader(
        "test", lambda keys: {k: v for k, v in zip(keys, answers, strict=False) if v}
    )

    assert loader.load("token").result(10) == "session"
    assert loader.load("token").result(10) is None


def test_an_error_reaches_everyone_who_asked_and_the_next_ask_works() -> None:
    """One failed question takes no later one with it."""
    down = [True]

    def ask(keys: Sequence[int]) -> Mapping[int, int]:
        if down[0]:
            raise Unavailable("away")
        return {key: key for key in keys}

    loader: Loader[int, int] = Loader("test", ask)
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(loader.load, n) for n in range(5)]
    for future in waiting:
        with pytest.raises(Unavailable):
            future.result().result(10)
    down[0] = False
    assert loader.load(7).result(10) == 7
