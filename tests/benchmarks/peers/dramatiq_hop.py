"""The single hop as a Dramatiq user writes it: threads, acknowledged after the commit, published with confirms.

A worker is started by `dramatiq tests.benchmarks.peers.dramatiq_hop`, a publisher by `python -m ... publish
bare|telling`. Its queues are quorum queues because the virtual host's default is.
"""

from __future__ import annotations

import os
import sys
import threading

import dramatiq
import psycopg
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.benchmarks.peers import work
from tests.benchmarks.processes import orders

QUEUE, OUTCOMES = "bench.dramatiq", "bench.dramatiq.outcomes"

broker = RabbitmqBroker(url=os.environ["BENCH_AMQP_URL"], confirm_delivery=True)
dramatiq.set_broker(broker)
thread = threading.local()


@dramatiq.actor(queue_name=QUEUE, max_retries=3)
def cancel(command: work.Command) -> None:
    """The single hop, of which nobody hears."""
    work.cancel_account(own_connection(), command)


@dramatiq.actor(queue_name=QUEUE, max_retries=3)
def cancel_and_tell(command: work.Command) -> None:
    """The single hop with its outcome published, which nobody takes up here."""
    work.cancel_account(own_connection(), command)
    complete.send(command["command_id"])


@dramatiq.actor(queue_name=OUTCOMES)
def complete(command_id: str) -> None:
    """Hear of an outcome."""
    work.record_outcome(own_connection(), command_id)


def own_connection() -> psycopg.Connection:
    """Return the connection of this thread, opened at its first message."""
    if not hasattr(thread, "connection"):
        thread.connection = work.connect()
    connection: psycopg.Connection = thread.connection
    return connection


if __name__ == "__main__":
    actor = {"bare": cancel, "telling": cancel_and_tell}[sys.argv[2]]
    for name in (QUEUE, OUTCOMES):
        broker.declare_queue(name, ensure=True)
    for count in orders():
        for each in work.commands(count):
            actor.send(each)
