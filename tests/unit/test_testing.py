"""What tests stand on holds: patience that ends, and the order and the marks of a run."""

from datetime import UTC, datetime

import pytest
import time_machine

from shared.testing.eventually import NeverHappenedError, eventually


def test_waiting_returns_the_first_true_value() -> None:
    answers = iter([None, 0, "arrived", "too late"])
    assert eventually(lambda: next(answers)) == "arrived"


def test_what_raises_has_not_come_true_yet() -> None:
    attempts = iter([0, 0, 2])
    assert eventually(lambda: 1 // next(attempts) + 1) == 1


def test_patience_ends_and_tells_what_was_seen_last() -> None:
    with pytest.raises(
        NeverHappenedError, match=r"^the card is cancelled: not in 0\.01 s; last it returned \[\]$"
    ):
        eventually(list, timeout=0.01, describe="the card is cancelled")


def test_patience_ends_with_the_last_exception_as_the_cause() -> None:
    with pytest.raises(NeverHappenedError, match="last it raised ZeroDivisionError") as raised:
        eventually(lambda: 1 // 0, timeout=0.01)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_patience_ends_while_time_stands_still() -> None:
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False), pytest.raises(NeverHappenedError):
        eventually(lambda: False, timeout=0.01)


@pytest.fixture
def suite(pytester: pytest.Pytester, pytestconfig: pytest.Config) -> pytest.Pytester:
    marks = "\n".join(
        f"    {line}" for line in pytestconfig.getini("markers") if line.startswith(("compose", "rabbitmq"))
    )
    pytester.makeini(f"[pytest]\nmarkers =\n{marks}")
    pytester.makeconftest('pytest_plugins = ["shared.testing.plugin"]')
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.compose
        def test_compose(): pass

        def test_plain(): pass

        def test_broker(rabbitmq): pass
        """
    )
    pytester.syspathinsert(pytestconfig.rootpath)
    return pytester


@pytest.mark.parametrize("seed", range(3))
def test_compose_runs_last_however_the_rest_is_shuffled(suite: pytest.Pytester, seed: int) -> None:
    result = suite.runpytest_inprocess("--collect-only", "-q", f"--randomly-seed={seed}")
    names = [line.rpartition("::")[2] for line in result.outlines if "::" in line]
    assert sorted(names) == ["test_broker", "test_compose", "test_plain"]
    assert names[-1] == "test_compose"


def test_what_uses_a_server_is_marked_by_itself(suite: pytest.Pytester) -> None:
    result = suite.runpytest_inprocess("--collect-only", "-q", "-m", "not rabbitmq")
    result.stdout.fnmatch_lines(["*2/3 tests collected (1 deselected)*"])
