"""`cardwork work NAME`: a worker of a service: consumes, relays its outbox and does what the clock makes due."""

import signal

import click

from deploy.compose import shape_of
from shared.memory import settle_memory
from shared.observability import set_up_logging
from shared.settings import BadSettings, read_settings
from shared.web.health import serve_health


@click.command()
@click.argument("name")
def work(name: str) -> None:
    """Handle the messages of service NAME until SIGTERM; run as many of these as there is work for."""
    settings = read_settings()
    if settings.embedded:
        raise BadSettings(
            "`cardwork work` needs CARDWORK_BROKER_URL and CARDWORK_DATABASE_URL; or use `cardwork run`."
        )
    set_up_logging(settings.log_level, settings.log_format)
    shape = shape_of(settings)
    if not shape.service(name).consumes:
        raise BadSettings(f"The service {name} has nothing to do with the bus; it needs no worker.")
    consumer = shape.consumer(name)
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_, lambda *_: consumer.stop())
    checks = {"database": shape.database(name).answers, "broker": consumer.is_ready}
    server = serve_health(settings.host, settings.health_port, shape.metrics, checks)
    settle_memory()
    try:
        consumer.run()
    finally:
        server.shutdown()
        shape.close()
