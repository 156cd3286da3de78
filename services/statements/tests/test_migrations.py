from services.statements.service import service
from shared.migrations import current, differences, newest, upgrade


def test_the_migrations_make_just_what_the_model_says(url: str) -> None:
    upgrade(service, url)
    assert differences(service, url) == []
    assert current(url) == newest(service) is not None
