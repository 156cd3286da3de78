"""What is asked of an imported file, and of what stands in suspense."""

from typing import Any

from services.statements.imports.posting import POST_IMPORTS
from services.statements.imports.queries import import_row_of
from services.statements.imports.submitting import submit
from services.statements.imports.suspense import match_transaction as match
from shared.contracts.imports import MatchTransaction, PostImport
from shared.contracts.outcomes import RequestStatus
from shared.errors import Rejected
from shared.messaging.transaction import Transaction


def post_import(command: PostImport, tx: Transaction) -> None:
    """Have a file posted, unless it has refused rows or wrong totals that nobody has accepted."""
    found = import_row_of(command.import_id, tx.session)
    if found.refused and not command.skip_refused:
        raise Rejected(
            "has_refused_rows",
            f"{found.refused} of {found.rows} rows cannot be posted. Mend them and upload the file anew, or post it with "
            "skip_refused and load the mended rows by themselves.",
            "skip_refused",
        )
    if found.differing and not command.skip_differences:
        raise Rejected(
            "totals_differ",
            f"{found.differing} of {found.control_totals} control totals differ from what the rows come to. Ask where the "
            "file comes from, or post it with skip_differences.",
            "skip_differences",
        )
    envelope = tx.envelope
    submit(
        tx.session, command.import_id, tx.now, command_id=envelope.id, actor=tx.actor.user_id,
        on_behalf_of=tx.actor.on_behalf_of, channel=envelope.channel.value,
    )  # fmt: skip
    tx.finish_later(RequestStatus.PROCESSING)
    tx.wake(POST_IMPORTS)


def match_transaction(command: MatchTransaction, tx: Transaction) -> dict[str, Any]:
    """Move a transaction from suspense to whose it is."""
    return match(command, tx)
