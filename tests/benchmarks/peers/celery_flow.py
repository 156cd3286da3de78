"""The work as a Celery user writes it: one task for the single hop, three for the whole flow.

Acknowledged after the commit, published with confirms, persistent, on quorum queues. A worker is started by
`celery -A`, a publisher by `python -m tests.benchmarks.peers.celery_flow publish bare|telling|flow`.
"""

from __future__ import annotations

import os
import sys

import psycopg
from celery import Celery
from celery.signals import worker_process_init
from kombu import Queue

from tests.benchmarks.peers import work
from tests.benchmarks.processes import orders

QUEUE, OUTCOMES = "bench.celery", "bench.celery.outcomes"

app = Celery("bench", broker=os.environ["BENCH_AMQP_URL"], include=["tests.benchmarks.peers.celery_flow"])
app.conf.update(
    task_queues=[
        Queue(name, durable=True, queue_arguments={"x-queue-type": "quorum"}) for name in (QUEUE, OUTCOMES)
    ],
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)
connection: psycopg.Connection


@worker_process_init.connect
def open_connection(**_: object) -> None:
    """Give each forked worker process a database connection of its own."""
    global connection
    connection = work.connect()


@app.task(name="hop.cancel")
def cancel(command: work.Command) -> None:
    """The single hop, of which nobody hears."""
    work.cancel_account(connection, command)


@app.task(name="hop.cancel_and_tell")
def cancel_and_tell(command: work.Command) -> None:
    """The single hop with its outcome published, which nobody takes up here."""
    work.cancel_account(connection, command)
    complete.apply_async((command["command_id"],), queue=OUTCOMES)


@app.task(name="flow.track")
def track(command: work.Command) -> None:
    """Step 1 of the flow."""
    work.record_request(connection, command)
    own.delay(command)


@app.task(name="flow.own")
def own(command: work.Command) -> None:
    """Step 2 of the flow."""
    work.cancel_account(connection, command)
    complete.delay(command["command_id"])


@app.task(name="flow.complete")
def complete(command_id: str) -> None:
    """Step 3 of the flow."""
    work.record_outcome(connection, command_id)


if __name__ == "__main__":
    task = {"bare": cancel, "telling": cancel_and_tell, "flow": track}[sys.argv[2]]
    with app.connection_for_write() as broker:
        for queue in app.conf.task_queues:
            queue(broker.default_channel).declare()
    for count in orders():
        for each in work.commands(count):
            task.delay(each)
