"""The database work of one command, the same for every peer: record the request, cancel the card, record the outcome.

Plain psycopg with prepared statements, as fast as a peer can have it; the statements stand apart from the functions
so that an asynchronous peer runs the very same ones.
"""

from __future__ import annotations

import os
import random
import secrets
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from shared.ids import new_message_id

ACCOUNTS = 100_000
SCHEMA = Path(__file__).with_name("work.sql")

Command = dict[str, Any]
"""One CancelAccount as a peer's message carries it: JSON values only."""

TAKE: LiteralString = "insert into inbox(message_id) values (%(command_id)s) on conflict do nothing returning 1"
LOCK: LiteralString = "select status from account where id = %(account_id)s for update"
CANCEL: LiteralString = """update account set status = 'cancelled', cancel_reason = %(reason)s, cancelled_at = now(),
 version = version + 1 where id = %(account_id)s"""
NOTE: LiteralString = """insert into account_history(account_id, command_id, field, old_value, new_value, actor)
 values (%(account_id)s, %(command_id)s, 'status', 'active', 'cancelled', %(actor)s)"""
TRACK: LiteralString = """insert into request(command_id, tracking_number, command_type, target, actor, channel, payload, status)
 values (%(command_id)s, %(tracking_number)s, 'accounts.cancel-account', %(account_id)s, %(actor)s, %(channel)s,
 %(payload)s, 'received') on conflict do nothing"""
COMPLETE: LiteralString = """update request set status = 'completed', completed_at = clock_timestamp()
 where command_id = %(command_id)s"""
APPEND: LiteralString = "insert into timeline(command_id, status) values (%(command_id)s, %(status)s)"


def commands(count: int) -> list[Command]:
    """Make `count` commands for as many different accounts, in no order."""
    return [
        {
            "command_id": new_message_id(),
            "account_id": f"acc_{number:012}",
            "reason": "not_needed",
            "comment": "Left the company; card returned and destroyed by the holder.",
            "actor": "usr_0000000000000042",
            "channel": "api",
        }
        for number in random.sample(range(1, ACCOUNTS + 1), count)
    ]


def connect() -> psycopg.Connection:
    """Open the connection that a worker keeps, to the database that BENCH_DATABASE_URL names."""
    return psycopg.connect(os.environ["BENCH_DATABASE_URL"], prepare_threshold=0)


def record_request(connection: psycopg.Connection, command: Command) -> None:
    """Step 1: give the command a tracking number and open its timeline, in one transaction."""
    tracked = {**command, "tracking_number": secrets.token_hex(6), "payload": Jsonb(command), "status": "received"}
    connection.execute(TRACK, tracked)
    connection.execute(APPEND, tracked)
    connection.commit()


def cancel_account(connection: psycopg.Connection, command: Command) -> None:
    """Step 2: cancel the account and write its history, once however often the message comes, in one transaction."""
    if connection.execute(TAKE, command).fetchone():
        connection.execute(LOCK, command)
        connection.execute(CANCEL, command)
        connection.execute(NOTE, command)
    connection.commit()


def record_outcome(connection: psycopg.Connection, command_id: str) -> None:
    """Step 3: mark the request completed and close its timeline, in one transaction."""
    outcome = {"command_id": command_id, "status": "completed"}
    connection.execute(COMPLETE, outcome)
    connection.execute(APPEND, outcome)
    connection.commit()
