"""Where users work is noted once, and never forgotten by a transaction that was rolled back."""

import sqlalchemy as sa

from services.tracking.model import workplace
from services.tracking.tests.conftest import ELSEWHERE, NOON, PATH, Tracking, user
from services.tracking.workplaces import note_workplaces
from shared.contracts.tracking import FindRequests

HERE = {"actor": "ann", "on_behalf_of": "bob", "master": PATH[0], "intermediate": PATH[1], "basic": PATH[2]}


def noted(tracking: Tracking) -> list[tuple[str, ...]]:
    with tracking.database.read() as session:
        rows = session.execute(sa.select(workplace).order_by(*workplace.c))
        return [tuple(row) for row in rows]


def test_who_asks_and_for_whom_is_noted_once_for_each_place(tracking: Tracking) -> None:
    for _ in range(3):  # the second sees that it is there, the third remembers
        with tracking.database.write() as session:
            note_workplaces(
                session, [HERE, HERE, {**HERE, "intermediate": None, "basic": None, "on_behalf_of": None}]
            )
    assert noted(tracking) == [("ann", PATH[0], "", ""), ("ann", *PATH), ("bob", *PATH)]


def test_what_was_rolled_back_is_noted_again(tracking: Tracking) -> None:
    for _ in range(2):
        with tracking.database.write() as session:
            note_workplaces(session, [HERE])
            session.rollback()
    assert noted(tracking) == []
    with tracking.database.write() as session:
        note_workplaces(session, [HERE])
    assert noted(tracking) == [("ann", *PATH), ("bob", *PATH)]


def test_the_first_own_request_elsewhere_is_found_at_once(tracking: Tracking) -> None:
    """Also by who never asked for anything outside the own control accounts before."""
    pa = user("pa", "tracking.view", over=[PATH[0]])
    tracking.hear(tracking.cancellation("pa", time=NOON))
    assert len(tracking.ask(FindRequests(), pa).data) == 1
    tracking.hear(tracking.cancellation("pa", time=NOON, scope=ELSEWHERE))
    assert len(tracking.ask(FindRequests(), pa).data) == 2
