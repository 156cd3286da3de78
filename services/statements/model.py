"""The ledger, the statements, and what is known here of card accounts and control accounts. Whole batches write all of it.

`ledger_account` is what is billed: a card account, or a basic control account that is billed centrally; those that the
other side of each entry stands on are internal (`purchases:EUR`, `payments:EUR`, `suspense:EUR`). Nothing here refers by
foreign keys to what is posted to: a posting finds its accounts by a join, and a check of each row would say that again.
"""

import sqlalchemy as sa

from shared.database import Instant, code_point_text
from shared.folding import LONGEST_NAME_KEY
from shared.history import define_history
from shared.messaging.held import define_held
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox

metadata = sa.MetaData()

# What is heard of the structure. ``placed`` and ``configured`` are the versions that told of the parent and of the
# settings; a setting that is null is inherited. Cycles up to ``closed_through`` are closed. ``language`` is that in which
# holders were last written to about their statements, and ``delivered`` the version that told of it.
control_account = sa.Table(
    "control_account",
    metadata,
    sa.Column("number", sa.String(15), primary_key=True),
    sa.Column("parent", sa.String(15), index=True),
    sa.Column("level", sa.String(20), nullable=False),
    sa.Column("placed", sa.Integer, nullable=False),
    sa.Column("configured", sa.Integer, nullable=False),
    sa.Column("billing_cycle_day", sa.Integer),
    sa.Column("billing_model", sa.String(20)),
    sa.Column("billing_currency", sa.String(3)),
    sa.Column("statement_option", sa.String(20)),
    sa.Column("language", sa.String(2)),
    sa.Column("delivered", sa.Integer, nullable=False, server_default="0"),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("closed_through", sa.Date, nullable=False),
)

# What is heard of card accounts. ``named``, ``placed``, ``coded`` and ``chosen`` are the versions that told of the holder, of
# the control account, of the accounting fields, and of the ``delivery`` that the holder wants.
card_account = sa.Table(
    "card_account",
    metadata,
    sa.Column("id", sa.String(30), primary_key=True),
    sa.Column("control_account", sa.String(15), nullable=False, index=True),
    sa.Column("product", sa.String(40), nullable=False),
    sa.Column("first_name", sa.String(100), nullable=False),
    sa.Column("last_name", sa.String(100), nullable=False),
    sa.Column("name_key", code_point_text(LONGEST_NAME_KEY), nullable=False, index=True),
    sa.Column("embossed_name", code_point_text(26), nullable=False, index=True),
    sa.Column("email", sa.String(254)),
    sa.Column("employee_id", sa.String(10), index=True),
    sa.Column("cost_centre", sa.String(10), index=True),
    sa.Column("universal_number", sa.String(25), index=True),
    sa.Column("named", sa.Integer, nullable=False),
    sa.Column("placed", sa.Integer, nullable=False),
    sa.Column("coded", sa.Integer, nullable=False),
    sa.Column("delivery", sa.String(20)),
    sa.Column("chosen", sa.Integer, nullable=False, server_default="0"),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("last_used_on", sa.Date),
)

# The numbers that a card account ever had, by their keyed hash; the same one on another plastic is no other number.
card_number = sa.Table(
    "card_number",
    metadata,
    sa.Column("number_hash", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(30), nullable=False, index=True),
    sa.Column("last_four", sa.String(4), nullable=False, index=True),
)

# ``debits``, ``credits`` and ``payments`` are sums since the beginning, so that balance = debits - credits - payments; as
# ``billed_…`` they are what they were at the last closing. A statement is a copy of them, and ``cycle`` says how many there
# are: what is posted bears the number of its cycle.
# ``due_since`` is when the oldest statement that is not paid in full fell due. Internal accounts have neither cycles nor
# sums that mean anything, only a balance.
ledger_account = sa.Table(
    "ledger_account",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("control_account", sa.String(15)),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("balance", sa.BigInteger, nullable=False),
    sa.Column("debits", sa.BigInteger, nullable=False),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("payments", sa.BigInteger, nullable=False),
    sa.Column("billed_debits", sa.BigInteger, nullable=False),
    sa.Column("billed_credits", sa.BigInteger, nullable=False),
    sa.Column("billed_payments", sa.BigInteger, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("closed_on", sa.Date),
    sa.Column("due_since", sa.Date),
    sa.Column("payment_status", sa.String(20), nullable=False),
    sa.Column("nil_since", sa.Date),
    sa.Index("ledger_account_to_close", "control_account", "closed_on"),
    sa.Index(
        "ledger_account_in_debt",
        "due_since",
        postgresql_where=sa.text("due_since is not null"),
        sqlite_where=sa.text("due_since is not null"),
    ),
    sa.Index(
        "ledger_account_late",
        "payment_status",
        postgresql_where=sa.text("payment_status <> 'current'"),
        sqlite_where=sa.text("payment_status <> 'current'"),
    ),
)

# What the holder and the company see of a movement. ``amount`` is above zero where it is owed. ``ledger_account`` is on
# whose statement it stands: in suspense while nobody knows whose it is. It is changed only to say what corrected it, or
# whose it turned out to be.
posting = sa.Table(
    "posting",
    metadata,
    sa.Column("id", sa.String(30), primary_key=True),
    sa.Column("account_id", sa.String(30)),
    sa.Column("ledger_account", sa.String(40), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("original_amount", sa.BigInteger),
    sa.Column("original_currency", sa.String(3)),
    sa.Column("rate", sa.String(24)),
    sa.Column("merchant", sa.String(100)),
    sa.Column("merchant_key", sa.String(100)),
    sa.Column("merchant_category", sa.String(4)),
    sa.Column("city", sa.String(60)),
    sa.Column("country", sa.String(2)),
    sa.Column("transacted_on", sa.Date, nullable=False),
    sa.Column("posted_on", sa.Date, nullable=False),
    sa.Column("cost_centre", sa.String(40)),
    sa.Column("ledger_code", sa.String(40)),
    sa.Column("purpose", sa.String(250)),
    sa.Column("source", sa.String(60), nullable=False),
    sa.Column("source_key", sa.String(100), nullable=False),
    sa.Column("command_id", sa.String(36)),
    sa.Column("corrects", sa.String(30)),
    sa.Column("corrected_by", sa.String(30)),
    sa.UniqueConstraint("source", "source_key", name="posting_seen"),
    sa.Index("posting_of_account", "account_id", "posted_on", "id"),
    sa.Index("posting_by_day", "posted_on", "id"),
    sa.Index("posting_of_statement", "ledger_account", "cycle"),
)

# Double entry by construction: one row moves an amount from one ledger account to another, and is never changed.
# ``place`` counts the entries of a posting: the first one, and one more where it left suspense.
entry = sa.Table(
    "entry",
    metadata,
    sa.Column("posting_id", sa.String(30), primary_key=True),
    sa.Column("place", sa.SmallInteger, primary_key=True),
    sa.Column("debit", sa.String(40), nullable=False),
    sa.Column("credit", sa.String(40), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("posted_at", Instant, nullable=False),
    sa.CheckConstraint("amount > 0", name="entry_moves_something"),
    sa.CheckConstraint("debit <> credit", name="entry_moves_somewhere"),
)

# ``debits_to_date`` is the ledger account's sum of debits at the closing: of them there is owed what credits and payments
# have not reached since, the oldest first. ``on_paper`` is whether it goes out on paper too.
statement = sa.Table(
    "statement",
    metadata,
    sa.Column("id", sa.String(30), primary_key=True),
    sa.Column("ledger_account", sa.String(40), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("account_id", sa.String(30)),
    sa.Column("control_account", sa.String(15), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("closed_on", sa.Date, nullable=False),
    sa.Column("due_on", sa.Date, nullable=False),
    sa.Column("previous_balance", sa.BigInteger, nullable=False),
    sa.Column("payments", sa.BigInteger, nullable=False),
    sa.Column("credits", sa.BigInteger, nullable=False),
    sa.Column("debits", sa.BigInteger, nullable=False),
    sa.Column("balance", sa.BigInteger, nullable=False),
    sa.Column("debits_to_date", sa.BigInteger, nullable=False),
    sa.Column("on_paper", sa.Boolean, nullable=False),
    sa.UniqueConstraint("ledger_account", "cycle", name="statement_of_cycle"),
    sa.Index("statement_of_control_account", "control_account", "closed_on", "id"),
)

# The card accounts of which there is something to tell: how they stand has changed since it was told last.
standing_due = sa.Table(
    "standing_due",
    metadata,
    sa.Column("account_id", sa.String(30), primary_key=True),
)

# The card accounts whose holders have to be told that they get no statements on paper any more, once that is so.
paper_off_due = sa.Table(
    "paper_off_due",
    metadata,
    sa.Column("account_id", sa.String(30), primary_key=True),
    sa.Column("language", sa.String(2), nullable=False),
)

# What closings made and holders have to be told of: the ids of some statements, up to as many as are closed at once, so that
# a closing writes one row for them all.
ready_due = sa.Table(
    "ready_due",
    metadata,
    sa.Column("id", sa.String(30), primary_key=True),
    sa.Column("statements", sa.Text, nullable=False),
)

# A file of transactions or payments. Its rows lie in ``import_row`` until they are posted up to ``position``, a line of the
# file; ``digest`` is that of its bytes, and gone where the file is to be forgotten. ``find_by`` and ``repeats`` are what its
# layout says that is still needed then; ``differences`` are the control totals that its rows do not add up to.
file_import = sa.Table(
    "file_import",
    metadata,
    sa.Column("id", sa.String(30), primary_key=True),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("digest", sa.String(64), unique=True),
    sa.Column("layout", sa.String(60), nullable=False),
    sa.Column("mended", sa.Boolean, nullable=False),
    sa.Column("file_name", sa.String(200)),
    sa.Column("control_account", sa.String(15)),
    sa.Column("columns", sa.Text, nullable=False),
    sa.Column("find_by", sa.Text, nullable=False),
    sa.Column("repeats", sa.Boolean, nullable=False),
    sa.Column("uploaded_by", sa.String(64), nullable=False),
    sa.Column("uploaded_at", Instant, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("passed_over", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("compared", sa.BigInteger, nullable=False),
    sa.Column("differing", sa.BigInteger, nullable=False),
    sa.Column("differences", sa.Text, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("posted", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("suspended", sa.BigInteger, nullable=False),
    sa.Column("submitted_at", Instant),
    sa.Column("command_id", sa.String(36)),
    sa.Column("actor", sa.String(64)),
    sa.Column("on_behalf_of", sa.String(64)),
    sa.Column("channel", sa.String(10)),
    sa.Column("finished_at", Instant),
)

# A row of such a file that can be posted, under the id that its posting will have. ``key`` is what identifies it at its
# source, but for the number that tells those of one file apart that have the same.
import_row = sa.Table(
    "import_row",
    metadata,
    sa.Column("import_id", sa.String(30), primary_key=True),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(30), nullable=False),
    sa.Column("key", sa.String(60), nullable=False),
    sa.Column("repeats", sa.Boolean, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("original_amount", sa.BigInteger),
    sa.Column("original_currency", sa.String(3)),
    sa.Column("transacted_on", sa.Date, nullable=False),
    sa.Column("posted_on", sa.Date),
    sa.Column("rate", sa.String(24)),
    sa.Column("merchant", sa.String(100)),
    sa.Column("merchant_key", sa.String(100)),
    sa.Column("merchant_category", sa.String(4)),
    sa.Column("city", sa.String(60)),
    sa.Column("country", sa.String(2)),
    sa.Column("cost_centre", sa.String(40)),
    sa.Column("ledger_code", sa.String(40)),
    sa.Column("purpose", sa.String(250)),
    sa.Column("account_id", sa.String(30)),
    sa.Column("number_hash", sa.String(64)),
    sa.Column("last_four", sa.String(4)),
    sa.Column("employee_id", sa.String(10)),
    sa.Column("universal_number", sa.String(25)),
    sa.Column("control_account", sa.String(15)),
    sa.Index(
        "import_row_alike",
        "import_id",
        "key",
        "line",
        postgresql_where=sa.text("repeats"),
        sqlite_where=sa.text("repeats"),
    ),
)

# The rows of which there is something to say: refused, seen before, or in suspense. ``cells`` is a refused row as it was
# read, so that it can be mended.
import_finding = sa.Table(
    "import_finding",
    metadata,
    sa.Column("import_id", sa.String(30), primary_key=True),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("code", sa.String(40), nullable=False),
    sa.Column("field", sa.String(60)),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("cells", sa.Text),
)

# What is posted and nobody's yet, with what its file says of whose it is: by any of that it is found again, in the order of
# ``posting_id``.
suspended = sa.Table(
    "suspended",
    metadata,
    sa.Column("posting_id", sa.String(30), primary_key=True),
    sa.Column("import_id", sa.String(30), nullable=False),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    sa.Column("account_id", sa.String(30)),
    sa.Column("number_hash", sa.String(64)),
    sa.Column("last_four", sa.String(4)),
    sa.Column("employee_id", sa.String(10)),
    sa.Column("cost_centre", sa.String(40)),
    sa.Column("universal_number", sa.String(25)),
    sa.Column("control_account", sa.String(15)),
    sa.Index("suspended_of_import", "import_id", "posting_id"),
    *(
        sa.Index(
            f"suspended_by_{name}",
            name,
            "posting_id",
            postgresql_where=sa.text(f"{name} is not null"),
            sqlite_where=sa.text(f"{name} is not null"),
        )
        for name in (
            "account_id",
            "number_hash",
            "last_four",
            "employee_id",
            "cost_centre",
            "universal_number",
            "control_account",
        )
    ),
)

# What became known that suspense may have waited for: ``subject`` is a card account, a control account, or a file of which
# all is to be looked at; ``through`` the last posting that was. ``because`` is the message that told of it, and
# ``command_id`` what that came of. Nobody changes another's row, so that nobody who hears of something waits.
suspense_due = sa.Table(
    "suspense_due",
    metadata,
    sa.Column("id", sa.String(30), primary_key=True),
    sa.Column("subject", sa.String(30), nullable=False),
    sa.Column("through", sa.String(30), nullable=False),
    sa.Column("because", sa.String(100), nullable=False),
    sa.Column("command_id", sa.String(36), nullable=False),
)

# How the client books a posting, beside it as nobody changes a posting; what is null is as it was posted.
coding = sa.Table(
    "coding",
    metadata,
    sa.Column("posting_id", sa.String(30), primary_key=True),
    sa.Column("cost_centre", sa.String(40)),
    sa.Column("ledger_code", sa.String(40)),
    sa.Column("tax_code", sa.String(20)),
    sa.Column("project", sa.String(40)),
    sa.Column("note", sa.String(250)),
    sa.Column("coded_by", sa.String(64), nullable=False),
    sa.Column("coded_at", Instant, nullable=False),
)

# A file of transactions for the client's books. While it is made, ``taken_through`` is the day up to which it has taken its
# postings, ``last_day`` and ``last_id`` are the last one that it has written. ``layout_text`` is the layout as it was when
# the export was asked for.
export = sa.Table(
    "export",
    metadata,
    sa.Column("id", sa.String(30), primary_key=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("control_account", sa.String(15), nullable=False, index=True),
    sa.Column("layout", sa.String(40), nullable=False),
    sa.Column("layout_text", sa.Text, nullable=False),
    sa.Column("posted_from", sa.Date, nullable=False),
    sa.Column("posted_to", sa.Date, nullable=False),
    sa.Column("coded_only", sa.Boolean, nullable=False),
    sa.Column("file_name", sa.String(60), nullable=False),
    sa.Column("media_type", sa.String(60), nullable=False),
    sa.Column("taken_through", sa.Date),
    sa.Column("last_day", sa.Date),
    sa.Column("last_id", sa.String(30)),
    sa.Column("transactions", sa.BigInteger, nullable=False),
    sa.Column("totals", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("command_id", sa.String(36), nullable=False),
    sa.Column("asked_by", sa.String(64), nullable=False),
    sa.Column("on_behalf_of", sa.String(64)),
    sa.Column("channel", sa.String(10), nullable=False),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("problem", sa.Text),
    sa.Column("cancelled_by", sa.String(64)),
    sa.Column("cancelled_at", Instant),
    sa.Index(
        "export_in_the_making",
        "asked_at",
        postgresql_where=sa.text("state = 'making'"),
        sqlite_where=sa.text("state = 'making'"),
    ),
)

# Which export a posting is in: its key is why it is never in two.
exported = sa.Table(
    "exported",
    metadata,
    sa.Column("posting_id", sa.String(30), primary_key=True),
    sa.Column("export_id", sa.String(30), nullable=False),
    sa.Column("posted_on", sa.Date, nullable=False),
    sa.Index("exported_in_order", "export_id", "posted_on", "posting_id"),
)

# The file of an export in pieces, by the byte at which each begins: it is fetched as it was made, whatever changes since.
export_piece = sa.Table(
    "export_piece",
    metadata,
    sa.Column("export_id", sa.String(30), primary_key=True),
    sa.Column("begins_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

change = define_history(metadata)
define_held(metadata)
inbox = define_inbox(metadata)
outbox = define_outbox(metadata)
