"""The shapes that the gateway takes and gives beside the contracts: receipts, sessions and problems."""

from datetime import datetime
from typing import Annotated

from shared.contracts.base import view
from shared.contracts.bulk import BulkRow
from shared.contracts.imports import ImportRow
from shared.contracts.outcomes import RequestStatus
from shared.contracts.types import Json, Note


@view
class Links:
    """Where to go on from a receipt."""

    self: Annotated[str, Note("the request: its status and its timeline")]
    events: Annotated[str, Note("the same, told as it happens (server-sent events)")]


@view
class Receipt:
    """What the sender of a command gets: the proof that it will not be lost, and where to watch it (TRK-01)."""

    command_id: str
    tracking_number: Annotated[
        str | None, Note("null where it is not issued yet; it is found under the link")
    ]
    status: RequestStatus
    links: Links


@view
class Outcome:
    """What the sender of a command gets who waited for its end: it is carried out."""

    command_id: str
    tracking_number: str
    status: RequestStatus
    result: Annotated[Json | None, Note("what the command made, if anything")]
    links: Links


@view
class SignedInUser:
    """Who has signed in."""

    user_id: str
    name: str
    role: str
    company: str | None


@view
class SessionOpened:
    """A session: send the token as ``Authorization: Bearer …`` (IDN-08)."""

    token: str
    expires_at: Annotated[datetime, Note("moves on with every request")]
    user: SignedInUser
    device: Annotated[
        str, Note("keep it and send it at the next sign-in: strangers' failures do not count then")
    ]


@view
class LentToMe:
    """What somebody shares with you just now: send it ``on_behalf_of`` the lender (IDN-07)."""

    delegation: str
    lender: str
    lender_name: str
    ends_at: datetime
    grants: Annotated[
        dict[str, list[str]], Note("for each function, the control accounts over which it is lent")
    ]


@view
class Me:
    """Who is signed in, what they may do, and until when (IDN-05, IDN-08)."""

    user_id: str
    name: str
    role: str
    company: str | None
    functions: Annotated[list[str], Note("what is granted over anything at all")]
    control_accounts: Annotated[list[str], Note("over what anything is granted; `*` is the whole programme")]
    own_accounts: Annotated[list[str], Note("the card accounts that you hold")]
    grants: Annotated[
        dict[str, list[str]], Note("for each function, the control accounts over which it is granted")
    ]
    delegations: Annotated[list[LentToMe], Note("whose work is shared with you just now (TRK-05)")]
    second_factor_needed: Annotated[
        bool, Note("your company demands a second factor and you have none: set one up before anything else")
    ]
    session_expires_at: Annotated[datetime, Note("moves on with every request")]


@view
class BulkLinks:
    """Where to go on from an uploaded file."""

    self: Annotated[str, Note("the file: how many of its rows stand where")]
    items: Annotated[str, Note("its rows, each with its finding or its outcome")]
    submit: Annotated[str, Note("the command that has it carried out")]


@view
class BulkUploaded(BulkRow):
    """An uploaded file: every row was tried out and nothing is changed; the rows with a finding count as refused."""

    links: BulkLinks


@view
class ImportLinks:
    """Where to go on from a file of transactions or payments."""

    self: Annotated[str, Note("the file: how far it has come")]
    findings: Annotated[str, Note("the rows of which there is something to say")]
    refused: Annotated[str, Note("the refused rows as a file, to be mended and uploaded again as mended")]
    post: Annotated[str, Note("the command that has its rows posted")]


@view
class ImportUploaded(ImportRow):
    """A file that was read: every row was checked against its layout, and nothing is posted."""

    links: ImportLinks


@view
class Progress:
    """Where a request stands: what each server-sent event named ``status`` holds."""

    command_id: str
    tracking_number: str
    status: RequestStatus
    code: Annotated[str | None, Note("why it was refused or failed")]
    message: str | None
    finished_at: datetime | None
    settled: Annotated[bool, Note("whether this is the last event")]


@view
class FieldProblem:
    """One wrong field."""

    pointer: Annotated[str, Note("a JSON pointer into the body, or the name of a parameter")]
    code: str
    message: str


@view
class Problem:
    """Why a request was not carried out (RFC 9457); ``code`` is stable, and the texts are for people (Part 2 no. 2)."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    instance: str | None = None
    request_id: Annotated[str | None, Note("quote it when you ask for help")] = None
    errors: Annotated[list[FieldProblem] | None, Note("each field that is wrong")] = None
    command_id: Annotated[str | None, Note("of a command that was tracked and then refused")] = None
    tracking_number: Annotated[str | None, Note("of a command that was tracked and then refused")] = None
    retry_after: Annotated[int | None, Note("after how many seconds to try again")] = None
