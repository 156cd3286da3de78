"""Requests and what finds and counts them. Whole batches write all of it, so these are tables and not objects.

On PostgreSQL `request` and `step` consist of a part for each month (ADR 0011); on SQLite they are plain tables.
"""

import sqlalchemy as sa

from shared.contracts.types import Channel
from shared.database import Instant, code_point_text
from shared.folding import LONGEST_NAME_KEY
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox

metadata = sa.MetaData()
LEVELS = ("master", "intermediate", "basic")
# Hardly any request comes over these.
RARE_CHANNELS = (Channel.OPERATOR, Channel.SYSTEM)
_BY_MONTH = "RANGE (received_at)"

# What has to be unique over all months, and in which month each request lies. A row is written once, and changed only
# where the outcome was heard before the command, which alone knows the account.
request_key = sa.Table(
    "request_key",
    metadata,
    sa.Column("command_id", sa.String(36), primary_key=True),
    sa.Column("tracking_number", sa.String(10), nullable=False, unique=True),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("account_id", sa.String(30)),
    sa.Index("request_key_by_time", "received_at", postgresql_using="brin"),
)
_OF_ACCOUNT = request_key.c.account_id.is_not(None)
sa.Index(
    "request_of_account",
    request_key.c.account_id,
    request_key.c.received_at,
    request_key.c.command_id,
    postgresql_where=_OF_ACCOUNT,
    sqlite_where=_OF_ACCOUNT,
)

# ``received_at`` is when tracking first heard of a request, and never changes; ``asked_at`` is when the command itself
# was sent. A row without a payload is a stub: an outcome was heard before its command.
# ``exceptional`` is the status where that is neither received nor completed, and of a request that lingers. So the
# usual way from received to completed changes no indexed column, and PostgreSQL updates such a row in place.
request = sa.Table(
    "request",
    metadata,
    sa.Column("received_at", Instant, primary_key=True),
    sa.Column("command_id", sa.String(36), primary_key=True),
    sa.Column("tracking_number", sa.String(10), nullable=False),
    sa.Column("type", sa.String(100), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("exceptional", sa.String(20)),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("code", sa.String(60)),
    sa.Column("message", sa.Text),
    sa.Column("field", sa.String(60)),
    sa.Column("result", sa.Text),
    sa.Column("payload", sa.Text),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("approver_function", sa.String(60)),
    sa.Column("account_id", sa.String(30)),
    sa.Column("master", sa.String(15)),
    sa.Column("intermediate", sa.String(15)),
    sa.Column("basic", sa.String(15)),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("on_behalf_of", sa.String(64)),
    sa.Column("channel", sa.String(20), nullable=False),
    sa.Column("asked_at", Instant),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("reply_to", sa.String(255)),
    postgresql_partition_by=_BY_MONTH,
)


def _newest(
    name: str, *columns: str, only: sa.ColumnElement[bool] | None = None, beside: tuple[str, ...] = ()
) -> sa.Index:
    """Return an index that gives what these columns find in order of time; ``only`` leaves rows out that it never finds.

    ``beside`` are columns that it holds too, so that what is counted by them needs no look at the rows.
    """
    order = (*columns, "received_at", "command_id")
    return sa.Index(
        name, *(request.c[column] for column in order), postgresql_include=list(beside),
        postgresql_where=only, sqlite_where=only,
    )  # fmt: skip


_EXCEPTIONAL = request.c.exceptional.is_not(None)
_ABOUT = ("type", "channel", "account_id")
_newest("request_of_master", "master", beside=("exceptional", *_ABOUT))
_newest(
    "request_of_intermediate", "intermediate", only=request.c.intermediate.is_not(None),
    beside=("master", "exceptional", *_ABOUT),
)  # fmt: skip
_newest(
    "request_of_basic", "basic", only=request.c.basic.is_not(None),
    beside=("master", "intermediate", "exceptional", *_ABOUT),
)  # fmt: skip
_newest("request_of_actor", "actor", beside=(*LEVELS, "exceptional", *_ABOUT))
_newest("request_of_type", "type", beside=("channel", "account_id"))
_newest(
    "request_of_rare_channel", "channel", only=request.c.channel.in_([each.value for each in RARE_CHANNELS])
)
_newest(
    "request_of_principal", "on_behalf_of", only=request.c.on_behalf_of.is_not(None),
    beside=("actor", *LEVELS, "exceptional", *_ABOUT),
)  # fmt: skip
_newest(
    "request_exceptional", "exceptional", only=_EXCEPTIONAL,
    beside=("due_at", "approver_function", "actor", "on_behalf_of", *LEVELS, *_ABOUT),
)  # fmt: skip
for _whose in LEVELS:
    _newest(
        f"request_exceptional_of_{_whose}",
        _whose,
        "exceptional",
        only=_EXCEPTIONAL,
        beside=_ABOUT,
    )
_newest(
    "request_exceptional_of_actor",
    "actor",
    "exceptional",
    only=_EXCEPTIONAL,
    beside=("due_at", *LEVELS, *_ABOUT),
)
_newest(
    "request_exceptional_of_account", "account_id", "exceptional", only=_EXCEPTIONAL,
    beside=(*LEVELS, "type", "channel"),
)  # fmt: skip

# Under which control accounts anything was ever asked by or for a user; one that there is none of is empty. It tells whose
# own requests all lie where they see everything anyway.
workplace = sa.Table(
    "workplace",
    metadata,
    sa.Column("user_id", sa.String(64), primary_key=True),
    *(sa.Column(level, sa.String(15), primary_key=True) for level in LEVELS),
)

# ``received_at`` is the request's; ``decision`` says what a person decided about the request.
step = sa.Table(
    "step",
    metadata,
    sa.Column("received_at", Instant, primary_key=True),
    sa.Column("command_id", sa.String(36), primary_key=True),
    sa.Column("message_id", sa.String(36), primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("made_by", sa.String(64), nullable=False),
    sa.Column("on_behalf_of", sa.String(64)),
    sa.Column("decision", sa.String(10)),
    sa.Column("code", sa.String(60)),
    sa.Column("message", sa.Text),
    postgresql_partition_by=_BY_MONTH,
)

# Control accounts, to know what lies below what; of what is told, the higher version counts.
control_account = sa.Table(
    "control_account",
    metadata,
    sa.Column("number", sa.String(15), primary_key=True),
    sa.Column("parent", sa.String(15)),
    sa.Column("level", sa.String(12), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("control_account_of_parent", "parent"),
)

# Card accounts, as far as requests are found by them; accounts tells of each that is opened, renamed or transferred. The
# versions say which change of the account told its name and its place.
account = sa.Table(
    "account",
    metadata,
    sa.Column("account_id", sa.String(30), primary_key=True),
    sa.Column("product", sa.String(30), nullable=False),
    sa.Column("name_key", code_point_text(LONGEST_NAME_KEY), nullable=False),
    sa.Column("embossed_name", code_point_text(26), nullable=False),
    sa.Column("named", sa.Integer, nullable=False),
    sa.Column("basic", sa.String(15), nullable=False),
    sa.Column("placed", sa.Integer, nullable=False),
    sa.Index("account_by_name", "name_key", postgresql_include=["account_id", "basic"]),
    sa.Index("account_by_embossed_name", "embossed_name", postgresql_include=["account_id", "basic"]),
    sa.Index("account_of_product", "product", postgresql_include=["account_id", "basic"]),
    sa.Index(
        "account_of_basic", "basic", "product", "account_id", postgresql_include=["name_key", "embossed_name"]
    ),
)

# How many requests of a day stand at each status, of each master control account; an empty master stands for all. It
# holds for days that are counted. A request of such a day that changes makes the day one that is not.
tally = sa.Table(
    "tally",
    metadata,
    sa.Column("master", sa.String(15), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("status", sa.String(20), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)
day = sa.Table(
    "day",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("counted", sa.Boolean, nullable=False),
)

# Until when jobs have looked through the requests.
mark = sa.Table(
    "mark",
    metadata,
    sa.Column("job", sa.String(40), primary_key=True),
    sa.Column("until", Instant, nullable=False),
)

define_inbox(metadata)
define_outbox(metadata)
