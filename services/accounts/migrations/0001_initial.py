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
        "control_account",
        sa.Column("number", sa.String(length=15), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "level",
            sa.Enum("master", "intermediate", "basic", name="level", native_enum=False, length=40),
            nullable=False,
        ),
        sa.Column("parent", sa.String(length=15), nullable=True),
        sa.Column(
            "path",
            sa.String(length=250).with_variant(sa.VARCHAR(length=250, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("company_name", sa.String(length=100), nullable=False),
        sa.Column("company_number", sa.String(length=20), nullable=False),
        sa.Column("contact", sa.String(length=100), nullable=True),
        sa.Column("products", sa.String(length=250), nullable=True),
        sa.Column(
            "liability",
            sa.Enum("corporate", "individual", "joint", name="liability", native_enum=False, length=40),
            nullable=True,
        ),
        sa.Column("billing_cycle_day", sa.Integer(), nullable=True),
        sa.Column("renewal_months", sa.Integer(), nullable=True),
        *(
            sa.Column(
                name,
                sa.Enum("absent", "optional", "mandatory", name="fielduse", native_enum=False, length=40),
                nullable=True,
            )
            for name in ("employee_id", "cost_centre", "universal_number")
        ),
        sa.Column(
            "statement_option",
            sa.Enum(
                "paper_on",
                "paper_off",
                "holder_choice",
                name="statementoption",
                native_enum=False,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column(
            "billing_model",
            sa.Enum(
                "individual", "central", "business_travel", name="billingmodel", native_enum=False, length=40
            ),
            nullable=True,
        ),
        sa.Column("billing_currency", sa.String(length=3), nullable=True),
        sa.Column("suspension_cap_days", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent"],
            ["control_account.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("control_account", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_control_account_company_number"), ["company_number"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_control_account_parent"), ["parent"], unique=False)
        batch_op.create_index(batch_op.f("ix_control_account_path"), ["path"], unique=False)

    op.create_table(
        "held",
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("command_id"),
    )
    with op.batch_alter_table("held", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_held_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "inbox",
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("inbox_by_time", ["received_at"], unique=False, postgresql_using="brin")

    op.create_table(
        "live_accounts",
        sa.Column("control_account", sa.String(length=15), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("difference", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("control_account", "id"),
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
        "card_account",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("control_account", sa.String(length=15), nullable=False),
        sa.Column(
            "product",
            sa.Enum(
                "corporate_green",
                "corporate_gold",
                "corporate_platinum",
                "cobranded_corporate",
                "corporate_purchasing",
                "business_travel_account",
                name="product",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "status",
            sa.Enum(
                "active",
                "suspended",
                "cancelled",
                "expired",
                name="accountstatus",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "payment_status",
            sa.Enum(
                "current",
                "past_due_30",
                "past_due_60",
                "past_due_90",
                "past_due_120",
                name="paymentstatus",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("first_name", sa.String(length=100), nullable=False),
        sa.Column("last_name", sa.String(length=100), nullable=False),
        sa.Column(
            "embossed_name",
            sa.String(length=26).with_variant(sa.VARCHAR(length=26, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "name_key",
            sa.String(length=210).with_variant(sa.VARCHAR(length=210, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "names",
            sa.String(length=250).with_variant(sa.VARCHAR(length=250, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("address_line_1", sa.String(length=60), nullable=True),
        sa.Column("address_line_2", sa.String(length=60), nullable=True),
        sa.Column("address_line_3", sa.String(length=60), nullable=True),
        sa.Column("city", sa.String(length=60), nullable=True),
        sa.Column("postcode", sa.String(length=12), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("business_phone", sa.String(length=32), nullable=True),
        sa.Column("home_phone", sa.String(length=32), nullable=True),
        sa.Column("other_phone", sa.String(length=32), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("employee_id", sa.String(length=10), nullable=True),
        sa.Column("cost_centre", sa.String(length=10), nullable=True),
        sa.Column("universal_number", sa.String(length=25), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.Column("nil_since", sa.Date(), nullable=True),
        sa.Column("standing_as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "chosen_delivery",
            sa.Enum(
                "paper_and_pdf",
                "pdf_only",
                name="statementdelivery",
                native_enum=False,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("delivery_terms_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "cancel_reason",
            sa.Enum(
                "not_needed",
                "employment_ended",
                "death",
                "fraud",
                "dormant",
                "other",
                name="cancelreason",
                native_enum=False,
                length=40,
            ),
            nullable=True,
        ),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["control_account"],
            ["control_account.number"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("card_account", schema=None) as batch_op:
        batch_op.create_index(
            "card_account_by_control_account",
            ["control_account", "name_key", "id"],
            unique=False,
            postgresql_include=["names", "embossed_name", "cost_centre", "status"],
        )
        batch_op.create_index("card_account_by_name", ["name_key", "id"], unique=False)
        batch_op.create_index(
            "card_account_by_payment_status",
            ["control_account", "payment_status", "name_key", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_card_account_cost_centre"), ["cost_centre"], unique=False)
        batch_op.create_index(batch_op.f("ix_card_account_embossed_name"), ["embossed_name"], unique=False)
        batch_op.create_index(batch_op.f("ix_card_account_employee_id"), ["employee_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_card_account_universal_number"), ["universal_number"], unique=False
        )

    if op.get_bind().dialect.name == "postgresql":
        op.execute("create extension if not exists pg_trgm")
        op.create_index(
            "card_account_by_part_of_name",
            "card_account",
            ["names"],
            postgresql_using="gin",
            postgresql_ops={"names": "gin_trgm_ops"},
        )

    op.create_table(
        "card",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("number_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("number_hash", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("last_four", sa.String(length=4), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "ordered",
                "shipped",
                "active",
                "closed",
                "expired",
                name="cardstate",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["card_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number_hash", "sequence"),
    )
    with op.batch_alter_table("card", schema=None) as batch_op:
        batch_op.create_index(
            "card_due",
            ["due_on"],
            unique=False,
            postgresql_where=sa.text("due_on is not null"),
            sqlite_where=sa.text("due_on is not null"),
        )
        batch_op.create_index(
            "card_live_of_account",
            ["account_id"],
            unique=True,
            postgresql_where=sa.text("live"),
            sqlite_where=sa.text("live"),
        )
        batch_op.create_index("card_of_account", ["account_id"], unique=False)

    op.create_table(
        "hold",
        sa.Column("id", sa.String(length=31), nullable=False),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column(
            "origin",
            sa.Enum(
                "holder",
                "programme_administrator",
                "issuer",
                "system",
                name="holdorigin",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.String(length=500), nullable=True),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("command_key", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column(
            "channel",
            sa.Enum("portal", "api", "operator", "system", name="channel", native_enum=False, length=40),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["card_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("hold", schema=None) as batch_op:
        batch_op.create_index(
            "hold_due",
            ["effective_at", "ends_at"],
            unique=False,
            postgresql_where=sa.text("closed_at is null"),
            sqlite_where=sa.text("closed_at is null"),
        )
        batch_op.create_index(
            "hold_open_of_account",
            ["account_id"],
            unique=False,
            postgresql_where=sa.text("closed_at is null"),
            sqlite_where=sa.text("closed_at is null"),
        )
        batch_op.create_index(
            "hold_open_of_command",
            ["command_id"],
            unique=False,
            postgresql_where=sa.text("closed_at is null"),
            sqlite_where=sa.text("closed_at is null"),
        )
    op.create_table(
        "bulk",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "cancellations",
                "suspensions",
                "openings",
                "transfers",
                "holders",
                "accounting",
                name="bulkkind",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                "checking", "checked", "running", "finished", name="bulkstate", native_enum=False, length=40
            ),
            nullable=False,
        ),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("control_account", sa.String(length=15), nullable=True),
        sa.Column("uploaded_by", sa.String(length=64), nullable=False),
        sa.Column("uploaded_for", sa.String(length=64), nullable=True),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=True),
        sa.Column("command_key", sa.String(length=100), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column(
            "party",
            sa.Enum("holder", "client", "issuer", "system", name="party", native_enum=False, length=40),
            nullable=True,
        ),
        sa.Column("company", sa.String(length=20), nullable=True),
        sa.Column("granted", sa.Text(), nullable=True),
        sa.Column(
            "channel",
            sa.Enum("portal", "api", "operator", "system", name="channel", native_enum=False, length=40),
            nullable=True,
        ),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["control_account"],
            ["control_account.number"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("command_id"),
    )
    with op.batch_alter_table("bulk", schema=None) as batch_op:
        batch_op.create_index(
            "bulk_running",
            ["submitted_at"],
            unique=False,
            postgresql_where=sa.text("state = 'running'"),
            sqlite_where=sa.text("state = 'running'"),
        )
        batch_op.create_index(batch_op.f("ix_bulk_control_account"), ["control_account"], unique=False)
        batch_op.create_index(batch_op.f("ix_bulk_uploaded_by"), ["uploaded_by"], unique=False)

    op.create_table(
        "bulk_item",
        sa.Column("bulk_id", sa.String(length=30), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "carried_out",
                "accepted",
                "refused",
                "failed",
                "withdrawn",
                name="itemstate",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("subject", sa.String(length=64), nullable=True),
        sa.Column("account_id", sa.String(length=30), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("field", sa.String(length=60), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["bulk_id"],
            ["bulk.id"],
        ),
        sa.PrimaryKeyConstraint("bulk_id", "number"),
    )
    with op.batch_alter_table("bulk_item", schema=None) as batch_op:
        batch_op.create_index("bulk_item_by_state", ["bulk_id", "state", "number"], unique=False)
        batch_op.create_index("bulk_item_by_subject", ["bulk_id", "subject"], unique=False)

    op.create_table(
        "issuer_order",
        sa.Column("id", sa.String(length=30), nullable=False),
        sa.Column(
            "act",
            sa.Enum(
                "open",
                "replace",
                "renew",
                "reinstate",
                "ship",
                "activate",
                "cancel",
                name="orderact",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("card_id", sa.String(length=30), nullable=True),
        sa.Column("facts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("command_key", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column(
            "channel",
            sa.Enum("portal", "api", "operator", "system", name="channel", native_enum=False, length=40),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("issuer_order", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_issuer_order_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_issuer_order_due_at"), ["due_at"], unique=False)

    op.create_table(
        "cancellation",
        sa.Column("account_id", sa.String(length=30), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "not_needed",
                "employment_ended",
                "death",
                "fraud",
                "dormant",
                "other",
                name="cancelreason",
                native_enum=False,
                length=40,
            ),
            nullable=False,
        ),
        sa.Column("command_id", sa.String(length=36), nullable=False),
        sa.Column("command_key", sa.String(length=100), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("on_behalf_of", sa.String(length=64), nullable=True),
        sa.Column(
            "channel",
            sa.Enum("portal", "api", "operator", "system", name="channel", native_enum=False, length=40),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["card_account.id"],
        ),
        sa.PrimaryKeyConstraint("account_id"),
    )
    with op.batch_alter_table("cancellation", schema=None) as batch_op:
        batch_op.create_index("ix_cancellation_command_id", ["command_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_cancellation_effective_at"), ["effective_at"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        # Room on each page for a row's next version, so that an update that touches no index stays on it.
        op.execute("alter table card_account set (fillfactor = 85)")
        op.execute("alter table card set (fillfactor = 85)")
