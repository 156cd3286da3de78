"""The database work of one command, the same for every peer, on Cardwork's own tables in one database.

The rows are those that our tracking and accounts services write when a card is cancelled, but for the outbox, which
only Cardwork has: a peer's next step is published after the commit, as its users do. Plain psycopg with prepared
statements is the fastest that a peer can have it; the statements stand apart from the functions so that an
asynchronous peer runs the very same ones.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any, LiteralString

import orjson
import psycopg

from shared.ids import new_message_id

Command = dict[str, Any]
"""One CancelAccount as a peer's message carries it: JSON values only."""
Statement = LiteralString

TRACK: Statement = """insert into request(command_id, tracking_number, type, status, rank, payload, account_id, master,
 actor, channel, received_at, due_at)
 values (%(command_id)s, %(tracking_number)s, 'accounts.cancel-account', 'received', 0, %(payload)s, %(account_id)s,
 %(master)s, %(actor)s, %(channel)s, now(), now() + interval '1 minute') on conflict do nothing"""
COMPLETE: Statement = """update request set status = 'completed', rank = 7, finished_at = now()
 where command_id = %(command_id)s and rank < 7"""
STEP: Statement = """insert into step(message_id, command_id, at, status, made_by)
 values (%(step_id)s, %(command_id)s, now(), %(status)s, %(made_by)s) on conflict do nothing"""

TAKE: Statement = """insert into inbox(message_id, received_at) values (%(command_id)s, now())
 on conflict do nothing returning 1"""
LOCK: Statement = """select account.status, structure.path from card_account account
 join control_account structure on structure.number = account.control_account
 where account.id = %(account_id)s for update of account"""
CANCEL: Statement = """update card_account set status = 'cancelled', cancel_reason = %(reason)s, cancelled_at = now(),
 version = version + 1 where id = %(account_id)s"""
NOTE: Statement = """insert into change(id, account_id, at, field, old, new, actor, channel, command, command_id)
 select id, %(account_id)s, now(), field, old, new, %(actor)s, %(channel)s, 'accounts.cancel-account', %(command_id)s
 from (values (%(status_change)s, 'status', 'active', 'cancelled'), (%(reason_change)s, 'cancel_reason', null,
 %(reason)s), (%(time_change)s, 'cancelled_at', null, now()::text)) given(id, field, old, new)"""


def commands(count: int) -> Iterator[Command]:
    """Make so many commands, each for an active account that no command was made for before, in no order."""
    for account_id, master in _accounts(count):
        yield {
            "command_id": new_message_id(),
            "account_id": account_id,
            "reason": "not_needed",
            "comment": "Left the company; card returned and destroyed by the holder.",
            "actor": "usr_0000000000000042",
            "master": master,
            "channel": "api",
        }


_waiting: list[tuple[str, str]] = []


def _accounts(count: int) -> list[tuple[str, str]]:
    if not _waiting:
        with connect() as connection:
            found = connection.execute(
                "select account.id, structure.path from card_account account join control_account structure"
                " on structure.number = account.control_account where status = 'active' order by random()"
            )
            _waiting.extend((id_, path.split("/")[0]) for id_, path in found)
    taken, _waiting[:] = _waiting[:count], _waiting[count:]
    return taken


def connect() -> psycopg.Connection:
    """Open the connection that a worker keeps, to the database that BENCH_DATABASE_URL names."""
    return psycopg.connect(os.environ["BENCH_DATABASE_URL"], prepare_threshold=0)


def record_request(connection: psycopg.Connection, command: Command) -> None:
    """Step 1: give the command a tracking number and open its timeline, in one transaction."""
    connection.execute(
        TRACK, {**command, "tracking_number": secrets.token_hex(5), "payload": orjson.dumps(command).decode()}
    )
    _append(connection, command["command_id"], command["command_id"], "received", command["actor"])
    connection.commit()


def cancel_account(connection: psycopg.Connection, command: Command) -> None:
    """Step 2: cancel the account and write its history, once however often the message comes, in one transaction."""
    if connection.execute(TAKE, command).fetchone():
        found = connection.execute(LOCK, command).fetchone()
        check(found)
        connection.execute(CANCEL, command)
        connection.execute(NOTE, with_change_ids(command))
    connection.commit()


def record_outcome(connection: psycopg.Connection, command_id: str) -> None:
    """Step 3: mark the request completed and close its timeline, in one transaction."""
    connection.execute(COMPLETE, {"command_id": command_id})
    _append(connection, new_message_id(), command_id, "completed", "accounts")
    connection.commit()


def check(found: tuple[Any, ...] | None) -> None:
    """Refuse what the domain refuses."""
    if found is None or found[0] != "active":
        raise ValueError(f"an active account was expected, not {found}")


def with_change_ids(command: Command) -> Command:
    """Add the ids of the three history rows: status, reason, time."""
    return {
        **command,
        **{name: new_message_id() for name in ("status_change", "reason_change", "time_change")},
    }


def _append(connection: psycopg.Connection, step_id: str, command_id: str, status: str, made_by: str) -> None:
    given = {"step_id": step_id, "command_id": command_id, "status": status, "made_by": made_by}
    connection.execute(STEP, given)
