"""`cardwork topology apply|check`: the exchanges, queues and bindings on RabbitMQ."""

import sys

import click

from deploy.compose import Shape, shape_of
from shared.messaging.management import apply_policies, undo_surplus_bindings, vhost_of
from shared.messaging.management import check as find_managed_differences
from shared.messaging.topology import check as find_differences
from shared.messaging.topology import declare
from shared.settings import BadSettings, read_settings


@click.group()
def topology() -> None:
    """Declare what RabbitMQ needs, or say what differs from it."""


@topology.command()
def apply() -> None:
    """Declare exchanges, queues and bindings, and set limits by policy where the management URL is known."""
    shape = _shape()
    broker, management = shape.settings.broker_url or "", shape.settings.broker_management_url
    declare(broker, shape.topology)
    if management:
        apply_policies(management, shape.topology, vhost_of(broker))
        for undone in undo_surplus_bindings(management, shape.topology, vhost_of(broker)):
            click.echo(f"undone: {undone}")
    else:
        click.echo("limits are left as they are: CARDWORK_BROKER_MANAGEMENT_URL is not set", err=True)
    click.echo("topology: as declared")


@topology.command()
def check() -> None:
    """Say what differs on the broker; exit with 1 where anything does."""
    shape = _shape()
    broker, management = shape.settings.broker_url or "", shape.settings.broker_management_url
    differences = find_differences(broker, shape.topology)
    if management:
        differences += find_managed_differences(management, shape.topology, vhost_of(broker))
    for difference in differences:
        click.echo(difference)
    if differences:
        sys.exit(1)
    click.echo("topology: as declared")


def _shape() -> Shape:
    settings = read_settings()
    if settings.embedded:
        raise BadSettings("There is no RabbitMQ: CARDWORK_BROKER_URL is not set.")
    return shape_of(settings)
