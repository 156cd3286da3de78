"""The single hop as a FastStream user writes it: asyncio on uvloop, asyncpg, acknowledged after the commit.

`python -m tests.benchmarks.peers.faststream_hop work|publish`.
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
QUEUE = RabbitQueue("bench.faststream", durable=True, queue_type=QueueType.QUORUM)

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


@broker.subscriber(QUEUE, ack_policy=AckPolicy.NACK_ON_ERROR)
async def cancel(command: work.Command) -> None:
    """Cancel the account, as `work.cancel_account` does; leaving the block commits."""
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
    """Publish one command after another, each confirmed."""
    async with broker:
        for count in orders():
            for command in work.commands(count):
                await broker.publish(command, QUEUE, persist=True)


if __name__ == "__main__":
    uvloop.run(publish() if sys.argv[1] == "publish" else app.run())
