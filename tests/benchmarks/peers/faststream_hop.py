"""The single hop as a FastStream user writes it: asyncio on uvloop, asyncpg, acknowledged after the commit.

`python -m tests.benchmarks.peers.faststream_hop work`, or `... publish bare|telling`.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import asyncpg
import uvloop
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

from tests.benchmarks.peers import work
from tests.benchmarks.processes import orders

PREFETCH, CONNECTIONS = 64, 16


def quorum(name: str) -> RabbitQueue:
    """Return a quorum queue."""
    return RabbitQueue(name, durable=True, queue_type=QueueType.QUORUM)


BARE, TELLING = quorum("bench.faststream"), quorum("bench.faststream.telling")
OUTCOMES = quorum("bench.faststream.outcomes")

broker = RabbitBroker(
    os.environ["BENCH_AMQP_URL"], default_channel=Channel(prefetch_count=PREFETCH), logger=None
)
app = FastStream(broker)
pool: asyncpg.Pool


def numbered(statement: str) -> tuple[str, list[str]]:
    """Turn `%(name)s` into `$1`, the only parameters that asyncpg has, and return the names in that order."""
    names: list[str] = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    return re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement), names


TAKE, LOCK, CANCEL, NOTE = (numbered(each) for each in (work.TAKE, work.LOCK, work.CANCEL, work.NOTE))


@app.on_startup
async def open_pool() -> None:
    """Open a few connections: more messages than these wait for one."""
    global pool
    pool = await asyncpg.create_pool(
        os.environ["BENCH_DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS
    )


@broker.subscriber(BARE, ack_policy=AckPolicy.NACK_ON_ERROR)
async def cancel(command: work.Command) -> None:
    """The single hop, of which nobody hears."""
    await cancel_account(command)


@broker.subscriber(TELLING, ack_policy=AckPolicy.NACK_ON_ERROR)
async def cancel_and_tell(command: work.Command) -> None:
    """The single hop with its outcome published, which nobody takes up here."""
    await cancel_account(command)
    await broker.publish({"command_id": command["command_id"], "status": "completed"}, OUTCOMES, persist=True)


async def cancel_account(command: work.Command) -> None:
    """Do what `work.cancel_account` does; leaving the block commits."""
    async with pool.acquire() as connection, connection.transaction():
        if await run(connection, TAKE, command):
            work.check(await run(connection, LOCK, command))
            await run(connection, CANCEL, command)
            await run(connection, NOTE, work.with_change_ids(command))


async def run(connection: asyncpg.Connection, statement: tuple[str, list[str]], command: work.Command) -> Any:
    """Run one statement, prepared once a connection, and return its first row if there is one."""
    text, names = statement
    return await connection.fetchrow(text, *(command[name] for name in names))


async def publish() -> None:
    """Declare the queues, then publish one command after another, each confirmed."""
    queue = {"bare": BARE, "telling": TELLING}[sys.argv[2]]
    async with broker:
        for declared in (BARE, TELLING, OUTCOMES):
            await broker.declare_queue(declared)
        for count in orders():
            for command in work.commands(count):
                await broker.publish(command, queue, persist=True)


if __name__ == "__main__":
    uvloop.run(publish() if sys.argv[1] == "publish" else app.run())
