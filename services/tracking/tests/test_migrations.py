"""The migrations make the tables of the model, and on PostgreSQL a part for each month around today."""

from datetime import UTC, datetime

import sqlalchemy as sa

from services.tracking.months import month_after, month_of
from services.tracking.service import service
from shared.database import Database
from shared.migrations import differences, upgrade


def test_the_migrations_make_just_what_the_model_says(url: str) -> None:
    upgrade(service, url)
    assert differences(service, url) == []


def test_a_month_follows_a_month_over_the_turn_of_a_year() -> None:
    december = month_of(datetime(2026, 12, 31, 23, 59, tzinfo=UTC))
    assert december == datetime(2026, 12, 1, tzinfo=UTC)
    assert month_after(december) == datetime(2027, 1, 1, tzinfo=UTC)
    assert month_after(december, -12) == datetime(2025, 12, 1, tzinfo=UTC)


def test_an_index_that_the_model_lacks_is_found(tables: str) -> None:
    database = Database(tables)
    with database.write() as session:
        session.execute(sa.text("drop index request_exceptional"))
    database.close()
    assert [difference[0] for difference in differences(service, tables)] == ["add_index"]
