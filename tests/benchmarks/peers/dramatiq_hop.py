"""The single hop as a Dramatiq user writes it: threads, acknowledged after the commit, published with confirms.

A worker is started by `dramatiq tests.benchmarks.peers.dramatiq_hop`, a publisher by `python -m ... publish`. Its
queues are quorum queues because the virtual host's default is.
"""

from __future__ import annotations

import os
import threading

import dramatiq
import psycopg
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.benchmarks.peers import work
from tests.benchmarks.processes import orders

QUEUE = "bench.dramatiq"

dramatiq.set_broker(RabbitmqBroker(url=os.environ["BENCH_AMQP_URL"], confirm_delivery=True))
thread = threading.local()


@dramatiq.actor(queue_name=QUEUE, max_retries=3)
def cancel(command: work.Command) -> None:
    """Cancel the account on the thread's own connection."""
    work.cancel_account(own_connection(), command)


def own_connection() -> psycopg.Connection:
    """Return the connection of this thread, opened at its first message."""
    if not hasattr(thread, "connection"):
        thread.connection = work.connect()
    connection: psycopg.Connection = thread.connection
    return connection


if __name__ == "__main__":
    for count in orders():
        for each in work.commands(count):
            cancel.send(each)
