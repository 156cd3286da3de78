"""Initial."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The parts lie in a schema of their own, so that the tables of the service are those that its model names. Who runs the
# service may not change tables (deploy/provision/databases.py): these two functions are all that it may have done, and
# they run with the rights of the tables' owner. The first says whether the month was there before.
MAKE_MONTH = """
create function make_month(instant timestamptz) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    first timestamptz := date_trunc('month', instant, 'UTC');
    until timestamptz := date_trunc('month', first + interval '32 days', 'UTC');
    month text := to_char(first at time zone 'UTC', 'YYYY_MM');
    name text;
begin
    if to_regclass('months.step_' || month) is not null then
        return true;
    end if;
    perform pg_advisory_xact_lock(hashtext('months'));
    if to_regclass('months.step_' || month) is not null then
        return true;
    end if;
    -- A table that is made apart and then attached stops nobody who reads or writes other months.
    foreach name in array array['request', 'step'] loop
        execute format('create table months.%I (like public.%I including all)', name || '_' || month, name);
        execute format(
            'alter table public.%I attach partition months.%I for values from (%L) to (%L)',
            name, name || '_' || month, first, until
        );
    end loop;
    -- Room on each page for a row's next version, so that an update that touches no index stays on it.
    execute format('alter table months.%I set (fillfactor = 70)', 'request_' || month);
    return false;
end $$
"""
DROP_MONTH = """
create function drop_month(instant timestamptz) returns void
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
    first timestamptz := date_trunc('month', instant, 'UTC');
    until timestamptz := date_trunc('month', first + interval '32 days', 'UTC');
    month text := to_char(first at time zone 'UTC', 'YYYY_MM');
begin
    if exists (select from request where received_at >= first and received_at < until and finished_at is null) then
        raise exception 'a request of % still waits', month;
    end if;
    execute format('drop table if exists months.%I, months.%I', 'request_' || month, 'step_' || month);
end $$
"""


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "account",
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("product", sa.String(length=30), nullable=False),
        sa.Column(
            "name_key",
            sa.String(length=210).with_variant(sa.VARCHAR(length=210, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "embossed_name",
            sa.String(length=26).with_variant(sa.VARCHAR(length=26, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("named", sa.Integer(), nullable=False),
        sa.Column("basic", sa.String(length=15), nullable=False),
        sa.Column("placed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.create_index(
            "account_by_embossed_name",
            ["embossed_name"],
            unique=False,
            postgresql_include=["account_id", "basic"],
        )
        batch_op.create_index(
            "account_by_name", ["name_key"], unique=False, postgresql_include=["account_id", "basic"]
        )
        batch_op.create_index(
            "account_of_product", ["product"], unique=False, postgresql_include=["account_id", "basic"]
        )
        batch_op.create_index(
            "account_of_basic",
            ["basic", "product", "account_id"],
            unique=False,
            postgresql_include=["name_key", "embossed_name"],
        )

    op.create_table(
        "control_account",
        sa.Column("number", sa.String(length=15), nullable=False),
        sa.Column("parent", sa.String(length=15), nullable=True),
        sa.Column("level", sa.String(length=12), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("control_account", schema=None) as batch_op:
        batch_op.create_index("control_account_of_parent", ["parent"], unique=False)

    op.create_table(
        "day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "inbox",
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("inbox_by_time", ["received_at"], unique=False, postgresql_using="brin")

    op.create_table(
        "mark",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("exchange", sa.String(length=100), nullable=False),
        sa.Column("routing_key", sa.String(length=255), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "request",
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("tracking_number", sa.String(length=10), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("exceptional", sa.String(length=20), nullable=True),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("field", sa.String(length=60), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("approver_function", sa.String(length=60), nullable=True),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("master", sa.String(length=15), nullable=True),
        sa.Column("intermediate", sa.String(length=15), nullable=True),
        sa.Column("basic", sa.String(length=15), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reply_to", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("received_at", "command_id"),
        postgresql_partition_by="RANGE (received_at)",
    )
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.create_index(
            "request_exceptional",
            ["exceptional", "received_at", "command_id"],
            unique=False,
            postgresql_include=[
                "due_at",
                "approver_function",
                "actor",
                "on_behalf_of",
                "master",
                "intermediate",
                "basic",
                "type",
                "channel",
                "account_id",
            ],
            postgresql_where=sa.text("exceptional IS NOT NULL"),
            sqlite_where=sa.text("exceptional IS NOT NULL"),
        )
        batch_op.create_index(
            "request_exceptional_of_account",
            ["account_id", "exceptional", "received_at", "command_id"],
            unique=False,
            postgresql_include=["master", "intermediate", "basic", "type", "channel"],
            postgresql_where=sa.text("exceptional IS NOT NULL"),
            sqlite_where=sa.text("exceptional IS NOT NULL"),
        )
        batch_op.create_index(
            "request_exceptional_of_actor",
            ["actor", "exceptional", "received_at", "command_id"],
            unique=False,
            postgresql_include=["due_at", "master", "intermediate", "basic", "type", "channel", "account_id"],
            postgresql_where=sa.text("exceptional IS NOT NULL"),
            sqlite_where=sa.text("exceptional IS NOT NULL"),
        )
        batch_op.create_index(
            "request_exceptional_of_master",
            ["master", "exceptional", "received_at", "command_id"],
            unique=False,
            postgresql_include=["type", "channel", "account_id"],
            postgresql_where=sa.text("exceptional IS NOT NULL"),
            sqlite_where=sa.text("exceptional IS NOT NULL"),
        )
        batch_op.create_index(
            "request_exceptional_of_intermediate",
            ["intermediate", "exceptional", "received_at", "command_id"],
            unique=False,
            postgresql_include=["type", "channel", "account_id"],
            postgresql_where=sa.text("exceptional IS NOT NULL"),
            sqlite_where=sa.text("exceptional IS NOT NULL"),
        )
        batch_op.create_index(
            "request_exceptional_of_basic",
            ["basic", "exceptional", "received_at", "command_id"],
            unique=False,
            postgresql_include=["type", "channel", "account_id"],
            postgresql_where=sa.text("exceptional IS NOT NULL"),
            sqlite_where=sa.text("exceptional IS NOT NULL"),
        )
        batch_op.create_index(
            "request_of_actor",
            ["actor", "received_at", "command_id"],
            unique=False,
            postgresql_include=[
                "master",
                "intermediate",
                "basic",
                "exceptional",
                "type",
                "channel",
                "account_id",
            ],
        )
        batch_op.create_index(
            "request_of_basic",
            ["basic", "received_at", "command_id"],
            unique=False,
            postgresql_include=["master", "intermediate", "exceptional", "type", "channel", "account_id"],
            postgresql_where=sa.text("basic IS NOT NULL"),
            sqlite_where=sa.text("basic IS NOT NULL"),
        )
        batch_op.create_index(
            "request_of_intermediate",
            ["intermediate", "received_at", "command_id"],
            unique=False,
            postgresql_include=["master", "exceptional", "type", "channel", "account_id"],
            postgresql_where=sa.text("intermediate IS NOT NULL"),
            sqlite_where=sa.text("intermediate IS NOT NULL"),
        )
        batch_op.create_index(
            "request_of_master",
            ["master", "received_at", "command_id"],
            unique=False,
            postgresql_include=["exceptional", "type", "channel", "account_id"],
        )
        batch_op.create_index(
            "request_of_rare_channel",
            ["channel", "received_at", "command_id"],
            unique=False,
            postgresql_where=sa.text("channel IN ('operator', 'system')"),
            sqlite_where=sa.text("channel IN ('operator', 'system')"),
        )
        batch_op.create_index(
            "request_of_type",
            ["type", "received_at", "command_id"],
            unique=False,
            postgresql_include=["channel", "account_id"],
        )
        batch_op.create_index(
            "request_of_principal",
            ["on_behalf_of", "received_at", "command_id"],
            unique=False,
            postgresql_include=[
                "actor",
                "master",
                "intermediate",
                "basic",
                "exceptional",
                "type",
                "channel",
                "account_id",
            ],
            postgresql_where=sa.text("on_behalf_of IS NOT NULL"),
            sqlite_where=sa.text("on_behalf_of IS NOT NULL"),
        )

    op.create_table(
        "request_key",
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("tracking_number", sa.String(length=10), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.PrimaryKeyConstraint("command_id"),
        sa.UniqueConstraint("tracking_number"),
    )
    with op.batch_alter_table("request_key", schema=None) as batch_op:
        batch_op.create_index("request_key_by_time", ["received_at"], unique=False, postgresql_using="brin")
        batch_op.create_index(
            "request_of_account",
            ["account_id", "received_at", "command_id"],
            unique=False,
            postgresql_where=sa.text("account_id IS NOT NULL"),
            sqlite_where=sa.text("account_id IS NOT NULL"),
        )

    op.create_table(
        "step",
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column("decision", sa.String(length=10), nullable=True),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("received_at", "command_id", "message_id"),
        postgresql_partition_by="RANGE (received_at)",
    )
    op.create_table(
        "tally",
        sa.Column("master", sa.String(length=15), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("master", "day", "status"),
    )
    op.create_table(
        "workplace",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("master", sa.String(length=15), nullable=False),
        sa.Column("intermediate", sa.String(length=15), nullable=False),
        sa.Column("basic", sa.String(length=15), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "master", "intermediate", "basic"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("create schema months")
        for function in (MAKE_MONTH, DROP_MONTH):
            op.execute(function)
        op.execute("select make_month(now() + month * interval '1 month') from generate_series(-1, 2) month")
