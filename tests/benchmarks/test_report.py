"""What the benchmarks say of what they measured; how fast anything is, no test asks."""

from collections.abc import Callable

import pytest

from tests.benchmarks.measure import Percentiles, Round, percentiles
from tests.benchmarks.report import Goal, Results, broken_floors, goals_table, rates_table, ratio


def measured(contestant: str, rate: float, *, busy: float = 1.0, own: float = 1.0) -> Round:
    return Round(contestant, int(rate), 1.0, {"worker": own}, busy)


@pytest.fixture
def results() -> Results:
    ours, theirs = (100, 300, 200), (10, 10, 40)
    return Results([measured("ours", r) for r in ours] + [measured("theirs, prefork 2", r) for r in theirs])


def goal(value: Callable[[Results, int], float | None], **changed: object) -> Goal:
    return Goal(**{"what": "ours / theirs", "unit": "×", "goal": 10, "floor": 6, "value": value, **changed})  # type: ignore[arg-type]


def ours_to_theirs(results: Results, number: int) -> float | None:
    return ratio(results.rate("ours", number), results.best_rate("theirs", number))


def test_percentiles_are_values_that_were_measured() -> None:
    delays = [number / 1000 for number in range(1, 101)]

    assert percentiles(delays) == Percentiles(p50=50, p95=95, p99=99)
    assert percentiles([0.007]) == Percentiles(p50=7, p95=7, p99=7)


def test_rounds_are_compared_one_by_one_and_their_median_counts(results: Results) -> None:
    table = goals_table(results, [goal(ours_to_theirs)])

    assert "10.0 (5.0–30.0)" in table
    assert table.endswith("| met     |")


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [
        (10, False, "met"),
        (7, False, "above the floor"),
        (5, False, "BELOW THE FLOOR"),
        (6, True, "met"),
        (10, True, "met"),
        (11, True, "above the floor"),
        (21, True, "BELOW THE FLOOR"),
    ],
)
def test_a_value_is_judged_by_goal_and_floor(value: float, at_most: bool, verdict: str) -> None:
    floor = 20 if at_most else 6

    assert goal(ours_to_theirs, floor=floor, at_most=at_most).verdict(value) == verdict


def test_what_did_not_run_is_no_goal(results: Results) -> None:
    absent = goal(lambda r, n: ratio(r.rate("ours", n), r.best_rate("nobody", n)), what="absent")

    assert goals_table(results, [absent]) == ""
    assert broken_floors(results, [absent]) == []


def test_a_median_below_the_floor_is_named(results: Results) -> None:
    assert broken_floors(results, [goal(ours_to_theirs, goal=20, floor=11)]) == ["ours / theirs"]
    assert broken_floors(results, [goal(ours_to_theirs)]) == []


def test_a_round_that_others_disturbed_is_marked() -> None:
    assert "⚠" not in rates_table(Results([measured("calm", 100, busy=1.0, own=0.95)]))
    assert "⚠" in rates_table(Results([measured("disturbed", 100, busy=1.0, own=0.5)]))
