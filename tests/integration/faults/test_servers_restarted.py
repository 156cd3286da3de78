"""RabbitMQ and PostgreSQL go away under load, in good order and by force, and come back."""

from collections.abc import Callable

from shared.testing.brokers import RabbitMQ
from shared.testing.databases import Postgres
from shared.testing.installation import DistributedInstallation
from tests.integration.faults.evidence import Verdict
from tests.integration.faults.load import Load

Server = RabbitMQ | Postgres


def go_away_and_come_back(server: Server, how: Callable[[], None], load: Load) -> None:
    load.wait_for(20)
    try:
        how()
    finally:
        server.start()
    load.wait_for(20)


def test_rabbitmq_restarted_and_killed(many: DistributedInstallation, rabbitmq: RabbitMQ) -> None:
    verdict = Verdict(many)
    with Load(many) as load:
        for how in (rabbitmq.stop, rabbitmq.kill):
            go_away_and_come_back(rabbitmq, how, load)
    assert load.repeated, "nobody noticed"
    verdict.find_nothing_lost_or_doubled(load)


def test_postgresql_restarted_and_killed(many: DistributedInstallation, postgres: Postgres) -> None:
    verdict = Verdict(many)
    with Load(many) as load:
        for how in (postgres.stop, postgres.kill):
            go_away_and_come_back(postgres, how, load)
    assert load.repeated, "nobody noticed"
    verdict.find_nothing_lost_or_doubled(load)
