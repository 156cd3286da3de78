"""Initial."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_table(
        "inbox",
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("inbox_by_time", ["received_at"], unique=False, postgresql_using="brin")

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
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("tracking_number", sa.String(length=10), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("field", sa.String(length=60), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("master", sa.String(length=15), nullable=True),
        sa.Column("intermediate", sa.String(length=15), nullable=True),
        sa.Column("basic", sa.String(length=15), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reply_to", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("command_id"),
        sa.UniqueConstraint("tracking_number"),
    )
    with op.batch_alter_table("request", schema=None) as batch_op:
        batch_op.create_index("request_by_time", ["received_at", "command_id"], unique=False)
        batch_op.create_index("request_of_account", ["account_id", "received_at"], unique=False)
        batch_op.create_index("request_of_basic", ["basic", "received_at"], unique=False)
        batch_op.create_index("request_of_master", ["master", "received_at"], unique=False)

    op.create_table(
        "step",
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("command_id", "message_id"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Room on each page for a row's next version, so that an update that touches no index stays on it.
        op.execute("alter table request set (fillfactor = 70)")
