"""Requests and their steps. Both are written by whole batches, so they are tables and not objects."""

import sqlalchemy as sa

from shared.database import Instant
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox

metadata = sa.MetaData()

# A row without a payload is a stub: an outcome was heard before its command. What moves with the status is in no index,
# so that PostgreSQL can update a row in place.
request = sa.Table(
    "request",
    metadata,
    sa.Column("command_id", sa.String(36), primary_key=True),
    sa.Column("tracking_number", sa.String(10), nullable=False, unique=True),
    sa.Column("type", sa.String(100), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("code", sa.String(60)),
    sa.Column("message", sa.Text),
    sa.Column("field", sa.String(60)),
    sa.Column("result", sa.Text),
    sa.Column("payload", sa.Text),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("account_id", sa.String(30)),
    sa.Column("master", sa.String(15)),
    sa.Column("intermediate", sa.String(15)),
    sa.Column("basic", sa.String(15)),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("on_behalf_of", sa.String(64)),
    sa.Column("channel", sa.String(20), nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("reply_to", sa.String(255)),
    sa.Index("request_by_time", "received_at", "command_id"),
    sa.Index("request_of_account", "account_id", "received_at"),
    sa.Index("request_of_master", "master", "received_at"),
    sa.Index("request_of_basic", "basic", "received_at"),
)

step = sa.Table(
    "step",
    metadata,
    sa.Column("command_id", sa.String(36), primary_key=True),
    sa.Column("message_id", sa.String(36), primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("made_by", sa.String(64), nullable=False),
    sa.Column("code", sa.String(60)),
    sa.Column("message", sa.Text),
)

define_inbox(metadata)
define_outbox(metadata)
