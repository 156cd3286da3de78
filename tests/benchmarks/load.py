"""The load over HTTP: a process that cancels accounts through the gateway, and times each request from when it was due.

`python -m tests.benchmarks.load publish`, told by lines of JSON on standard input (`Order`), answers each by a line of
JSON (`Answer`). An open loop sends at a fixed rate whether or not answers come, so that a slow server cannot slow the
questions down; a closed loop keeps so many connections busy. Only 127.0.0.1 is ever asked, and only so often.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
MOST_CONNECTIONS = 256
REQUEST_SECONDS = 30


@dataclass(frozen=True)
class Order:
    """So many requests, over so many connections; `rate` a second, or as fast as answers come where it is 0.

    `outcome_every`: each so-manieth request waits for its outcome (`Prefer: wait`), none where it is 0.
    """

    requests: int
    connections: int
    rate: float = 0.0
    outcome_every: int = 0


@dataclass
class Answer:
    """Seconds from due to answered, of requests that got a tracking number and of those that got the outcome."""

    tracked: list[float] = field(default_factory=list)
    completed: list[float] = field(default_factory=list)
    unexpected: Counter[str] = field(default_factory=Counter)
    """Answers other than 202 with a number and 200 with the outcome, by status line."""


@dataclass(frozen=True)
class Due:
    """One request and the moment at which it should leave."""

    at: float
    account_id: str
    waits: bool


class Load:
    """Sends what an order asks for."""

    def __init__(self, port: int, token: str, order: Order, account_ids: list[str]) -> None:
        if order.connections > MOST_CONNECTIONS:
            raise ValueError(f"at most {MOST_CONNECTIONS} connections")
        self._port = port
        self._token = token
        self._order = order
        self._account_ids = account_ids
        self._queue: asyncio.Queue[Due | None] = asyncio.Queue()
        self.answer = Answer()

    async def run(self) -> Answer:
        """Send everything and return when the last answer is there."""
        connections = [asyncio.create_task(self._connection()) for _ in range(self._order.connections)]
        await (self._offer_at_rate() if self._order.rate else self._offer_all())
        for _ in connections:
            self._queue.put_nowait(None)
        await asyncio.gather(*connections)
        return self.answer

    async def _offer_at_rate(self) -> None:
        began = time.perf_counter()
        for number in range(self._order.requests):
            due = began + number / self._order.rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            self._queue.put_nowait(self._due(number, due))

    async def _offer_all(self) -> None:
        for number in range(self._order.requests):
            self._queue.put_nowait(self._due(number, 0.0))

    def _due(self, number: int, at: float) -> Due:
        every = self._order.outcome_every
        return Due(at, self._account_ids[number], bool(every) and number % every == 0)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._port)
        while (due := await self._queue.get()) is not None:
            began = due.at or time.perf_counter()
            writer.write(self._request(due))
            async with asyncio.timeout(REQUEST_SECONDS):
                status, closes = await self._read(reader, due)
            self._note(due, status, time.perf_counter() - began)
            if closes:
                writer.close()
                reader, writer = await asyncio.open_connection(HOST, self._port)
        writer.close()

    def _request(self, due: Due) -> bytes:
        body = b'{"reason": "not_needed", "comment": "Left the company; card returned and destroyed."}'
        lines = [
            f"POST /api/v1/accounts/{due.account_id}/cancel HTTP/1.1",
            f"Host: {HOST}",
            f"Authorization: Bearer {self._token}",
            f"Idempotency-Key: {due.account_id}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(["Prefer: wait=10"] if due.waits else []),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def _read(self, reader: asyncio.StreamReader, due: Due) -> tuple[str, bool]:
        """Return the status, with the body where it is not what was asked for, and whether the connection closes."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        start = head.index(b"content-length:") + len(b"content-length:")
        body = await reader.readexactly(int(head[start : head.index(b"\r\n", start)]))
        status = head[9:12].decode()
        if status != ("200" if due.waits else "202") or b'"tracking_number":null' in body:
            status = f"{status} {body[:300].decode()}"
        return status, b"connection: close" in head

    def _note(self, due: Due, status: str, seconds: float) -> None:
        if len(status) > 3:
            self.answer.unexpected[status] += 1
        elif due.waits:
            self.answer.completed.append(round(seconds, 5))
        else:
            self.answer.tracked.append(round(seconds, 5))


def main() -> None:
    """Take orders until standard input ends; each account is cancelled once."""
    import uvloop

    lines = Path(os.environ["BENCH_ACCOUNTS_FILE"]).read_text().splitlines()
    waiting = [line.partition(" ")[0] for line in lines]
    print("ready", flush=True)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        taken, waiting = waiting[: order.requests], waiting[order.requests :]
        load = Load(int(os.environ["BENCH_PORT"]), os.environ["BENCH_TOKEN"], order, taken)
        print(json.dumps(asdict(uvloop.run(load.run()))), flush=True)


if __name__ == "__main__":
    main()
