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
        "card_account",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("control_account", sa.String(length=15), nullable=False),
        sa.Column("product", sa.String(length=40), nullable=False),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("last_name", sa.String(length=100), nullable=False),
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
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("employee_id", sa.String(length=10), nullable=True),
        sa.Column("cost_centre", sa.String(length=10), nullable=True),
        sa.Column("universal_number", sa.String(length=25), nullable=True),
        sa.Column("named", sa.Integer(), nullable=False),
        sa.Column("placed", sa.Integer(), nullable=False),
        sa.Column("coded", sa.Integer(), nullable=False),
        sa.Column("delivery", sa.String(length=20), nullable=True),
        sa.Column("chosen", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("card_account", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_card_account_control_account"), ["control_account"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_card_account_cost_centre"), ["cost_centre"], unique=False)
        batch_op.create_index(batch_op.f("ix_card_account_embossed_name"), ["embossed_name"], unique=False)
        batch_op.create_index(batch_op.f("ix_card_account_employee_id"), ["employee_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_card_account_name_key"), ["name_key"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_card_account_universal_number"), ["universal_number"], unique=False
        )

    op.create_table(
        "card_number",
        sa.Column("number_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("last_four", sa.String(length=4), nullable=False),
        sa.PrimaryKeyConstraint("number_hash"),
    )
    with op.batch_alter_table("card_number", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_card_number_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_card_number_last_four"), ["last_four"], unique=False)

    op.create_table(
        "control_account",
        sa.Column("number", sa.String(length=15), nullable=False),
        sa.Column("parent", sa.String(length=15), nullable=True),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("placed", sa.Integer(), nullable=False),
        sa.Column("configured", sa.Integer(), nullable=False),
        sa.Column("billing_cycle_day", sa.Integer(), nullable=True),
        sa.Column("billing_model", sa.String(length=20), nullable=True),
        sa.Column("billing_currency", sa.String(length=3), nullable=True),
        sa.Column("statement_option", sa.String(length=20), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=True),
        sa.Column("delivered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("closed_through", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("control_account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_control_account_parent"), ["parent"], unique=False)

    op.create_table(
        "entry",
        sa.Column("posting_id", sa.String(length=30), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.Column("debit", sa.String(length=40), nullable=False),
        sa.Column("credit", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name="entry_moves_something"),
        sa.CheckConstraint("debit <> credit", name="entry_moves_somewhere"),
        sa.PrimaryKeyConstraint("posting_id", "place"),
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
        "ledger_account",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("control_account", sa.String(length=15), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("debits", sa.BigInteger(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=False),
        sa.Column("billed_debits", sa.BigInteger(), nullable=False),
        sa.Column("billed_credits", sa.BigInteger(), nullable=False),
        sa.Column("billed_payments", sa.BigInteger(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("due_since", sa.Date(), nullable=True),
        sa.Column("payment_status", sa.String(length=20), nullable=False),
        sa.Column("nil_since", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("ledger_account", schema=None) as batch_op:
        batch_op.create_index(
            "ledger_account_in_debt",
            ["due_since"],
            unique=False,
            postgresql_where=sa.text("due_since is not null"),
            sqlite_where=sa.text("due_since is not null"),
        )
        batch_op.create_index(
            "ledger_account_late",
            ["payment_status"],
            unique=False,
            postgresql_where=sa.text("payment_status <> 'current'"),
            sqlite_where=sa.text("payment_status <> 'current'"),
        )
        batch_op.create_index("ledger_account_to_close", ["control_account", "closed_on"], unique=False)

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
        "paper_off_due",
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "posting",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("ledger_account", sa.String(length=40), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("original_amount", sa.BigInteger(), nullable=True),
        sa.Column("original_currency", sa.String(length=3), nullable=True),
        sa.Column("rate", sa.String(length=24), nullable=True),
        sa.Column("merchant", sa.String(length=100), nullable=True),
        sa.Column("merchant_key", sa.String(length=100), nullable=True),
        sa.Column("merchant_category", sa.String(length=4), nullable=True),
        sa.Column("city", sa.String(length=60), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("transacted_on", sa.Date(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("cost_centre", sa.String(length=40), nullable=True),
        sa.Column("ledger_code", sa.String(length=40), nullable=True),
        sa.Column("purpose", sa.String(length=250), nullable=True),
        sa.Column("source", sa.String(length=60), nullable=False),
        sa.Column("source_key", sa.String(length=100), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=True),
        sa.Column("corrects", sa.String(length=30), nullable=True),
        sa.Column("corrected_by", sa.String(length=30), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("source", "source_key", name="posting_seen"),
    )
    with op.batch_alter_table("posting", schema=None) as batch_op:
        batch_op.create_index("posting_by_day", ["posted_on", "id"], unique=False)
        batch_op.create_index("posting_of_account", ["account_id", "posted_on", "id"], unique=False)
        batch_op.create_index("posting_of_statement", ["ledger_account", "cycle"], unique=False)

    op.create_table(
        "standing_due",
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "statement",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("ledger_account", sa.String(length=40), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("control_account", sa.String(length=15), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("previous_balance", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("debits", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("debits_to_date", sa.BigInteger(), nullable=False),
        sa.Column("on_paper", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ledger_account", "cycle", name="statement_of_cycle"),
    )
    with op.batch_alter_table("statement", schema=None) as batch_op:
        batch_op.create_index(
            "statement_of_control_account", ["control_account", "closed_on", "id"], unique=False
        )
    op.create_table(
        "file_import",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("layout", sa.String(length=60), nullable=False),
        sa.Column("mended", sa.Boolean(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=True),
        sa.Column("control_account", sa.String(length=15), nullable=True),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("find_by", sa.Text(), nullable=False),
        sa.Column("repeats", sa.Boolean(), nullable=False),
        sa.Column("uploaded_by", sa.String(length=64), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("passed_over", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("differing", sa.BigInteger(), nullable=False),
        sa.Column("differences", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("posted", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("suspended", sa.BigInteger(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("command_id", sa.String(length=36), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=10), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index(op.f("ix_file_import_state"), "file_import", ["state"], unique=False)
    op.create_table(
        "import_finding",
        sa.Column("import_id", sa.String(length=30), nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("field", sa.String(length=60), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("cells", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("import_id", "line"),
    )
    op.create_table(
        "import_row",
        sa.Column("import_id", sa.String(length=30), nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("repeats", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("original_amount", sa.BigInteger(), nullable=True),
        sa.Column("original_currency", sa.String(length=3), nullable=True),
        sa.Column("transacted_on", sa.Date(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=True),
        sa.Column("rate", sa.String(length=24), nullable=True),
        sa.Column("merchant", sa.String(length=100), nullable=True),
        sa.Column("merchant_key", sa.String(length=100), nullable=True),
        sa.Column("merchant_category", sa.String(length=4), nullable=True),
        sa.Column("city", sa.String(length=60), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("cost_centre", sa.String(length=40), nullable=True),
        sa.Column("ledger_code", sa.String(length=40), nullable=True),
        sa.Column("purpose", sa.String(length=250), nullable=True),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("number_hash", sa.String(length=64), nullable=True),
        sa.Column("last_four", sa.String(length=4), nullable=True),
        sa.Column("employee_id", sa.String(length=10), nullable=True),
        sa.Column("universal_number", sa.String(length=25), nullable=True),
        sa.Column("control_account", sa.String(length=15), nullable=True),
        sa.PrimaryKeyConstraint("import_id", "line"),
    )
    op.create_index(
        "import_row_alike",
        "import_row",
        ["import_id", "key", "line"],
        unique=False,
        postgresql_where=sa.text("repeats"),
        sqlite_where=sa.text("repeats"),
    )
    op.create_table(
        "suspended",
        sa.Column("posting_id", sa.String(length=30), nullable=False),
        sa.Column("import_id", sa.String(length=30), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("number_hash", sa.String(length=64), nullable=True),
        sa.Column("last_four", sa.String(length=4), nullable=True),
        sa.Column("employee_id", sa.String(length=10), nullable=True),
        sa.Column("cost_centre", sa.String(length=40), nullable=True),
        sa.Column("universal_number", sa.String(length=25), nullable=True),
        sa.Column("control_account", sa.String(length=15), nullable=True),
        sa.PrimaryKeyConstraint("posting_id"),
    )
    op.create_index("suspended_of_import", "suspended", ["import_id", "posting_id"], unique=False)
    op.create_index(
        "suspended_by_account_id",
        "suspended",
        ["account_id", "posting_id"],
        unique=False,
        postgresql_where=sa.text("account_id is not null"),
        sqlite_where=sa.text("account_id is not null"),
    )
    op.create_index(
        "suspended_by_control_account",
        "suspended",
        ["control_account", "posting_id"],
        unique=False,
        postgresql_where=sa.text("control_account is not null"),
        sqlite_where=sa.text("control_account is not null"),
    )
    op.create_index(
        "suspended_by_cost_centre",
        "suspended",
        ["cost_centre", "posting_id"],
        unique=False,
        postgresql_where=sa.text("cost_centre is not null"),
        sqlite_where=sa.text("cost_centre is not null"),
    )
    op.create_index(
        "suspended_by_employee_id",
        "suspended",
        ["employee_id", "posting_id"],
        unique=False,
        postgresql_where=sa.text("employee_id is not null"),
        sqlite_where=sa.text("employee_id is not null"),
    )
    op.create_index(
        "suspended_by_last_four",
        "suspended",
        ["last_four", "posting_id"],
        unique=False,
        postgresql_where=sa.text("last_four is not null"),
        sqlite_where=sa.text("last_four is not null"),
    )
    op.create_index(
        "suspended_by_number_hash",
        "suspended",
        ["number_hash", "posting_id"],
        unique=False,
        postgresql_where=sa.text("number_hash is not null"),
        sqlite_where=sa.text("number_hash is not null"),
    )
    op.create_index(
        "suspended_by_universal_number",
        "suspended",
        ["universal_number", "posting_id"],
        unique=False,
        postgresql_where=sa.text("universal_number is not null"),
        sqlite_where=sa.text("universal_number is not null"),
    )
    op.create_table(
        "suspense_due",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("subject", sa.String(length=30), nullable=False),
        sa.Column("through", sa.String(length=30), nullable=False),
        sa.Column("because", sa.String(length=100), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "change",
        sa.Column("subject", sa.String(length=30), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("field", sa.String(length=60), nullable=False),
        sa.Column("old", sa.Text(), nullable=True),
        sa.Column("new", sa.Text(), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("command", sa.String(length=100), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("subject", "id"),
    )
    op.create_table(
        "coding",
        sa.Column("posting_id", sa.String(length=30), nullable=False),
        sa.Column("cost_centre", sa.String(length=40), nullable=True),
        sa.Column("ledger_code", sa.String(length=40), nullable=True),
        sa.Column("tax_code", sa.String(length=20), nullable=True),
        sa.Column("project", sa.String(length=40), nullable=True),
        sa.Column("note", sa.String(length=250), nullable=True),
        sa.Column("coded_by", sa.String(length=64), nullable=False),
        sa.Column("coded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("posting_id"),
    )
    op.create_table(
        "export",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("control_account", sa.String(length=15), nullable=False),
        sa.Column("layout", sa.String(length=40), nullable=False),
        sa.Column("layout_text", sa.Text(), nullable=False),
        sa.Column("posted_from", sa.Date(), nullable=False),
        sa.Column("posted_to", sa.Date(), nullable=False),
        sa.Column("coded_only", sa.Boolean(), nullable=False),
        sa.Column("file_name", sa.String(length=60), nullable=False),
        sa.Column("media_type", sa.String(length=60), nullable=False),
        sa.Column("taken_through", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("last_id", sa.String(length=30), nullable=True),
        sa.Column("transactions", sa.BigInteger(), nullable=False),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("cancelled_by", sa.String(length=64), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_export_control_account"), "export", ["control_account"], unique=False)
    op.create_index(
        "export_in_the_making",
        "export",
        ["asked_at"],
        unique=False,
        postgresql_where=sa.text("state = 'making'"),
        sqlite_where=sa.text("state = 'making'"),
    )
    op.create_table(
        "export_piece",
        sa.Column("export_id", sa.String(length=30), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("export_id", "begins_at"),
    )
    op.create_table(
        "exported",
        sa.Column("posting_id", sa.String(length=30), nullable=False),
        sa.Column("export_id", sa.String(length=30), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("posting_id"),
    )
    op.create_index("exported_in_order", "exported", ["export_id", "posted_on", "posting_id"], unique=False)
    op.create_table(
        "held",
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("command_id"),
    )
    op.create_index(op.f("ix_held_expires_at"), "held", ["expires_at"], unique=False)
    op.create_table(
        "ready_due",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("statements", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Posting changes no indexed column of these, so a row is updated in place where its page has room.
        op.execute("alter table card_account set (fillfactor = 85)")
        op.execute("alter table ledger_account set (fillfactor = 70)")
