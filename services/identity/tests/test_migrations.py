from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from services.identity.service import service
from shared.database import Database
from shared.migrations import current, differences, newest, upgrade


def test_an_empty_database_has_no_revision(url: str) -> None:
    assert current(url) is None


def test_the_migrations_make_just_what_the_model_says(url: str) -> None:
    upgrade(service, url)
    assert differences(service, url) == []


def test_an_upgrade_ends_at_the_newest_revision_and_may_be_repeated(url: str) -> None:
    upgrade(service, url)
    upgrade(service, url)
    assert current(url) == newest(service) is not None


def test_upgrades_at_the_same_time_wait_for_each_other(url: str) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: upgrade(service, url), range(4)))
    assert current(url) == newest(service)


def test_a_column_that_no_revision_makes_is_found(url: str) -> None:
    upgrade(service, url)
    database = Database(url)
    with database.write() as session:
        session.execute(sa.text('alter table "user" drop column role'))
    database.close()
    (difference,) = differences(service, url)
    assert difference[0] == "add_column"
    assert difference[3].name == "role"
